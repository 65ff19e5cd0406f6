// Package faults is how tests disturb an executor: its tasks, and of a process what it sends, its
// disk and how much memory it has. They travel in a context; without any nothing is disturbed.
package faults

import (
	"context"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// Faults are what disturbs an executor. The zero value disturbs nothing.
type Faults struct {
	Task    func(id scheduler.TaskID, done bool) Harm // what comes over an attempt before its work and, done, after it; may be nil
	Streams grpc.StreamServerInterceptor              // sees what the process sends to drivers and executors; may be nil
	Open    block.Open                                // opens files for blocks; may be nil
	Memory  int64                                     // for blocks and what tasks collect, in bytes; 0 leaves it
}

// Harm is what comes over an attempt of a task.
type Harm uint8

// What there is of harm.
const (
	None         Harm = iota
	EndLost           // the driver hears that the attempt has failed, through no fault of its own
	OutputsLost       // what map tasks have left on the executor is gone, and nobody says so
	ExecutorLost      // the executor is gone, with its blocks and its tasks, and another one comes
)

type key struct{}

// With returns a context with faults.
func With(ctx context.Context, f Faults) context.Context { return context.WithValue(ctx, key{}, f) }

// Of returns the faults of a context.
func Of(ctx context.Context) Faults {
	f, _ := ctx.Value(key{}).(Faults)
	return f
}

// ServerOptions returns the options of servers that are disturbed.
func (f Faults) ServerOptions() []grpc.ServerOption {
	if f.Streams == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.ChainStreamInterceptor(f.Streams)}
}

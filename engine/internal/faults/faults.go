// Package faults is how tests disturb an executor process: what it sends, its disk and how
// much memory it has. They travel in the process's context; without any nothing is disturbed.
package faults

import (
	"context"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/scheduler/block"
)

// Faults are what disturbs a process. The zero value disturbs nothing.
type Faults struct {
	Streams grpc.StreamServerInterceptor // sees what the process sends to drivers and executors; may be nil
	Open    block.Open                   // opens files for blocks; may be nil
	Memory  int64                        // for blocks and what tasks collect, in bytes; 0 leaves it
}

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

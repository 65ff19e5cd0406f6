package engine

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Output is where a stream's elements go, as a connector implements it; it mirrors
// [Input]. Open runs on the active driver only, Write in tasks on executors.
//
// What a task writes becomes visible in one of two ways. An output that writes as
// it goes returns no [Pending]: a partition is written at least once, and what an
// attempt that failed has written stays. An output that can take back what it wrote
// returns a Pending, which the engine commits when the driver has granted this
// attempt the commit: of a partition's attempts one at a time is.
type Output[T any] interface {
	// Open prepares the output on the driver, before the first batch and again
	// whenever a driver takes over, after the program's OnDriver effects. An error
	// stops the job before it starts.
	Open(ctx context.Context) error
	// Write writes one partition of a batch. b.Seq and b.Job() are the same at every
	// attempt; tc says which attempt it is and the epoch of the driver that launched
	// it, which is higher for every driver. rows yields an error as its last element
	// if the partition can't be read; Write returns it, and leaves nothing open when
	// it returns an error.
	Write(b Batch, tc *task.Context, rows iter.Seq2[T, error]) (Pending, error)
}

// Pending is what an attempt has written and not committed. One of its methods is
// called, once, by the task's goroutine.
type Pending interface {
	// Commit makes what was written visible.
	Commit(ctx context.Context) error
	// Abort drops what was written: the driver denied the commit or can't be asked, or
	// the task was killed. ctx ends after 10 s, not with the task.
	Abort(ctx context.Context) error
}

// NewOutput declares an output operation that writes to out, under an operator
// name. It is what connectors make sinks of. functions are the functions of the user
// that out calls: they tell the output from others.
func NewOutput[T any](d *DStream[T], op string, out Output[T], functions ...any) {
	addOutput(d, op, func(g *plan.Generation) lineage.Action {
		b := batchOf(g.Alloc)
		return rdd.PartitionAction(d.at(g), op, func(tc *task.Context, rows iter.Seq2[T, error]) ([]byte, error) {
			return nil, writePartition(b, tc, out, rows)
		})
	}, plan.Output{Open: out.Open}, functions...)
}

// writePartition writes a partition and commits it if there is something to commit.
func writePartition[T any](b Batch, tc *task.Context, out Output[T], rows iter.Seq2[T, error]) error {
	var failed error // of rows: the attempt must not commit what is a part of the partition
	pending, err := out.Write(b, tc, func(yield func(T, error) bool) {
		for v, err := range rows {
			failed = err
			if !yield(v, err) || err != nil {
				return
			}
		}
	})
	if err != nil || pending == nil {
		return err
	}
	if err = failed; err == nil {
		err = tc.AskCommit(tc)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tc), abortTimeout)
		defer cancel()
		return errors.Join(err, pending.Abort(ctx))
	}
	return pending.Commit(tc)
}

// abortTimeout bounds an Abort, which comes when the task may have been killed.
const abortTimeout = 10 * time.Second

// outputFunc is an output that writes as it goes.
type outputFunc[T any] func(b Batch, p rdd.Part, rows iter.Seq2[T, error]) error

func (outputFunc[T]) Open(context.Context) error { return nil }

func (f outputFunc[T]) Write(b Batch, tc *task.Context, rows iter.Seq2[T, error]) (Pending, error) {
	return nil, f(b, rdd.PartOf(tc), rows)
}

// addOutput appends an output to the graph: out with the job that action generates.
// functions are the user's.
func addOutput[T any](d *DStream[T], op string, action func(g *plan.Generation) lineage.Action, out plan.Output, functions ...any) {
	g, decl := &d.ssc.program.Graph, plan.Declared(op, functions...)
	if !g.Open(op, decl.Site) {
		return
	}
	out.Declaration, out.Index, out.Parent = decl, int32(len(g.Outputs)), d.asParent()
	out.Action = func(gen *plan.Generation) lineage.Action {
		a := action(gen)
		a.Op, a.Site, a.Functions = decl.Op, decl.Site, append(a.Functions, decl.Symbols()...)
		return a
	}
	g.Outputs = append(g.Outputs, &out)
}

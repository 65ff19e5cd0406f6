package driver

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// ride is the completion of a batch on its way to the log: with the next batch's allocation
// if that is planned at once, else alone. Until it is there nobody is told that the batch is
// complete, and nothing that comes later is logged.
//
// THREADING: the runner and the generator may both have it. Who claims it brings it to the log,
// and calls end. err is written before done is closed, and read after that.
type ride struct {
	completion plan.Completion
	claimed    atomic.Bool
	done       chan struct{} // closed by end
	err        error         // why the log doesn't have it
}

// ridePatience is how long a completion waits for the next batch to be planned: an input may
// have to ask for what there is.
const ridePatience = 5 * time.Millisecond

func newRide(seq uint64) *ride {
	return &ride{completion: plan.Completion{Seq: seq, Output: plan.BatchDone}, done: make(chan struct{})}
}

// claim reports whether the caller is to bring the completion to the log.
func (r *ride) claim() bool { return r.claimed.CompareAndSwap(false, true) }

// end says that the log has the completion, or why it hasn't.
func (r *ride) end(err error) {
	r.err = err
	close(r.done)
}

// await waits until the log has the completion, or ctx ends before.
func (r *ride) await(ctx context.Context) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		select {
		case <-r.done:
		default:
			return context.Cause(ctx)
		}
	}
	return r.err
}

// logAlone brings a completion to the log by itself, unless there is none or somebody has
// claimed it.
func (d *Driver) logAlone(ctx context.Context, r *ride) {
	if r != nil && r.claim() {
		r.end(d.Batches.Complete(ctx, r.completion))
	}
}

// allocate logs a batch, with the completion of the one before if that waits for it. If it
// can't be logged the completion goes alone: the outputs of the one before are done.
func (d *Driver) allocate(ctx context.Context, a *plan.Allocation, before *ride) error {
	switch {
	case before == nil:
		return d.Batches.Allocate(ctx, a)
	case before.claim():
		err := d.Batches.Allocate(ctx, a, before.completion)
		if err == nil {
			before.end(nil)
			return nil
		}
		before.end(d.Batches.Complete(ctx, before.completion)) // twice does no harm, should the log have it
		return err
	}
	if err := before.await(ctx); err != nil {
		return fmt.Errorf("the completion of batch %d: %w", before.completion.Seq, err)
	}
	return d.Batches.Allocate(ctx, a)
}

// completeBatch has the log note that a batch is complete. The generator, if it has waited for
// that, is free to plan the next one, in whose allocation the completion may go.
func (d *Driver) completeBatch(ctx context.Context, seq uint64) error {
	r := newRide(seq)
	select {
	case d.rides <- r:
		patience := time.NewTimer(ridePatience)
		defer patience.Stop()
		select {
		case <-r.done:
		case <-patience.C:
		}
	default:
	}
	d.logAlone(ctx, r)
	return r.await(ctx)
}

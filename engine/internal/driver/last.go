package driver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// StateKeeper saves the states of a stream that ends, so that the next start goes on from
// its last batch.
type StateKeeper interface {
	// SaveLast saves the versions of the last batch. run runs the action that saves those of
	// a state, and has the reports heard; made is false if the batch has none. The error says
	// what is missing.
	SaveLast(ctx context.Context, a *plan.Allocation, run func(state int, kind plan.SaveKind) (made bool, err error)) error
}

// lastBatch is the newest complete batch. What there is of it is dropped when the next one
// begins: it may be the stream's last, whose states are saved.
type lastBatch struct {
	mu     sync.Mutex
	batch  *plannedBatch
	forget func() // drops it, nil if that is done
	begun  uint64 // the newest batch that has begun
}

// complete takes a batch that is complete. It is dropped now if no later end is waited for.
func (l *lastBatch) complete(b *plannedBatch, forget func(), now bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now || l.begun > b.alloc.Seq {
		forget()
		forget = nil
	}
	l.batch, l.forget = b, forget
}

// pass is told that a batch begins.
func (l *lastBatch) pass(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = seq
	l.drop()
}

// drop drops what there is of the batch. mu is held.
func (l *lastBatch) drop() {
	if l.forget != nil {
		l.forget()
	}
	l.batch, l.forget = nil, nil
}

// savePatience is how long the states of the last batch may take to be saved.
const savePatience = 30 * time.Second

// saveStates saves the states as the last batch left them, unless work has failed. What
// can't be saved is computed anew by the next start, from what the inputs still hold.
func (d *Driver) saveStates(ctx context.Context) {
	d.last.mu.Lock()
	defer d.last.mu.Unlock()
	b := d.last.batch
	if d.last.forget == nil || ctx.Err() != nil {
		return
	}
	defer d.last.drop()
	ctx, cancel := context.WithTimeoutCause(ctx, savePatience, fmt.Errorf("it took longer than %s", savePatience))
	defer cancel()
	d.Log.Info("saving the states as the last batch left them", "batch", b.alloc.Seq, "at most", savePatience)
	err := d.States.SaveLast(ctx, b.alloc, func(state int, kind plan.SaveKind) (made bool, err error) {
		action := d.Program.Graph.SaveAction(state, kind)
		if b.gen.Actions[action].Final == nil {
			return false, nil
		}
		result, err := d.Cluster.Run(ctx, b.gen, action)
		if result != nil {
			for _, p := range d.Participants {
				p.Heard(result.Notes)
			}
		}
		return true, err
	})
	if err != nil {
		d.Log.Warn("the states of the last batch aren't all saved; the next start computes what is missing from the newest checkpoints on, as far as the inputs still hold that", "batch", b.alloc.Seq, "err", err)
	}
}

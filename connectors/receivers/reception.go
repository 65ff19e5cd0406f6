package receivers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// reception calls a stream's receiver, again and again.
//
// THREADING: begin starts one goroutine, which await waits for. The receiver may have more.
type reception struct {
	source
	ended chan struct{} // closed when the receiver isn't called any more
	// append keeps records, and returns when batches will have them. Any goroutine may call it.
	append func(ctx context.Context, records ...[]byte) error
	// note takes why nothing is received, "" if something is. Any goroutine may call it.
	note func(why string)
}

// begin begins to call the receiver, until ctx ends or it says that nothing more comes.
func (r *reception) begin(ctx context.Context) {
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		r.run(ctx)
	}()
}

// await waits so long for the end of a receiver whose context has ended. One that goes on is
// left to itself: what it still stores is an error, when the log is closed.
func (r *reception) await(most time.Duration) {
	patience := time.NewTimer(most)
	defer patience.Stop()
	select {
	case <-r.ended:
	case <-patience.C:
		r.logger.Warn("a receiver goes on although its context has ended: it should return then", "stream", r.op, "after", most)
	}
}

// Pauses before a receiver is called again, or a file removed: from the first, doubled, to the longest.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// run calls the receiver again and again, until ctx ends or it says that nothing more comes.
func (r *reception) run(ctx context.Context) {
	pause := firstPause
	for {
		var stored atomic.Bool
		err := r.once(ctx, &stored)
		if err == nil {
			r.note("")
		}
		if ctx.Err() != nil || err == nil {
			return
		}
		if stored.Load() {
			pause = firstPause
		}
		r.note(fmt.Sprintf("nothing is received: %v; it is tried again after %s", err, pause))
		r.logger.Warn("a receiver has ended and is started again", "stream", r.op, "pause", pause, "err", err)
		if !slept(ctx, pause) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// slept waits for so long. It reports false if ctx ends before.
func slept(ctx context.Context, pause time.Duration) bool {
	again := time.NewTimer(pause)
	defer again.Stop()
	select {
	case <-again.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once calls the receiver, whose panic is an error, and says whether it has stored anything.
func (r *reception) once(ctx context.Context, stored *atomic.Bool) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = lineage.Recovered(v)
		}
	}()
	return r.receive(ctx, func(own context.Context, records ...[]byte) error {
		if len(records) > 0 {
			if err := r.keep(ctx, own, records); err != nil {
				return err
			}
			stored.Store(true)
		}
		r.note("")
		return nil
	})
}

// keep keeps records unless the receiver's context ends meanwhile, or that which it gave to
// store.
func (r *reception) keep(ctx, own context.Context, records [][]byte) error {
	if own != ctx {
		var cancel context.CancelCauseFunc
		own, cancel = context.WithCancelCause(own)
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	}
	return r.append(own, records...)
}

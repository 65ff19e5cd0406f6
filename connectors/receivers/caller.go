package receivers

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// caller calls a stream's receiver, again and again.
//
// THREADING: begin starts a goroutine, which await waits for, and that one another for each call.
// The receiver may have more.
type caller struct {
	source
	ended chan struct{} // closed when the receiver isn't called any more
	// append keeps records, and returns when batches will have them. Any goroutine may call it.
	append func(ctx context.Context, records ...[]byte) error
	// note takes why nothing is received, "" if something is. Any goroutine may call it.
	note func(why string)
}

// begin begins to call the receiver, until ctx ends or it says that nothing more comes.
func (c *caller) begin(ctx context.Context) {
	c.ended = make(chan struct{})
	go func() {
		defer close(c.ended)
		c.run(ctx)
	}()
}

// await waits so long for the end of a receiver whose context has ended. One that goes on is
// left to itself: what it still stores is an error, when the log is closed.
func (c *caller) await(most time.Duration) {
	patience := time.NewTimer(most)
	defer patience.Stop()
	select {
	case <-c.ended:
	case <-patience.C:
		c.logger.Warn("a receiver goes on although its context has ended: it should return then", "stream", c.op, "after", most)
	}
}

// Pauses before a receiver is called again, or a file removed: from the first, doubled, to the longest.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// run calls the receiver again and again, until ctx ends or it says that nothing more comes.
func (c *caller) run(ctx context.Context) {
	pause := firstPause
	for {
		var stored atomic.Bool
		err := c.once(ctx, &stored)
		if err == nil {
			c.note("")
		}
		if ctx.Err() != nil || err == nil {
			return
		}
		if stored.Load() {
			pause = firstPause
		}
		c.note(fmt.Sprintf("nothing is received: %v; it is tried again after %s", err, pause))
		c.logger.Warn("a receiver has ended and is started again", "stream", c.op, "pause", pause, "err", err)
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

// errExited is what a receiver fails with whose goroutine ends before it returns.
var errExited = errors.New("it has called runtime.Goexit")

// once calls the receiver, in a goroutine that it waits for: its panic is an error, and so is
// that the goroutine ends before it returns. stored says whether it has stored anything.
func (c *caller) once(ctx context.Context, stored *atomic.Bool) error {
	ended := make(chan error, 1)
	go func() {
		err := errExited
		defer func() {
			if v := recover(); v != nil {
				err = lineage.Recovered(v)
			}
			ended <- err
		}()
		err = c.receive(ctx, c.store(ctx, stored))
	}()
	return <-ended
}

// store returns what the receiver is given to store records with.
func (c *caller) store(ctx context.Context, stored *atomic.Bool) Store {
	return func(own context.Context, records ...[]byte) error {
		if len(records) > 0 {
			if err := c.keep(ctx, own, records); err != nil {
				return err
			}
			stored.Store(true)
		}
		c.note("")
		return nil
	}
}

// keep keeps records unless the receiver's context ends meanwhile, or that which it gave to
// store.
func (c *caller) keep(ctx, own context.Context, records [][]byte) error {
	if own != ctx {
		var cancel context.CancelCauseFunc
		own, cancel = context.WithCancelCause(own)
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	}
	return c.append(own, records...)
}

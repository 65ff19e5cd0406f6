package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// errSilent says that a driver took a call and doesn't answer. What is asked may
// be asked again, of whoever leads then.
var errSilent = errors.New("the driver doesn't answer")

// idleCall is a call that is given up when nothing has come of it for a while:
// a driver that was stopped, or whose machine is gone, keeps connections open.
type idleCall struct {
	ctx   context.Context
	timer *time.Timer
	after time.Duration
}

// withIdle returns a call that ends after the given time without a sign of life.
// cancel releases it.
func withIdle(parent context.Context, after time.Duration) (c *idleCall, cancel context.CancelFunc) {
	ctx, end := context.WithCancelCause(parent)
	c = &idleCall{ctx: ctx, after: after}
	c.timer = time.AfterFunc(after, func() { end(errSilent) })
	return c, func() {
		c.timer.Stop()
		end(nil)
	}
}

// alive notes a sign of life; the next one may take as long as given.
func (c *idleCall) alive(next time.Duration) {
	c.after = next
	c.timer.Reset(next)
}

// verdict returns what became of the call: silence is an error that may pass.
func (c *idleCall) verdict(err error) error {
	if err != nil && errors.Is(context.Cause(c.ctx), errSilent) {
		return fmt.Errorf("%w: %w for %s", wire.ErrNotReady, errSilent, c.after)
	}
	return err
}

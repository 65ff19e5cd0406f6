package client

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// ask asks the leader one question.
func ask[A any](ctx context.Context, c *Client, question func(context.Context, wire.ControlClient) (*A, error)) (*A, error) {
	var answer *A
	err := c.persist(ctx, func(ctx context.Context, cc grpc.ClientConnInterface, _ func()) error {
		call, cancel := withIdle(ctx, attempt)
		defer cancel()
		var err error
		answer, err = question(call.ctx, wire.ControlClient{CC: cc})
		return call.verdict(err)
	})
	return answer, err
}

// tenth is how exactly people are told how long something took.
const tenth = 100 * time.Millisecond

// persist calls f with the leader until it succeeds or fails for good. Patience
// counts from the start, and anew when f says that it has advanced. f must be
// safe to repeat.
func (c *Client) persist(ctx context.Context, f func(ctx context.Context, leader grpc.ClientConnInterface, advanced func()) error) error {
	first := min(quiet, c.patience)
	began := time.Now()
	for patience, told := first, false; ; {
		moved := false
		err := c.cluster.Do(ctx, patience, func(ctx context.Context, leader grpc.ClientConnInterface) error {
			return f(ctx, leader, func() { moved = true })
		})
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !wire.Transient(err):
			return plain(err)
		case moved:
			began, patience, told = time.Now(), first, false
		default:
			left := c.patience - time.Since(began)
			if never := c.refusal(ctx, err, min(quiet, left)); never != nil {
				return never
			}
			if left = c.patience - time.Since(began); told || left <= 0 {
				return fmt.Errorf("gave up after %s: %w", time.Since(began).Round(tenth), plain(err))
			}
			c.waiting(plain(err))
			patience, told = left, true
		}
	}
}

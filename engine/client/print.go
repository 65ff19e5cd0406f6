package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// printPatience is how long a job may take for the next piece of what it prints. The
// leader gives up before.
const printPatience = 3 * time.Minute

// Print makes a job that runs print a state as lines of JSON, as it is when a batch is
// complete, or, of wire.Print{}, how far it has read its inputs. note is told of when that
// is. A job that has ended is an error that wraps [wire.ErrJobEnded].
func (c *Client) Print(ctx context.Context, job wire.JobRef, what wire.Print, out io.Writer, note func(string)) error {
	err := c.persist(ctx, func(ctx context.Context, leader grpc.ClientConnInterface, _ func()) error {
		call, cancel := withIdle(ctx, printPatience)
		defer cancel()
		stream, err := wire.ControlClient{CC: leader}.Print(call.ctx, &wire.PrintRequest{Job: job, What: what})
		for begun := false; err == nil; begun = true {
			var part *wire.PrintPart
			part, err = stream.Recv()
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil && begun: // once more would print lines twice
				return fmt.Errorf("what was printed isn't all: %w", errors.New(plain(call.verdict(err)).Error()))
			case err != nil:
				return call.verdict(err)
			}
			call.alive(printPatience)
			if part.Note != "" {
				note(part.Note)
			}
			if _, err := out.Write(part.Data); err != nil {
				return err
			}
		}
		return call.verdict(err)
	})
	if err != nil {
		return fmt.Errorf("job %s: %w", name(job), err)
	}
	return nil
}

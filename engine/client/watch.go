package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Watch calls changed with the status of a job, at once, then whenever it
// changes and at least once a second, until the job has ended, and returns its
// last status. Changes of leader don't show, except that what is not in Raft's
// log ([wire.Progress]) begins anew.
func (c *Client) Watch(ctx context.Context, job wire.JobRef, changed func(*wire.JobStatus)) (*wire.JobStatus, error) {
	var last *wire.JobStatus
	err := c.persist(ctx, func(ctx context.Context, leader grpc.ClientConnInterface, advanced func()) error {
		call, cancel := withIdle(ctx, attempt)
		defer cancel()
		stream, err := wire.ControlClient{CC: leader}.Watch(call.ctx, job)
		if err != nil {
			return call.verdict(err)
		}
		for {
			st, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("%w: the driver ended the watch before the job's end", wire.ErrNotReady)
			}
			if err != nil {
				return call.verdict(err)
			}
			call.alive(attempt)
			advanced()
			last = st
			changed(st)
			if st.State.Final() {
				return nil
			}
		}
	})
	if err != nil {
		return last, fmt.Errorf("watching job %s: %w", name(job), err)
	}
	return last, nil
}

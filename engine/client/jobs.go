package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Jobs lists the jobs that the cluster remembers, the newest first.
func (c *Client) Jobs(ctx context.Context) ([]wire.JobStatus, error) {
	var jobs []wire.JobStatus
	err := c.persist(ctx, func(ctx context.Context, leader grpc.ClientConnInterface, _ func()) error {
		call, cancel := withIdle(ctx, attempt)
		defer cancel()
		jobs = nil
		stream, err := wire.ControlClient{CC: leader}.Jobs(call.ctx)
		for err == nil {
			var st *wire.JobStatus
			if st, err = stream.Recv(); err == nil {
				call.alive(attempt)
				jobs = append(jobs, *st)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return call.verdict(err)
	})
	if err != nil {
		return nil, fmt.Errorf("listing jobs: %w", err)
	}
	return jobs, nil
}

// Status says how a job is.
func (c *Client) Status(ctx context.Context, job wire.JobRef) (*wire.JobStatus, error) {
	st, err := ask(ctx, c, func(ctx context.Context, cc wire.ControlClient) (*wire.JobStatus, error) {
		return cc.Status(ctx, job)
	})
	if err != nil {
		return nil, fmt.Errorf("asking for job %s: %w", name(job), err)
	}
	return st, nil
}

// Kill ends a job, at once or when what is planned is done. A job that has ended
// already stays as it is.
func (c *Client) Kill(ctx context.Context, job wire.JobRef, graceful bool) (*wire.JobStatus, error) {
	st, err := ask(ctx, c, func(ctx context.Context, cc wire.ControlClient) (*wire.JobStatus, error) {
		return cc.Kill(ctx, &wire.KillRequest{Job: job, Graceful: graceful})
	})
	if err != nil {
		return nil, fmt.Errorf("ending job %s: %w", name(job), err)
	}
	return st, nil
}

// Log returns what is recorded of a job: how to go on from it.
func (c *Client) Log(ctx context.Context, job wire.JobRef) (*batchlog.State, error) {
	var log *batchlog.State
	err := c.persist(ctx, func(ctx context.Context, leader grpc.ClientConnInterface, _ func()) error {
		call, cancel := withIdle(ctx, attempt)
		defer cancel()
		log = new(batchlog.State)
		stream, err := wire.ControlClient{CC: leader}.Log(call.ctx, job)
		for err == nil {
			var e *wire.LogEntry
			if e, err = stream.Recv(); err == nil {
				call.alive(attempt)
				err = e.AddTo(log)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return call.verdict(err)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the log of job %s: %w", name(job), err)
	}
	return log, nil
}

// DropLog drops what a job that has ended has left, so that it can't be resumed.
func (c *Client) DropLog(ctx context.Context, job wire.JobRef) error {
	_, err := ask(ctx, c, func(ctx context.Context, cc wire.ControlClient) (*wire.Recorded, error) {
		return nil, cc.DropLog(ctx, job)
	})
	if err != nil {
		return fmt.Errorf("forgetting what job %s has left: %w", name(job), err)
	}
	return nil
}

// Drain takes an executor's jobs away and gives it no more, until its daemon is started
// again. While it is the last one for some jobs that is an error, unless force is set. It
// returns false if that had been done before.
func (c *Client) Drain(ctx context.Context, executor string, force bool) (news bool, err error) {
	return c.executor(ctx, "draining", &wire.ExecutorRequest{ID: executor, Force: force})
}

// Forget makes the cluster forget an executor that is gone.
func (c *Client) Forget(ctx context.Context, executor string) error {
	_, err := c.executor(ctx, "forgetting", &wire.ExecutorRequest{ID: executor, Forget: true})
	return err
}

func (c *Client) executor(ctx context.Context, doing string, req *wire.ExecutorRequest) (news bool, err error) {
	a, err := ask(ctx, c, func(ctx context.Context, cc wire.ControlClient) (*wire.ExecutorAnswer, error) {
		return cc.Executor(ctx, req)
	})
	if err != nil {
		return false, fmt.Errorf("%s executor %s: %w", doing, req.ID, err)
	}
	return !a.Existed, nil
}

// Leader waits until there is a leader and returns what it knows of the cluster.
func (c *Client) Leader(ctx context.Context) (*wire.ClusterStatus, error) {
	st, err := ask(ctx, c, func(ctx context.Context, cc wire.ControlClient) (*wire.ClusterStatus, error) {
		return cc.Cluster(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("asking for the cluster: %w", err)
	}
	return st, nil
}

// name names a job in errors.
func name(job wire.JobRef) string {
	if job.Incarnation != 0 {
		return strconv.FormatUint(job.Incarnation, 10)
	}
	return job.Submission
}

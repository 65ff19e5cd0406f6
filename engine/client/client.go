package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Times that a Client keeps to.
const (
	// DefaultPatience is how long a call goes on without a leader.
	DefaultPatience = 30 * time.Second

	quiet      = time.Second     // without a leader before Config.Waiting is told
	attempt    = 5 * time.Second // for one answer of a driver that is asked
	longAnswer = time.Minute     // for the answer to a whole submission
)

// Config says where a cluster is and how to get in.
type Config struct {
	// Master lists addresses of engine-drivers, host:port separated by commas.
	// One that runs is enough; all of them survive the death of any.
	Master   string
	Security security.Security
	Patience time.Duration // how long a call goes on without a leader; 0 is DefaultPatience
	// Waiting is told why a call has got no answer, once, when it has waited for
	// a second. It may be nil. It is called on the goroutine of the call.
	Waiting func(error)
}

// Client talks to a cluster. It is safe for concurrent use.
type Client struct {
	cluster  *rpc.Cluster
	patience time.Duration
	waiting  func(error)
}

// New returns a Client. Nothing is connected yet.
func New(c Config) (*Client, error) {
	cluster, err := rpc.NewCluster(c.Master, c.Security)
	if err != nil {
		return nil, err
	}
	client := &Client{cluster: cluster, patience: c.Patience, waiting: c.Waiting}
	if client.patience <= 0 {
		client.patience = DefaultPatience
	}
	if client.waiting == nil {
		client.waiting = func(error) {}
	}
	return client, nil
}

// Close closes the connections.
func (c *Client) Close() error { return c.cluster.Close() }

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

// persist calls f with the leader until it succeeds or fails for good. Patience
// counts from the start, and anew when f says that it has advanced. f must be
// safe to repeat.
func (c *Client) persist(ctx context.Context, f func(ctx context.Context, leader grpc.ClientConnInterface, advanced func()) error) error {
	first := min(quiet, c.patience)
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
			patience, told = first, false
		default:
			if never := c.refusal(ctx, err); never != nil {
				return never
			}
			if told || c.patience <= quiet {
				return fmt.Errorf("gave up after %s: %w", c.patience, plain(err))
			}
			c.waiting(plain(err))
			patience, told = c.patience-quiet, true
		}
	}
}

// plainError is an error of gRPC without the words that mean nothing to people.
type plainError struct {
	err     error
	message string
}

// Error returns gRPC's description.
func (e *plainError) Error() string { return e.message }

// Unwrap returns gRPC's error.
func (e *plainError) Unwrap() error { return e.err }

// plain takes gRPC's words off an error that comes from gRPC itself.
func plain(err error) error {
	if _, direct := err.(interface{ GRPCStatus() *status.Status }); direct {
		return &plainError{err: err, message: rpc.Brief(err)}
	}
	return err
}

// errSilent says that a driver took a call and doesn't answer. What is asked may
// be asked again, of whoever leads then.
var errSilent = errors.New("the driver doesn't answer")

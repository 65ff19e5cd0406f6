package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// LogOptions say which output of a job is read. A log lies on the machine where
// its process ran.
type LogOptions struct {
	// Driver and Executor are ids of daemons. Both "" is the engine-driver that
	// runs, or last ran, the job's driver process.
	Driver, Executor string
	Tail             int64 // bytes before the end to begin at; 0 is all that is kept
	Follow           bool  // go on until the job has ended
	// Moved is told where the log comes from, when reading it begins and when it
	// goes on elsewhere after the job's driver process has moved. It may be nil.
	Moved func(node string)
}

// Logs writes the output of a job's process. Following the job's driver process,
// it goes on with the next one when the daemon that ran it is gone; what the
// dead one had written last may come twice or be lost.
func (c *Client) Logs(ctx context.Context, job wire.JobRef, o LogOptions, w io.Writer) error {
	if o.Moved == nil {
		o.Moved = func(string) {}
	}
	if o.Driver != "" && o.Executor != "" {
		return fmt.Errorf("%w: a log is an engine-driver's or an engine-executor's, not both", wire.ErrInvalid)
	}
	tail, last := o.Tail, ""
	err := c.persist(ctx, func(ctx context.Context, leader grpc.ClientConnInterface, advanced func()) error {
		st, from, err := locate(ctx, wire.ControlClient{CC: leader}, job, o)
		if err != nil {
			return err
		}
		if from.node != last {
			last = from.node
			o.Moved(last)
		}
		cc, err := c.cluster.Conn(from.address)
		if err != nil {
			return err
		}
		req := &wire.LogsRequest{Incarnation: st.Spec.Incarnation, Tail: tail, Follow: o.Follow && !st.State.Final()}
		n, err := copyLog(ctx, cc, req, w)
		if n > 0 {
			advanced()
			tail = resumeTail
		}
		if err != nil {
			err = fmt.Errorf("reading the log on %s at %s: %w", from.node, from.address, err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the log of job %s: %w", name(job), err)
	}
	return nil
}

// resumeTail is how much of a log is read again when following goes on, in bytes.
const resumeTail = 4 << 10

// source is where a log lies.
type source struct{ node, address string }

// locate finds out where a job's log lies.
func locate(ctx context.Context, control wire.ControlClient, job wire.JobRef, o LogOptions) (*wire.JobStatus, source, error) {
	call, cancel := withIdle(ctx, attempt)
	defer cancel()
	st, err := control.Status(call.ctx, job)
	if err != nil {
		return nil, source{}, call.verdict(err)
	}
	cluster, err := control.Cluster(call.ctx)
	if err != nil {
		return nil, source{}, call.verdict(err)
	}
	if o.Executor != "" {
		var ids []string
		for _, e := range cluster.Executors {
			if e.ID == o.Executor {
				return st, source{e.ID, e.Address}, nil
			}
			ids = append(ids, e.ID)
		}
		return nil, source{}, fmt.Errorf("%w: there is no executor %q; there are %v", wire.ErrInvalid, o.Executor, ids)
	}
	node := o.Driver
	if node == "" {
		node = st.Node
	}
	if node == "" {
		return nil, source{}, fmt.Errorf("%w: no engine-driver has run the job's driver process yet: the job is %s", wire.ErrInvalid, st.State)
	}
	var ids []string
	for _, d := range cluster.Drivers {
		if d.ID == node {
			return st, source{d.ID, d.Address}, nil
		}
		ids = append(ids, d.ID)
	}
	return nil, source{}, fmt.Errorf("%w: there is no engine-driver %q; there are %v", wire.ErrInvalid, node, ids)
}

// copyLog writes a log, or what it has of it, and returns how many bytes.
func copyLog(ctx context.Context, cc grpc.ClientConnInterface, req *wire.LogsRequest, w io.Writer) (n int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := wire.LogsClient{CC: cc}.Logs(ctx, req)
	if err != nil {
		return 0, plain(err)
	}
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, plain(err)
		}
		n += int64(len(chunk.Data))
		if _, err := w.Write(chunk.Data); err != nil {
			return n, fmt.Errorf("writing the log: %w", err)
		}
	}
}

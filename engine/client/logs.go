package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
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
// it goes on with the next one when the daemon that ran it is gone or leads no
// more; what a dead one had written last may come twice or be lost.
func (c *Client) Logs(ctx context.Context, job wire.JobRef, o LogOptions, w io.Writer) error {
	if o.Moved == nil {
		o.Moved = func(string) {}
	}
	if o.Driver != "" && o.Executor != "" {
		return fmt.Errorf("%w: a log is an engine-driver's or an engine-executor's, not both", wire.ErrInvalid)
	}
	r := logReader{job: job, o: o, w: w, tail: o.Tail}
	err := c.persist(ctx, func(ctx context.Context, leader grpc.ClientConnInterface, advanced func()) error {
		return r.read(ctx, c.cluster, leader, advanced)
	})
	if err != nil {
		return fmt.Errorf("reading the log of job %s: %w", name(job), err)
	}
	return nil
}

// logReader reads a job's log, piece by piece while its processes change.
type logReader struct {
	job   wire.JobRef
	o     LogOptions
	w     io.Writer
	tail  int64  // for the next piece
	from  string // node of the last piece
	ended source // whose log has come to its end
}

// read reads the log of the process that the job has now. Following, it is called
// again until the job has ended: a leader that steps down ends the log that it
// keeps, and the job goes on elsewhere.
func (r *logReader) read(ctx context.Context, cluster *rpc.Cluster, leader grpc.ClientConnInterface, advanced func()) error {
	st, from, err := locate(ctx, wire.ControlClient{CC: leader}, r.job, r.o)
	if err != nil {
		return err
	}
	if from.node == r.ended.node && (from.process == r.ended.process || from.process == 0) {
		if st.State.Final() {
			return nil
		}
		advanced() // the cluster is there
		return errBetween
	}
	if from.node != r.from {
		r.from = from.node
		r.o.Moved(r.from)
	}
	cc, err := cluster.Conn(from.address)
	if err != nil {
		return err
	}
	follow := r.o.Follow && !st.State.Final()
	n, err := copyLog(ctx, cc, &wire.LogsRequest{Incarnation: st.Spec.Incarnation, Tail: r.tail, Follow: follow}, r.w)
	if n > 0 {
		advanced()
		r.tail = resumeTail
	}
	if err != nil && from.silent && !follow { // waiting doesn't help: it isn't transient
		return fmt.Errorf("executor %s at %s is silent, and the log lies there: %v", from.node, from.address, err)
	}
	if err != nil {
		return fmt.Errorf("reading the log on %s at %s: %w", from.node, from.address, err)
	}
	if follow {
		r.ended = from
		advanced()
		return errBetween
	}
	return nil
}

// errBetween says that a log has come to its end, though the job may go on.
var errBetween = fmt.Errorf("%w: the job's next process hasn't begun", wire.ErrNotReady)

// resumeTail is how much of a log is read again when following goes on, in bytes.
const resumeTail = 4 << 10

// source is where a log lies.
type source struct {
	node, address string
	silent        bool   // an executor of which the leader doesn't hear
	process       uint64 // that writes to it: epoch or instance, 0 while there is none
}

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
				return st, source{node: e.ID, address: e.Address, silent: !e.Alive, process: instance(st, e.ID)}, nil
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
		kind := wire.ErrInvalid
		if o.Follow && !st.State.Final() {
			kind = wire.ErrNotReady // it will
		}
		return nil, source{}, fmt.Errorf("%w: no engine-driver has run the job's driver process yet: the job is %s", kind, st.State)
	}
	var process uint64
	if node == st.Node {
		process = st.Epoch
	}
	var ids []string
	for _, d := range cluster.Drivers {
		if d.ID == node {
			return st, source{node: d.ID, address: d.Address, process: process}, nil
		}
		ids = append(ids, d.ID)
	}
	return nil, source{}, fmt.Errorf("%w: there is no engine-driver %q; there are %v", wire.ErrInvalid, node, ids)
}

// instance returns which process of a job an executor has, 0 for none.
func instance(st *wire.JobStatus, executor string) uint64 {
	for _, p := range st.Executors {
		if p.Executor == executor {
			return p.Instance
		}
	}
	return 0
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

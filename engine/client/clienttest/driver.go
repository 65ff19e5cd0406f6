package clienttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// leads returns an error unless the driver leads. It is called with mu held.
func (d *driver) leads() error {
	c := d.cluster
	switch {
	case c.leader == d.number:
		return nil
	case c.leader < 0:
		return &wire.NotLeaderError{}
	}
	return &wire.NotLeaderError{Leader: c.drivers[c.leader].address}
}

// leading calls f with mu held if the driver leads.
func (d *driver) leading(f func() error) error {
	d.cluster.mu.Lock()
	defer d.cluster.mu.Unlock()
	if err := d.leads(); err != nil {
		return err
	}
	return f()
}

// Submit implements wire.ControlServer.
func (d *driver) Submit(stream grpc.BidiStreamingServer[wire.SubmitPart, wire.SubmitAnswer]) error {
	part, err := stream.Recv()
	if err != nil {
		return err
	}
	begin := part.Begin
	if begin == nil {
		return fmt.Errorf("%w: a submission begins with SubmitBegin", wire.ErrInvalid)
	}
	var need bool
	if err := d.leading(func() error {
		_, have := d.cluster.binaries[begin.Binary]
		need = !have
		if d.cluster.reject != nil {
			return d.cluster.reject(begin)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := stream.Send(&wire.SubmitAnswer{Need: need, Resume: begin.Resume}); err != nil {
		return err
	}
	var program []byte
	for {
		part, err := stream.Recv()
		if err != nil {
			return err // of a client that is gone: nothing has happened
		}
		if part.Commit {
			break
		}
		program = append(program, part.Chunk...)
		if d.cuts(int64(len(program))) {
			go d.cluster.Kill(d.id) // waits for this method to return
			<-stream.Context().Done()
			return stream.Context().Err()
		}
	}
	var answer *wire.SubmitAnswer
	if err := d.leading(func() (err error) { answer, err = d.take(begin, need, program); return err }); err != nil {
		return err
	}
	return stream.Send(answer)
}

// cuts reports whether the driver is to die now.
func (d *driver) cuts(uploaded int64) bool {
	c := d.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cutAfter == 0 || uploaded < c.cutAfter {
		return false
	}
	c.cutAfter = 0
	return true
}

// take records a job. It is called with mu held.
func (d *driver) take(begin *wire.SubmitBegin, uploaded bool, program []byte) (*wire.SubmitAnswer, error) {
	c := d.cluster
	if sum := sha256.Sum256(program); uploaded && hex.EncodeToString(sum[:]) != begin.Binary {
		return nil, fmt.Errorf("%w: what was sent isn't what was announced", wire.ErrBinary)
	}
	if uploaded {
		c.binaries[begin.Binary] = program
	}
	if j := c.job(wire.JobRef{Submission: begin.Submission}); j != nil {
		if j.digest != begin.Binary || !slices.Equal(j.status.Spec.Args, begin.Args) || j.status.Spec.Resume != begin.Resume {
			return nil, fmt.Errorf("%w: job %d has it", wire.ErrSubmissionTaken, j.status.Spec.Incarnation)
		}
		return &wire.SubmitAnswer{Incarnation: j.status.Spec.Incarnation, Existed: true}, nil
	}
	c.index++
	c.jobs = append(c.jobs, &job{digest: begin.Binary, logs: make(map[string][]byte), status: wire.JobStatus{
		Spec: wire.JobSpec{
			Incarnation: c.index, Submission: begin.Submission, Name: begin.Name,
			Args: begin.Args, Secrets: begin.Secrets, Binary: begin.Binary, Size: begin.Size, Platform: "linux/amd64",
			Resume: begin.Resume, AllowLoss: begin.AllowLoss,
		},
		State: wire.JobRunning, Node: d.id, Epoch: c.index, MaxSlots: begin.MaxSlots,
	}})
	close(c.changed)
	c.changed = make(chan struct{})
	return &wire.SubmitAnswer{Incarnation: c.index}, nil
}

// Publish implements wire.ControlServer: jobs that run have a model called m, and
// a version's digest says what was asked for.
func (d *driver) Publish(stream grpc.BidiStreamingServer[wire.PublishPart, wire.PublishAnswer]) error {
	part, err := stream.Recv()
	if err != nil {
		return err
	}
	begin := part.Begin
	if begin == nil {
		return fmt.Errorf("%w: publishing begins with PublishBegin", wire.ErrInvalid)
	}
	st, _, err := d.state(begin.Job)
	if err == nil && st.State.Final() {
		err = wire.ErrJobEnded
	}
	if err != nil {
		return err
	}
	size := 0
	for !part.Commit {
		if part, err = stream.Recv(); err != nil {
			return err
		}
		size += len(part.Chunk)
	}
	if begin.Model != "m" {
		return fmt.Errorf("%w: there is no model %s", wire.ErrVersion, begin.Model)
	}
	answer := fmt.Sprintf("m of %d bytes", size)
	if begin.Rollback {
		answer = "back to " + begin.Digest
	}
	return errors.Join(stream.Send(&wire.PublishAnswer{}), stream.Send(&wire.PublishAnswer{Digest: answer}))
}

// Log implements wire.ControlServer.
func (d *driver) Log(ref *wire.JobRef, stream grpc.ServerStreamingServer[wire.LogEntry]) error {
	st, _, err := d.state(*ref)
	if err != nil {
		return err
	}
	if st.State.Final() && !st.Left {
		return fmt.Errorf("%w: the log of job %d isn't there any more", wire.ErrInvalid, st.Spec.Incarnation)
	}
	return errors.Join(stream.Send(&wire.LogEntry{Header: &wire.Header{Data: []byte("header")}}),
		stream.Send(&wire.LogEntry{Last: &wire.Pending{Seq: 7, Epoch: 3, Data: []byte("ranges")}}))
}

// Print implements wire.ControlServer: jobs that run have a state called s.
func (d *driver) Print(req *wire.PrintRequest, stream grpc.ServerStreamingServer[wire.PrintPart]) error {
	st, _, err := d.state(req.Job)
	switch {
	case err != nil:
		return err
	case st.State.Final():
		return wire.ErrJobEnded
	case req.What.State != "" && req.What.State != "s":
		return fmt.Errorf("%w: the job has no state %q; it has s", wire.ErrInvalid, req.What.State)
	}
	return errors.Join(stream.Send(&wire.PrintPart{Note: "as of batch 7"}),
		stream.Send(&wire.PrintPart{Data: fmt.Appendf(nil, "%s %s\n", req.What.State, req.What.Key)}))
}

// DropLog implements wire.ControlServer.
func (d *driver) DropLog(_ context.Context, ref *wire.JobRef) (*wire.Recorded, error) {
	st, _, err := d.state(*ref)
	if err == nil && !st.State.Final() {
		err = fmt.Errorf("%w: job %d is %s, so that it needs its log", wire.ErrInvalid, st.Spec.Incarnation, st.State)
	}
	if err != nil {
		return nil, err
	}
	d.cluster.Update(st.Spec.Incarnation, func(st *wire.JobStatus) { st.Left = false })
	return &wire.Recorded{}, nil
}

// Jobs implements wire.ControlServer.
func (d *driver) Jobs(_ *wire.JobsRequest, stream grpc.ServerStreamingServer[wire.JobStatus]) error {
	var all []wire.JobStatus
	err := d.leading(func() error {
		for _, j := range slices.Backward(d.cluster.jobs) {
			all = append(all, j.status)
		}
		return nil
	})
	for i := 0; i < len(all) && err == nil; i++ {
		err = stream.Send(&all[i])
	}
	return err
}

// Status implements wire.ControlServer.
func (d *driver) Status(_ context.Context, ref *wire.JobRef) (*wire.JobStatus, error) {
	d.cluster.mu.Lock()
	asked := d.cluster.asked
	d.cluster.mu.Unlock()
	if asked != nil {
		asked()
	}
	st, _, err := d.state(*ref)
	return st, err
}

// state returns a job's status and what is closed when it changes.
func (d *driver) state(ref wire.JobRef) (st *wire.JobStatus, changed <-chan struct{}, err error) {
	err = d.leading(func() error {
		j := d.cluster.job(ref)
		if j == nil {
			return fmt.Errorf("%w: %d%s", wire.ErrNoJob, ref.Incarnation, ref.Submission)
		}
		copied := j.status
		st, changed = &copied, d.cluster.changed
		return nil
	})
	return st, changed, err
}

// Kill implements wire.ControlServer.
func (d *driver) Kill(ctx context.Context, req *wire.KillRequest) (*wire.JobStatus, error) {
	st, _, err := d.state(req.Job)
	if err != nil {
		return nil, err
	}
	d.cluster.Update(st.Spec.Incarnation, func(st *wire.JobStatus) {
		switch {
		case st.State.Final():
		case req.Graceful:
			st.State = wire.JobStopping
		default:
			st.State, st.Reason = wire.JobKilled, "killed by a user"
		}
	})
	return d.Status(ctx, &req.Job)
}

// Watch implements wire.ControlServer.
func (d *driver) Watch(ref *wire.JobRef, stream grpc.ServerStreamingServer[wire.JobStatus]) error {
	for {
		st, changed, err := d.state(*ref)
		if err != nil {
			return err
		}
		if err := stream.Send(st); err != nil || st.State.Final() {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// Executor implements wire.ControlServer.
func (d *driver) Executor(_ context.Context, req *wire.ExecutorRequest) (*wire.ExecutorAnswer, error) {
	c := d.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.executors, func(e wire.ExecutorStatus) bool { return e.ID == req.ID })
	switch {
	case i < 0:
		return nil, fmt.Errorf("%w: there is no executor %q", wire.ErrInvalid, req.ID)
	case req.Forget && c.executors[i].Alive:
		return nil, fmt.Errorf("%w: executor %q is there", wire.ErrInvalid, req.ID)
	case req.Forget:
		c.executors = slices.Delete(c.executors, i, i+1)
		return &wire.ExecutorAnswer{}, nil
	case len(c.executors) == 1 && !req.Force:
		return nil, fmt.Errorf("%w: %s is the last executor", wire.ErrInvalid, req.ID)
	}
	before := c.executors[i].Drained
	c.executors[i].Drained = true
	return &wire.ExecutorAnswer{Existed: before}, nil
}

// Cluster implements wire.ControlServer.
func (d *driver) Cluster(context.Context, *wire.ClusterRequest) (*wire.ClusterStatus, error) {
	c := d.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &wire.ClusterStatus{ClusterID: "test", Node: d.id, Term: 2, Executors: slices.Clone(c.executors)}
	if c.leader >= 0 {
		st.Leader = c.drivers[c.leader].address
	}
	for i, peer := range c.drivers {
		st.Drivers = append(st.Drivers, wire.DriverNode{ID: peer.id, Address: peer.address, Leader: i == c.leader})
	}
	return st, nil
}

// Logs implements wire.LogsServer. A log is open while the driver leads and runs the
// job's driver process.
func (d *driver) Logs(req *wire.LogsRequest, stream grpc.ServerStreamingServer[wire.Chunk]) error {
	c := d.cluster
	for sent := -1; ; {
		c.mu.Lock()
		j := c.job(wire.JobRef{Incarnation: req.Incarnation})
		if j == nil {
			c.mu.Unlock()
			return fmt.Errorf("%w: %d", wire.ErrNoJob, req.Incarnation)
		}
		open := c.leader == d.number && j.status.Node == d.id && !j.status.State.Final()
		log, changed := j.logs[d.id], c.changed
		c.mu.Unlock()
		if sent < 0 {
			sent = 0
			if req.Tail > 0 {
				sent = max(0, len(log)-int(req.Tail))
			}
		}
		if sent < len(log) {
			if err := stream.Send(&wire.Chunk{Data: log[sent:]}); err != nil {
				return err
			}
			sent = len(log)
		}
		if !req.Follow || !open {
			return nil
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

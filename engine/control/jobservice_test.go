package control

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// oneMember returns a node that is a group of its own, and leads.
func oneMember(t *testing.T) *member {
	t.Helper()
	m := prepareMembers(t, token(), "a")
	m.openAll()
	return m.nodes[m.leader()]
}

// attach connects a driver process in place to the service of a job.
func attach(t *testing.T, n *node, job, epoch uint64) (wire.JobLogClient, func()) {
	t.Helper()
	daemon, theirs, err := wire.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	spec := wire.DriverSpec{Job: wire.JobSpec{Incarnation: job, Platform: "p"}}
	s := newJobService(ctx, n, spec, epoch, func(wire.Progress) {})
	server := wire.NewParentServer()
	wire.RegisterJobLog(server, s)
	var work sync.WaitGroup
	work.Go(func() { wire.ServeConn(server, daemon) })
	work.Go(s.flush)
	conn, err := net.FileConn(theirs)
	if err = errors.Join(err, theirs.Close()); err != nil {
		t.Fatal(err)
	}
	p, err := wire.NewParent(conn)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	end := func() {
		once.Do(func() {
			cancel()
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			work.Wait()
			<-p.Gone()
		})
	}
	t.Cleanup(end)
	return wire.JobLogClient{CC: p.CC}, end
}

// recovered collects what a driver finds.
func recovered(t *testing.T, c wire.JobLogClient, epoch uint64) (entries []*wire.LogEntry) {
	t.Helper()
	s, err := c.Recover(t.Context(), &wire.RecoverRequest{Epoch: epoch})
	for err == nil {
		var e *wire.LogEntry
		if e, err = s.Recv(); err == nil {
			entries = append(entries, e)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return entries
}

// What one driver process records the next one finds, its own completions
// included; what the first one says afterwards is refused.
func TestJobLogOverTheSocket(t *testing.T) {
	n := oneMember(t).node
	job := mustPropose(t, n, &submitJob{Spec: wire.JobSpec{Submission: "s"}}).index
	epoch := mustPropose(t, n, &assignDriver{Incarnation: job, Node: "a"}).index
	ctx := t.Context()
	first, endFirst := attach(t, n, job, epoch)
	if spec, err := first.Attach(ctx, &wire.AttachDriver{Name: "x"}); err != nil || spec.Job.Incarnation != job {
		t.Fatalf("%+v, %v", spec, err)
	}
	steps := []error{
		first.Start(ctx, &wire.StartRequest{Epoch: epoch, Header: []byte("head")}),
		first.RecordValue(ctx, &wire.ValueRequest{Epoch: epoch, Name: "now", Data: []byte("12")}),
		first.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 1, Allocation: []byte("one")}),
		first.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 2, Allocation: []byte("two")}),
		first.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 2, Allocation: []byte("two")}), // an answer was lost
		first.Complete(ctx, &wire.CompleteRequest{Epoch: epoch, Completions: []wire.Completion{{Seq: 1, Output: wire.AllOutputs}, {Seq: 2, Output: 3}}}),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	if err := first.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 9}); !errors.Is(err, wire.ErrSequence) {
		t.Errorf("a batch left out: %v", err)
	}
	if err := first.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch - 1, Seq: 3}); !errors.Is(err, wire.ErrStaleEpoch) {
		t.Errorf("another epoch: %v", err)
	}
	endFirst() // the process dies before its completions are recorded

	next := mustPropose(t, n, &assignDriver{Incarnation: job, After: epoch, Node: "a", Crashed: true}).index
	deposed, _ := attach(t, n, job, epoch)
	if err := deposed.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 3}); !errors.Is(err, wire.ErrStaleEpoch) {
		t.Errorf("the deposed driver's batch: %v", err)
	}
	second, _ := attach(t, n, job, next)
	got := recovered(t, second, next)
	if len(got) != 4 || string(got[0].Header.Data) != "head" || got[1].Value.Name != "now" {
		t.Fatalf("recovered %+v", got)
	}
	if p := got[2].Pending; p.Seq != 2 || string(p.Data) != "two" || len(p.Done) != 1 || p.Done[0] != 3 || p.Epoch != epoch {
		t.Errorf("pending %+v", p)
	}
	if l := got[3].Last; l.Seq != 2 {
		t.Errorf("last %+v", l)
	}
	if err := second.Finish(ctx, &wire.FinishRequest{Epoch: next, Failure: "no reason"}); err != nil {
		t.Fatal(err)
	}
	if err := second.Allocate(ctx, &wire.AllocateRequest{Epoch: next, Seq: 3}); !errors.Is(err, wire.ErrJobEnded) {
		t.Errorf("after the end: %v", err)
	}
}

// A driver is told that it is one, who its executors are, and to stop.
func TestEvents(t *testing.T) {
	n := oneMember(t).node
	job := mustPropose(t, n, &submitJob{Spec: wire.JobSpec{Submission: "s", Platform: "p"}}).index
	epoch := mustPropose(t, n, &assignDriver{Incarnation: job, Node: "a"}).index
	c, _ := attach(t, n, job, epoch)
	events, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := func() *wire.DriverEvent {
		t.Helper()
		e, err := events.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := next(); e.Activated == nil || e.Activated.Epoch != epoch {
		t.Fatalf("first %+v", e)
	}
	if e := next(); e.Members == nil || len(e.Members.Processes) != 0 {
		t.Fatalf("then %+v", e)
	}
	mustPropose(t, n, &registerExecutor{ID: "e", Start: "1", Slots: 2, Platform: "p"})
	if e := next(); e.Members == nil || e.Members.Expected != 1 {
		t.Fatalf("an executor: %+v", e)
	}
	mustPropose(t, n, &processReady{Executor: "e", Start: "1", Incarnation: job, Process: "p", Address: "x:1", Slots: 2})
	if e := next(); e.Members == nil || len(e.Members.Processes) != 1 || e.Members.Processes[0].Address != "x:1" {
		t.Fatalf("its process: %+v", e)
	}
	mustPropose(t, n, &loseExecutor{ID: "e", Start: "1"})
	if e := next(); e.Members == nil || len(e.Members.Processes) != 0 || e.Members.Expected != 0 {
		t.Fatalf("it is lost: %+v", e)
	}
	mustPropose(t, n, &stopJob{Incarnation: job})
	if e := next(); e.Stop == nil {
		t.Fatalf("a wish to stop: %+v", e)
	}
}

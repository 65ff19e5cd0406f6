package control

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

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
	n := oneNode(t).Replica
	job := grouptest.MustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	ctx := t.Context()
	first, endFirst := attach(t, n, job, epoch)
	if spec, err := first.Attach(ctx, &wire.AttachDriver{Name: "x"}); err != nil || spec.Job.Incarnation != job {
		t.Fatalf("%+v, %v", spec, err)
	}
	steps := []error{
		first.Start(ctx, &wire.StartRequest{Epoch: epoch, Header: []byte("head")}),
		first.RecordValue(ctx, &wire.ValueRequest{Epoch: epoch, Name: "now", Data: []byte("12")}),
		first.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 1, Allocation: []byte("one")}),
		first.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 2, Allocation: []byte("two"), Keep: 1}),
		first.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 2, Allocation: []byte("two"), Keep: 1}), // an answer was lost
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

	next := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, After: epoch, Node: "a", Crashed: true}).Index
	deposed, _ := attach(t, n, job, epoch)
	if err := deposed.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: 3}); !errors.Is(err, wire.ErrStaleEpoch) {
		t.Errorf("the deposed driver's batch: %v", err)
	}
	second, _ := attach(t, n, job, next)
	got := recovered(t, second, next)
	if len(got) != 5 || string(got[0].Header.Data) != "head" || got[1].Value.Name != "now" {
		t.Fatalf("recovered %+v", got)
	}
	if p := got[2].Past; p.Seq != 1 || string(p.Data) != "one" {
		t.Errorf("kept %+v", p)
	}
	if p := got[3].Pending; p.Seq != 2 || string(p.Data) != "two" || len(p.Done) != 1 || p.Done[0] != 3 || p.Epoch != epoch {
		t.Errorf("pending %+v", p)
	}
	if l := got[4].Last; l.Seq != 2 || l.Keep != 1 {
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
	n := oneNode(t).Replica
	job := grouptest.MustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s", Platform: "p"}}).Index
	epoch := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	var service *jobService
	c, _ := attachTo(t, n, job, epoch, &service)
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
	grouptest.MustPropose(t, n, &state.RegisterExecutor{ID: "e", Start: "1", Slots: 2, Platform: "p"})
	if e := next(); e.Members == nil || e.Members.Expected != 1 {
		t.Fatalf("an executor: %+v", e)
	}
	grouptest.MustPropose(t, n, &state.ProcessReady{Executor: "e", Start: "1", Incarnation: job, Process: "p", Address: "x:1", Slots: 2})
	if e := next(); e.Members == nil || len(e.Members.Processes) != 1 || e.Members.Processes[0].Address != "x:1" {
		t.Fatalf("its process: %+v", e)
	}
	service.tellDied(wire.ProcessDied{Executor: "e", Address: "x:1", Status: "exit status 3"})
	grouptest.MustPropose(t, n, &state.ProcessReady{Executor: "e", Start: "1", Incarnation: job, Process: "q", Address: "x:2", Slots: 2})
	if e := next(); e.Died == nil || e.Died.Address != "x:1" {
		t.Fatalf("it died, before another took its place: %+v", e)
	}
	if e := next(); e.Members == nil || e.Members.Processes[0].Address != "x:2" {
		t.Fatalf("the process in its place: %+v", e)
	}
	other := grouptest.MustPropose(t, n, &state.TakeJob{Spec: wire.JobSpec{Submission: "other", Platform: "p"}}).Index
	grouptest.MustPropose(t, n, &state.ProcessReady{Executor: "e", Start: "1", Incarnation: other, Process: "r", Address: "x:3", Slots: 2})
	if e := next(); e.Members == nil || len(e.Members.Processes) != 1 || e.Members.Processes[0].Slots != 1 {
		t.Fatalf("another job shares the executor: %+v", e)
	}
	grouptest.MustPropose(t, n, &state.EndJob{Incarnation: other, State: wire.JobFinished})
	if e := next(); e.Members == nil || e.Members.Processes[0].Slots != 2 {
		t.Fatalf("it has ended: %+v", e)
	}
	grouptest.MustPropose(t, n, &state.LoseExecutor{ID: "e", Start: "1"})
	if e := next(); e.Members == nil || len(e.Members.Processes) != 0 || e.Members.Expected != 0 {
		t.Fatalf("it is lost: %+v", e)
	}
	grouptest.MustPropose(t, n, &state.StopJob{Incarnation: job})
	if e := next(); e.Stop == nil {
		t.Fatalf("a wish to stop: %+v", e)
	}
}

// A job whose log can't be read because the disk is slow isn't told that it has
// failed, but to try again.
func TestDiskIsSlow(t *testing.T) {
	m := grouptest.New(t, securitytest.Token(), "a")
	n := m.Nodes[m.Leader()].Replica
	job := grouptest.MustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	c, _ := attach(t, n, job, epoch)
	disk := m.Disks[0]
	disk.Hangs.Store(true)
	answer := make(chan error, 1)
	go func() { _, err := n.Propose(&state.StopJob{Incarnation: 99}); answer <- err }() // its answer is waited for
	<-disk.Hung
	s, err := c.Recover(t.Context(), &wire.RecoverRequest{Epoch: epoch})
	if err == nil {
		_, err = s.Recv()
	}
	if !wire.Transient(err) {
		t.Errorf("while the disk hangs: %v", err)
	}
	close(disk.Release)
	if err := <-answer; !errors.Is(err, wire.ErrNoJob) {
		t.Errorf("what waited for the disk: %v", err)
	}
	recovered(t, c, epoch)
}

// What a process has done is recorded when it has ended, though the log is slow just
// then, or a batch that was to take it along is refused afterwards.
func TestCompletionsOutliveTheProcess(t *testing.T) {
	for _, tt := range []struct {
		name string
		next uint64 // the batch that is allocated while the log is slow; 0 for none
	}{
		{"the log is slow", 0},
		{"a batch goes first", 2},
		{"a batch is refused", 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := grouptest.NewHungStore(raft.NewInmemStore())
				g := grouptest.NewMemoryOn(t, func(int) raftgroup.Store { return disk }, "a")
				n := g.Nodes[0]
				defer g.Close()
				g.Leader()
				job := grouptest.MustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
				epoch := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
				grouptest.MustPropose(t, n, &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: 1})

				ctx, cancel := context.WithCancel(t.Context())
				s := newJobService(ctx, n, wire.DriverSpec{Job: wire.JobSpec{Incarnation: job}}, epoch, new(health))
				var work sync.WaitGroup
				disk.Hangs.Store(true)
				work.Go(func() { _, _ = n.Propose(&state.StopJob{Incarnation: 99}) }) // what it answers is no matter
				<-disk.Hung
				if _, err := s.Complete(ctx, &wire.CompleteRequest{Epoch: epoch, Completions: []wire.Completion{{Seq: 1, Output: wire.AllOutputs}}}); err != nil {
					t.Fatal(err)
				}
				if tt.next > 0 {
					work.Go(func() { _, _ = s.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: tt.next}) })
					synctest.Wait()
				}
				work.Go(func() { s.completions.flush(t.Context()) })
				cancel()
				if tt.next == 0 {
					time.Sleep(2 * raftgroup.ProposeTimeout) // of virtual time
				}
				close(disk.Release)
				work.Wait()
				n.View(func(st *state.State) {
					left := st.Jobs[job].Pending
					if slices.ContainsFunc(left, func(p wire.Pending) bool { return p.Seq == 1 }) {
						t.Errorf("the batch isn't complete: %+v", left)
					}
				})
				if _, err := s.Complete(t.Context(), &wire.CompleteRequest{Epoch: epoch}); err == nil {
					t.Error("what comes later is taken, and lost")
				}
			})
		})
	}
}

// Completions that wait are bounded, those that are being recorded included.
func TestCompletionsThatWaitAreBounded(t *testing.T) {
	s := newJobService(t.Context(), nil, wire.DriverSpec{}, 1, new(health))
	complete := func(n int) error {
		_, err := s.Complete(t.Context(), &wire.CompleteRequest{Epoch: 1, Completions: make([]wire.Completion, n)})
		return err
	}
	failed, recorded := errors.New("no majority"), error(nil)
	for _, step := range []struct {
		name string
		do   func() error
		want error
		left int // that wait
	}{
		{"too many at once", func() error { return complete(state.MaxCompletions + 1) }, wire.ErrTooLarge, 0},
		{"as many as go", func() error { return complete(state.MaxCompletions) }, nil, state.MaxCompletions},
		{"one more", func() error { return complete(1) }, wire.ErrTooLarge, state.MaxCompletions},
		{"one more while they are recorded", func() error { s.completions.claim(); return complete(1) }, wire.ErrTooLarge, 0},
		{"recording them fails", func() error {
			s.completions.release(make([]wire.Completion, state.MaxCompletions), &failed)
			return nil
		}, nil, state.MaxCompletions},
		{"it succeeds", func() error { s.completions.release(s.completions.claim(), &recorded); return complete(1) }, nil, 1},
	} {
		if err := step.do(); !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Errorf("%s: %v", step.name, err)
		}
		if len(s.completions.waiting) != step.left {
			t.Errorf("%s: %d wait, want %d", step.name, len(s.completions.waiting), step.left)
		}
	}
	_, err := s.Allocate(t.Context(), &wire.AllocateRequest{Epoch: 1, Seq: 1, Completions: make([]wire.Completion, state.MaxCompletions+1)})
	if !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("too many with a batch: %v", err)
	}
}

// Why a job failed says what its executors' processes died of, which the driver
// process can't know.
func TestFailureIsExplained(t *testing.T) {
	n := oneNode(t).Replica
	job := grouptest.MustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	s := newJobService(t.Context(), n, wire.DriverSpec{Job: wire.JobSpec{Incarnation: job}}, epoch, new(health))
	s.health.setTrouble("executor e: exit status 2; panic: in a goroutine")
	if _, err := s.Finish(t.Context(), &wire.FinishRequest{Epoch: epoch, Failure: "interrupted 32 times"}); err != nil {
		t.Fatal(err)
	}
	n.View(func(st *state.State) {
		if got, want := st.Jobs[job].Reason, "interrupted 32 times\nwhat went wrong before: executor e: exit status 2; panic: in a goroutine"; got != want {
			t.Errorf("%q", got)
		}
	})
}

// A batch program that ends because a user asked for it hasn't failed.
func TestAskedToEndIsKilled(t *testing.T) {
	n := oneNode(t).Replica
	job := grouptest.MustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	grouptest.MustPropose(t, n, &state.StopJob{Incarnation: job})
	s := newJobService(t.Context(), n, wire.DriverSpec{Job: wire.JobSpec{Incarnation: job}}, epoch, new(health))
	if _, err := s.Finish(t.Context(), &wire.FinishRequest{Epoch: epoch, Failure: "the program was interrupted", Asked: true}); err != nil {
		t.Fatal(err)
	}
	n.View(func(st *state.State) {
		if j := st.Jobs[job]; j.State != wire.JobKilled || j.Reason != "a user ended it" {
			t.Errorf("%v, %q", j.State, j.Reason)
		}
	})
}

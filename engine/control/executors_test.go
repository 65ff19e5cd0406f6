package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// daemonStream is an executor daemon's stream, played by a test.
type daemonStream struct {
	grpc.ServerStream
	ctx  context.Context
	sent chan *wire.Assignments
}

func (s *daemonStream) Context() context.Context { return s.ctx }

func (s *daemonStream) Recv() (*wire.DaemonReport, error) {
	<-s.ctx.Done()
	return nil, io.EOF
}

func (s *daemonStream) Send(a *wire.Assignments) error {
	select {
	case s.sent <- a:
	case <-s.ctx.Done():
	}
	return nil
}

// daemon lets a daemon follow a leader. It returns what the daemon is sent and
// why its stream ended.
func (r *leadership) daemon(t *testing.T, reg *wire.Register) (sent <-chan *wire.Assignments, ended <-chan error) {
	t.Helper()
	f, err := r.daemons.connect(reg)
	if err != nil {
		t.Fatal(err)
	}
	grouptest.MustPropose(t, r.n.Replica, &state.RegisterExecutor{ID: reg.ID, Start: reg.Start, Address: reg.Address, Slots: reg.Slots, Platform: reg.Platform})
	ctx, cancel := context.WithCancel(t.Context())
	stream := &daemonStream{ctx: ctx, sent: make(chan *wire.Assignments)}
	done := make(chan error, 1)
	var work sync.WaitGroup
	reports := receive(&work, stream.Recv)
	work.Go(func() {
		defer reports.leave()
		done <- (&executorService{n: r.n}).follow(r, stream, reports, reg, f)
	})
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	return stream.sent, done
}

// awaits returns what comes on a channel.
func awaits[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s doesn't come", what)
	}
	return v
}

// testExecutor is a daemon.
func testExecutor() *wire.Register {
	return &wire.Register{ID: "e1", Start: "x", Slots: 1, Platform: "p/q", Address: "h:1"}
}

// A daemon that comes back while it is being given up is sent away, to register
// again, not told to end its jobs.
func TestExecutorComesBackWhileItIsLost(t *testing.T) {
	r := leading(t)
	grouptest.MustPropose(t, r.n.Replica, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s", Platform: "p/q"}})
	reg := testExecutor()
	grouptest.MustPropose(t, r.n.Replica, &state.RegisterExecutor{ID: reg.ID, Start: reg.Start, Address: reg.Address, Slots: 1, Platform: reg.Platform})
	if !r.daemons.silent(reg.ID) {
		t.Fatal("the daemon of before isn't given up")
	}
	sent, ended := r.daemon(t, reg)
	if a := awaits(t, "a list", sent); len(a.Jobs) != 1 {
		t.Fatalf("it is assigned %+v", a)
	}
	grouptest.MustPropose(t, r.n.Replica, &state.LoseExecutor{ID: reg.ID, Start: reg.Start}) // what was decided before it came
	for deadline := time.After(20 * time.Second); ; {
		select {
		case a := <-sent:
			if a.Alive == nil {
				t.Errorf("it is sent %+v", a)
			}
			continue
		case err := <-ended:
			if !errors.Is(err, wire.ErrNotReady) {
				t.Errorf("its stream ends with %v", err)
			}
		case <-deadline:
			t.Error("it goes on, and stays lost")
		}
		return
	}
}

// A daemon is told that the leader is there, however long nothing changes.
func TestLeaderSaysThatItIsThere(t *testing.T) {
	r := leading(t)
	sent, _ := r.daemon(t, testExecutor())
	if a := awaits(t, "a list", sent); a.Alive != nil {
		t.Errorf("the first message is %+v", a)
	}
	for range 3 {
		if a := awaits(t, "a sign of life", sent); a.Alive == nil {
			t.Errorf("it is sent %+v", a)
		}
	}
}

// A job that those executors refuse which are there waits for one that is away,
// but not for ever. Without one it fails at once.
func TestRefusedJobWaitsForAnExecutor(t *testing.T) {
	const platform = "p/q"
	register := func(id string) state.Command {
		return &state.RegisterExecutor{ID: id, Start: "x", Slots: 1, Platform: platform, Address: "h:1"}
	}
	tests := []struct {
		name   string
		before []state.Command // the job is refused by e1 then
		waits  bool
	}{
		{"nobody else", nil, false},
		{"another one", []state.Command{register("e2")}, true},
		{"another one, away", []state.Command{register("e2"), &state.LoseExecutor{ID: "e2", Start: "x"}}, true},
		{"another platform's, away", []state.Command{
			&state.RegisterExecutor{ID: "e2", Start: "x", Slots: 1, Platform: "p/z", Address: "h:1"}, &state.LoseExecutor{ID: "e2", Start: "x"},
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := leading(t)
			inc := grouptest.MustPropose(t, r.n.Replica, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s", Platform: platform}}).Index
			grouptest.MustPropose(t, r.n.Replica, register("e1"))
			for _, c := range tt.before {
				grouptest.MustPropose(t, r.n.Replica, c)
			}
			grouptest.MustPropose(t, r.n.Replica, &state.ProcessExited{Executor: "e1", Start: "x", Incarnation: inc, Fatal: true, Reason: "no camera"})
			status := func() wire.JobStatus {
				t.Helper()
				st, err := r.status(wire.JobRef{Incarnation: inc})
				if err != nil {
					t.Fatal(err)
				}
				return *st
			}
			r.failRefused()
			st := status()
			if st.State.Final() == tt.waits {
				t.Fatalf("it is %s: %s", st.State, st.Reason)
			}
			if !tt.waits {
				return
			}
			grouptest.MustPropose(t, r.n.Replica, &state.LoseExecutor{ID: "e2", Start: "x"})
			r.failRefused()
			if st := status(); st.State.Final() || !strings.Contains(st.Trouble, "no camera") {
				t.Fatalf("while e2 is away it is %s: %s", st.State, st.Trouble)
			}
			r.refused[inc] = time.Now().Add(-refusalPatience)
			r.failRefused()
			if st := status(); st.State != wire.JobFailed || !strings.Contains(st.Reason, "executor e1: no camera") {
				t.Errorf("in the end it is %s: %s", st.State, st.Reason)
			}
		})
	}
}

// A drained executor's daemon is told to run no job. The last one that could run a job is
// drained only when that is insisted on; one that is gone can be forgotten.
func TestExecutorsAreDrained(t *testing.T) {
	r := leading(t)
	r.n.log = slog.New(slog.DiscardHandler)
	c := &controlService{n: r.n, lead: &lead{n: r.n, leadership: r}}
	grouptest.MustPropose(t, r.n.Replica, &state.TakeJob{Spec: wire.JobSpec{Submission: "s", Platform: "p/q"}})
	reg := testExecutor()
	sent, _ := r.daemon(t, reg)
	if a := awaits(t, "a list", sent); len(a.Jobs) != 1 {
		t.Fatalf("it is assigned %+v", a)
	}
	ask := func(req wire.ExecutorRequest, says string) {
		t.Helper()
		_, err := c.Executor(t.Context(), &req)
		if (err == nil) != (says == "") || err != nil && (!strings.Contains(err.Error(), says) || !errors.Is(err, wire.ErrInvalid)) {
			t.Errorf("%+v: %v, want %q", req, err, says)
		}
	}
	ask(wire.ExecutorRequest{ID: "e9"}, `there is no executor "e9"`)
	ask(wire.ExecutorRequest{ID: reg.ID, Forget: true}, "is there; stop it first")
	ask(wire.ExecutorRequest{ID: reg.ID}, "is the last executor for jobs [1]")
	grouptest.MustPropose(t, r.n.Replica, &state.RegisterExecutor{ID: "other", Start: "x", Platform: "r/s"})
	ask(wire.ExecutorRequest{ID: reg.ID}, "is the last executor for jobs [1]") // that one can't run it
	ask(wire.ExecutorRequest{ID: reg.ID, Force: true}, "")
	for {
		if a := awaits(t, "an empty list", sent); a.Alive == nil {
			if len(a.Jobs) != 0 {
				t.Errorf("drained it is assigned %+v", a)
			}
			break
		}
	}
	grouptest.MustPropose(t, r.n.Replica, &state.LoseExecutor{ID: "other", Start: "x"})
	ask(wire.ExecutorRequest{ID: "other", Forget: true}, "")
	st, err := c.Cluster(t.Context(), &wire.ClusterRequest{})
	if err != nil || len(st.Executors) != 1 || !st.Executors[0].Drained || st.Executors[0].Doubtful {
		t.Errorf("there are %+v, %v", st, err)
	}
}

package worker

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/wire"
)

// newDaemon returns a daemon without a cluster.
func newDaemon(t *testing.T) *daemon {
	t.Helper()
	dir, err := openDataDir(t.TempDir(), "e1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.close() })
	programs, err := binaries.OpenCache(dir.binaries())
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return &daemon{
		cfg: Config{ID: "e1", Slots: 1}, start: "start", log: log, dir: dir,
		jobs: &jobs{dir: dir, programs: programs, reports: newReports(), gauges: newGauges(metrics.NewSet()), log: log, running: make(map[uint64]*job)},
	}
}

// stream is a stream to a leader, played by a test.
type stream struct {
	grpc.ClientStream
	recv func() (*wire.Assignments, error)
	send func(*wire.DaemonReport) error
}

func (s *stream) Recv() (*wire.Assignments, error) { return s.recv() }
func (s *stream) Send(m *wire.DaemonReport) error  { return s.send(m) }

// follow lets a daemon follow a leader, in virtual time, and returns why it
// ended.
func follow(t *testing.T, d *daemon, ctx context.Context, cancel context.CancelCauseFunc, s *stream) error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := newFollowing(d.register(), d.jobs, s, "leader").run(ctx, cancel)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Hour):
		t.Fatal("the daemon follows a leader that is gone")
		return nil
	}
}

// A leader goes, with a list that the daemon hasn't taken yet, while the daemon
// reports.
func TestStreamBreaksWhileReporting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t)
		d.jobs.reports.byJob[7] = &jobReport{ready: &wire.ProcessReady{Incarnation: 7, Process: "p"}}
		gone := errors.New("the leader steps down")
		lists, registered := 2, false
		s := &stream{
			recv: func() (*wire.Assignments, error) {
				if lists--; lists < 0 {
					return nil, gone
				}
				return &wire.Assignments{ClusterID: "cluster"}, nil
			},
			send: func(m *wire.DaemonReport) error {
				if !registered {
					registered = m.Register != nil
					return nil
				}
				return io.EOF
			},
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		if err := follow(t, d, ctx, cancel, s); !errors.Is(err, gone) {
			t.Errorf("it ends with %v", err)
		}
	})
}

// A daemon leaves a leader that says nothing, and no other: a sign of life is no
// list.
func TestSilentLeader(t *testing.T) {
	tests := []struct {
		name  string
		alive int // signs of life, one every HeartbeatInterval
	}{
		{"from the beginning", 0},
		{"after a while", 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDaemon(t)
				d.jobs.running[7] = &job{cancel: func() { t.Error("a job is ended") }}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				said := -1
				s := &stream{
					recv: func() (*wire.Assignments, error) {
						if said++; said == 0 {
							return &wire.Assignments{ClusterID: "cluster", Jobs: []wire.Assignment{{Spec: wire.JobSpec{Incarnation: 7}}}}, nil
						}
						if said <= tt.alive {
							time.Sleep(wire.HeartbeatInterval) // of virtual time
							return &wire.Assignments{Alive: &wire.Alive{}}, nil
						}
						<-ctx.Done()
						return nil, ctx.Err()
					},
					send: func(*wire.DaemonReport) error { return nil },
				}
				began := time.Now()
				err := follow(t, d, ctx, cancel, s)
				if took, want := time.Since(began), time.Duration(tt.alive)*wire.HeartbeatInterval+leaderSilence; !errors.Is(err, errSilent) || took != want {
					t.Errorf("it ends with %v after %v, expected %v", err, took, want)
				}
			})
		})
	}
}

// What a daemon reports of a job: to a leader that goes when it has been told, to
// nobody, and to the next leader.
func TestReports(t *testing.T) {
	ready := func(process string) func(*daemon, *jobReport) {
		return func(d *daemon, r *jobReport) {
			d.jobs.reports.ready(r, &wire.ProcessReady{Incarnation: 7, Process: process})
		}
	}
	exited := func(process string, fatal bool) func(*daemon, *jobReport) {
		return func(d *daemon, r *jobReport) {
			d.jobs.reports.exited(r, &wire.ProcessExited{Incarnation: 7, Process: process, Fatal: fatal})
		}
	}
	type events = []func(*daemon, *jobReport)
	tests := []struct {
		name          string
		first, alone  events // with the first leader, and without one
		told, heardOf string // what the first leader and the next one are told
	}{
		{"a process", events{ready("p1")}, nil, "ready p1", "ready p1"},
		{"nothing", nil, nil, "", ""},
		{"another process", events{ready("p1"), exited("p1", false), ready("p2")}, nil, "exited p1, ready p2", "ready p2"},
		{"one that died", events{ready("p1"), exited("p1", false)}, nil, "exited p1", "exited p1"},
		{"one that died alone", events{ready("p1")}, events{exited("p1", false)}, "ready p1", "exited p1"},
		{"one that was born dead after it", events{ready("p1")}, events{exited("p1", false), exited("", false)}, "ready p1", "exited nothing"},
		{"one that isn't tried again", events{ready("p1")}, events{exited("p1", false), exited("", true)}, "ready p1", "gives up nothing"},
		{"one that was replaced later", events{ready("p1"), exited("p1", false)}, events{ready("p2")}, "exited p1", "ready p2"},
		{"one that was replaced alone", events{ready("p1")}, events{exited("p1", false), ready("p2")}, "ready p1", "exited p1, ready p2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDaemon(t)
			r := &jobReport{}
			d.jobs.reports.byJob[7] = r
			for _, leader := range []struct {
				events events
				want   string
			}{{tt.first, tt.told}, {tt.alone, tt.heardOf}} {
				for _, e := range leader.events {
					e(d, r)
				}
				d.jobs.reports.again()
				if got := said(d.jobs.reports.take()); got != leader.want {
					t.Errorf("it reports %q, expected %q", got, leader.want)
				}
				if again := said(d.jobs.reports.take()); again != "" {
					t.Errorf("it reports %q twice", again)
				}
			}
		})
	}
}

// said lists reports.
func said(reports []*wire.DaemonReport) string {
	var all []string
	for _, m := range reports {
		switch x := m.Exited; {
		case m.Ready != nil:
			all = append(all, "ready "+m.Ready.Process)
		case x.Fatal:
			all = append(all, "gives up "+cmp.Or(x.Process, "nothing"))
		default:
			all = append(all, "exited "+cmp.Or(x.Process, "nothing"))
		}
	}
	return strings.Join(all, ", ")
}

// The files of the newest jobs that have ended stay, for a while.
func TestPrune(t *testing.T) {
	d := newDaemon(t)
	const live, ended = 3, 2*keptJobs + 1
	for inc := uint64(1); inc <= ended; inc++ {
		if _, err := d.dir.workDir(inc); err != nil {
			t.Fatal(err)
		}
	}
	d.jobs.running[live] = &job{}
	old := time.Now().Add(-2 * keepFiles)
	if err := os.Chtimes(d.dir.job(ended-1), old, old); err != nil {
		t.Fatal(err)
	}
	d.jobs.prune()
	for inc := uint64(1); inc <= ended; inc++ {
		_, err := os.Stat(d.dir.job(inc))
		want := inc == live || inc > ended-keptJobs && inc != ended-1
		if (err == nil) != want {
			t.Errorf("job %d of %d has files: %v", inc, ended, err == nil)
		}
	}
}

// Files are removed while nothing changes, too, but not before the daemon knows
// which jobs run.
func TestPruneGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		const live, ended = 7, 8
		began := time.Now()
		for inc, age := range map[uint64]time.Duration{live: 2 * keepFiles, ended: keepFiles - 10*time.Minute} {
			if _, err := d.dir.workDir(inc); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(d.dir.job(inc), began, began.Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		over := errors.New("the test is over")
		s := &stream{
			recv: func() (*wire.Assignments, error) {
				time.Sleep(wire.HeartbeatInterval) // of virtual time
				switch time.Since(began) {
				case 5 * time.Minute: // it runs here from now on
					d.jobs.running[live] = &job{cancel: func() {}}
					return &wire.Assignments{ClusterID: "cluster", Jobs: []wire.Assignment{{Spec: wire.JobSpec{Incarnation: live}}}}, nil
				case 15 * time.Minute:
					return nil, over
				}
				return &wire.Assignments{Alive: &wire.Alive{}}, nil
			},
			send: func(*wire.DaemonReport) error { return nil },
		}
		if err := follow(t, d, ctx, cancel, s); !errors.Is(err, over) {
			t.Fatal(err)
		}
		for inc, want := range map[uint64]bool{live: true, ended: false} {
			if _, err := os.Stat(d.dir.job(inc)); (err == nil) != want {
				t.Errorf("job %d has files: %v", inc, err == nil)
			}
		}
	})
}

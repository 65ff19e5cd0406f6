package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
)

// servers are engine-drivers in one process.
type servers struct {
	*members
	all   []*server
	ended []chan error // what run returned
}

// newServers starts three servers, which end with the test.
func newServers(t *testing.T) *servers {
	t.Helper()
	return newServersOf(t, "a", "b", "c")
}

// newServersOf starts the servers of a group.
func newServersOf(t *testing.T, ids ...string) *servers {
	t.Helper()
	security := token()
	s := &servers{members: newMembersOf(t, security, ids...)}
	ctx, cancel := context.WithCancel(context.Background())
	for i, m := range s.nodes {
		one := &server{
			member: m, security: security, log: s.conf[i].log,
			uploads: make(chan struct{}, maxUploads), draining: make(chan struct{}),
		}
		var err error
		if one.files, err = openJobFiles(m.dir); err != nil {
			t.Fatal(err)
		}
		if one.drivers, err = newDrivers(s.conf[i].peers, security); err != nil {
			t.Fatal(err)
		}
		s.all, s.ended = append(s.all, one), append(s.ended, make(chan error, 1))
		go func() { // the cleanup waits for it
			err := one.run(ctx)
			s.ended[i] <- errors.Join(err, one.drivers.Close())
			close(s.ended[i])
		}()
	}
	t.Cleanup(func() {
		cancel()
		for i := range s.ended {
			<-s.ended[i]
		}
	})
	return s
}

// reigning waits until a server other than the one given reigns.
func (s *servers) reigning(but int) int {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		for i, one := range s.all {
			if i == but {
				continue
			}
			if r, err := one.current(); err == nil && r != nil {
				return i
			}
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-s.t.Context().Done():
		}
	}
	s.t.Fatal("nobody reigns")
	return -1
}

// All servers learn the name of a new cluster; the leader's reign and its keep do
// so at the same time.
func TestNewClusterIsNamed(t *testing.T) {
	s := newServers(t)
	name := s.all[s.reigning(-1)].door.clusterID()
	for _, one := range s.all {
		for one.door.clusterID() == "" {
			changed := one.fsm.Watch()
			if one.door.clusterID() == "" {
				select {
				case <-changed:
				case <-time.After(5 * time.Millisecond): // the state has it, the server not yet
				}
			}
		}
		if got := one.door.clusterID(); got != name || got == "" {
			t.Errorf("%s is of cluster %q, the leader of %q", one.id, got, name)
		}
	}
}

// Many jobs of long command lines are listed and assigned, though they don't go
// into one message.
func TestLongListsAreSent(t *testing.T) {
	s := newServersOf(t, "a")
	one := s.all[s.reigning(-1)]
	const jobs = 200
	long := []string{strings.Repeat("x", state.MaxArgBytes)}
	var submitted []uint64
	for i := range jobs { // nobody has their binary, so that they don't start
		spec := wire.JobSpec{Submission: fmt.Sprint(i), Binary: strings.Repeat("0", 64), Platform: "p/q", Args: long}
		submitted = append(submitted, mustPropose(t, one.node, &state.SubmitJob{Spec: spec}).Index)
	}
	cc, err := rpc.Dial(one.door.Addr().String(), one.security)
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	list, err := wire.ControlClient{CC: cc}.Jobs(t.Context())
	n := 0
	for err == nil {
		var st *wire.JobStatus
		if st, err = list.Recv(); err == nil {
			if want := submitted[jobs-1-n]; st.Spec.Incarnation != want {
				t.Fatalf("job %d comes where %d should", st.Spec.Incarnation, want)
			}
			n++
		}
	}
	if !errors.Is(err, io.EOF) || n != jobs {
		t.Errorf("%d jobs, then %v", n, err)
	}
	follow, err := wire.ExecutorsClient{CC: cc}.Follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Send(&wire.DaemonReport{Register: &wire.Register{ID: "e", Start: "1", Slots: 1, Platform: "p/q", Address: "h:1"}}); err != nil {
		t.Fatal(err)
	}
	a, err := wire.ReceiveAssignments(follow)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Jobs) != jobs {
		t.Errorf("%d are assigned", len(a.Jobs))
	}
}

// hungStore is a log of which one write hangs, when hangs is set, until release
// is closed.
type hungStore struct {
	store
	hangs   atomic.Bool
	hung    chan struct{} // closed when one hangs
	release chan struct{}
}

func newHungStore(s store) *hungStore {
	return &hungStore{store: s, hung: make(chan struct{}), release: make(chan struct{})}
}

func (h *hungStore) wait() {
	if h.hangs.CompareAndSwap(true, false) {
		close(h.hung)
		<-h.release
	}
}

func (h *hungStore) StoreLog(l *raft.Log) error    { h.wait(); return h.store.StoreLog(l) }
func (h *hungStore) StoreLogs(l []*raft.Log) error { h.wait(); return h.store.StoreLogs(l) }

// IsMonotonic implements raft.MonotonicLogStore.
func (h *hungStore) IsMonotonic() bool {
	m, ok := h.store.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

// age makes the write that is under way older than the watchdog allows.
func (w *watchedStore) age() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.writes {
		one.began = one.began.Add(-stallTimeout)
	}
}

// A leader whose disk hangs ends and is replaced, whatever waits for its log.
func TestDiskOfTheLeaderHangs(t *testing.T) {
	s := newServers(t)
	l := s.reigning(-1)
	leader, disk := s.all[l], s.disks[l]
	waiting := make(chan error, 1)
	disk.hangs.Store(true)
	go func() { waiting <- leader.record(&state.StopJob{Incarnation: 99}, never) }() // its answer is waited for
	<-disk.hung
	leader.disk.store.age()
	if err := <-waiting; !wire.Transient(err) {
		t.Errorf("what waited for the disk: %v", err)
	}
	if err := <-s.ended[l]; !errors.Is(err, ErrDisk) {
		t.Errorf("the server ended with %v", err)
	}
	if next := s.reigning(l); next == l {
		t.Error("it leads still")
	}
	if err := leader.barrier(); !wire.Transient(err) {
		t.Errorf("a barrier on the node that has ended: %v", err)
	}
	close(disk.release)
	if err := errors.Join(leader.raft.Shutdown().Error(), leader.disk.close()); err != nil {
		t.Error(err)
	}
}

// The watchdog tells of a write that takes too long or fails, of no other.
func TestWatchdog(t *testing.T) {
	broken := errors.New("input/output error")
	for _, tt := range []struct {
		name  string
		takes time.Duration
		err   error
		says  string // "": nothing is told
		after time.Duration
	}{
		{"a fast write", time.Millisecond, nil, "", 0},
		{"a slow write", stallTimeout, nil, "", 0},
		{"a write that hangs", time.Hour, nil, "has been under way for 6s", stallTimeout + stallTimeout/10},
		{"a write that fails", time.Second, broken, "input/output error", time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				told := make(chan error, 2)
				w := &watchedStore{path: "raft", fail: func(err error) { told <- err }}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go w.watch(ctx)
				go w.do(func() error {
					select {
					case <-time.After(tt.takes):
					case <-ctx.Done():
					}
					return tt.err
				})
				select {
				case err := <-told:
					if !errors.Is(err, ErrDisk) || tt.says == "" || !strings.Contains(err.Error(), tt.says) || time.Since(began) != tt.after {
						t.Errorf("after %s it told %v", time.Since(began), err)
					}
				case <-time.After(time.Minute):
					if tt.says != "" {
						t.Error("nothing is told")
					}
				}
			})
		})
	}
}

// A node that can't go on is left behind if it doesn't come to its end.
func TestMemberThatDoesNotEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		says  string
	}{
		{"it ends by itself", failPatience - 1, "its own end"},
		{"it doesn't", 2 * failPatience, "left as it is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &member{failed: make(chan struct{}), failure: ErrDisk}
				close(m.failed)
				ended := make(chan error, 1)
				began := time.Now()
				go func() { time.Sleep(tt.takes); ended <- errors.New("its own end") }() // of virtual time
				if err := m.outcome(ended); err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("it ended with %v", err)
				}
				if d := time.Since(began); d != min(tt.takes, failPatience) {
					t.Errorf("after %s", d)
				}
				time.Sleep(tt.takes) // until the goroutine has ended
			})
		})
	}
}

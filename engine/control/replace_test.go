package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security/securitytest"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// fleet is a cluster of engine-drivers in this process, each with its directory.
type fleet struct {
	t        *testing.T
	security security.Security
	peers    raftgroup.Peers
	dirs     map[string]string // by id
	running  map[string]*runningDriver
	news     chan struct{} // holds a token when something was logged
	cluster  *rpc.Cluster
}

// runningDriver is an engine-driver that runs.
type runningDriver struct {
	cancel context.CancelFunc
	ended  chan error // holds how it ended
	news   chan<- struct{}

	mu   sync.Mutex
	said map[string]int // how often it has logged a message
}

func newFleet(t *testing.T, ids ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, security: securitytest.Token(), peers: make(raftgroup.Peers), dirs: make(map[string]string), running: make(map[string]*runningDriver), news: make(chan struct{}, 1)}
	for _, id := range ids {
		l := rpctest.Listen(t)
		f.peers[id] = l.Addr().String()
		f.dirs[id] = filepath.Join(t.TempDir(), id)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if f.cluster, err = newDrivers(f.peers, f.security); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.stop(slices.Collect(maps.Keys(f.running))...)
		_ = f.cluster.Close()
	})
	return f
}

// peerList returns peers as they stand on the command line.
func peerList(p raftgroup.Peers) string {
	var all []string
	for _, id := range p.IDs() {
		all = append(all, id+"="+p[id])
	}
	return strings.Join(all, ",")
}

// config returns what an engine-driver is started with.
func (f *fleet) config(id string) Config {
	return Config{ID: id, Peers: peerList(f.peers), Data: f.dirs[id], Security: f.security, Log: slog.New(slog.DiscardHandler)}
}

// start starts an engine-driver.
func (f *fleet) start(id string, change ...func(*Config)) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &runningDriver{cancel: cancel, ended: make(chan error, 1), news: f.news, said: make(map[string]int)}
	c := f.config(id)
	c.Log = slog.New(r)
	for _, f := range change {
		f(&c)
	}
	go func() { r.ended <- Run(ctx, c) }()
	f.running[id] = r
}

// Enabled, WithAttrs, WithGroup and Handle make it a slog.Handler.
func (r *runningDriver) Enabled(context.Context, slog.Level) bool { return true }
func (r *runningDriver) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *runningDriver) WithGroup(string) slog.Handler            { return r }
func (r *runningDriver) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	r.said[record.Message]++
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
	return nil
}

// says waits until one of the engine-drivers that run has logged a message.
func (f *fleet) says(message string) {
	f.t.Helper()
	f.await(message, func() bool {
		for _, r := range f.running {
			r.mu.Lock()
			n := r.said[message]
			r.mu.Unlock()
			if n > 0 {
				return true
			}
		}
		return false
	})
}

// stop ends engine-drivers.
func (f *fleet) stop(ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		r := f.running[id]
		delete(f.running, id)
		r.cancel()
		if err := <-r.ended; err != nil {
			f.t.Errorf("driver %s: %v", id, err)
		}
	}
}

// commit has the cluster commit something: that an executor is there.
func (f *fleet) commit(executor string) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	err := f.cluster.Do(ctx, 20*time.Second, func(ctx context.Context, leader grpc.ClientConnInterface) error {
		stream, err := wire.ExecutorsClient{CC: leader}.Follow(ctx)
		if err != nil {
			return err
		}
		_ = stream.Send(&wire.DaemonReport{Register: &wire.Register{ID: executor, Start: "s", Address: "127.0.0.1:1", Slots: 1, Platform: "linux/amd64"}})
		_, err = stream.Recv()
		return err
	})
	if err != nil {
		f.t.Fatalf("registering %s: %v", executor, err)
	}
}

// executors lists what was committed, as the leader knows it.
func (f *fleet) executors() (ids []string) {
	f.t.Helper()
	err := f.cluster.Do(f.t.Context(), 20*time.Second, func(ctx context.Context, leader grpc.ClientConnInterface) error {
		// Who has no such job knows what is committed; before its leadership has begun a
		// leader says that it isn't ready.
		if _, err := (wire.ControlClient{CC: leader}).Status(ctx, wire.JobRef{Incarnation: 1}); !errors.Is(err, wire.ErrNoJob) {
			return err
		}
		st, err := wire.ControlClient{CC: leader}.Cluster(ctx)
		ids = nil
		for _, e := range st.Executors {
			ids = append(ids, e.ID)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return ids
}

// admitted waits until a driver's directory is the one that counts, and has a vote.
func (f *fleet) admitted(id string) {
	f.t.Helper()
	f.await(f.dirs[id]+" is admitted", func() bool {
		i, err := raftgroup.ReadIdentity(filepath.Join(f.dirs[id], "identity.json"))
		return err == nil && i.Drivers[id].Copy == i.Copy && !i.Replaces
	})
}

// await waits until something is so. It looks whenever an engine-driver has logged.
func (f *fleet) await(what string, so func() bool) {
	f.t.Helper()
	for deadline := time.After(20 * time.Second); !so(); {
		select {
		case <-f.news:
		case <-deadline:
			f.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// leader returns who leads.
func (f *fleet) leader() string {
	f.t.Helper()
	var leader string
	if err := f.cluster.Do(f.t.Context(), 20*time.Second, func(ctx context.Context, _ grpc.ClientConnInterface) error {
		_, address, err := f.cluster.Leader(ctx)
		leader = f.peers.At(address)
		return err
	}); err != nil {
		f.t.Fatal(err)
	}
	return leader
}

// refused expects that an engine-driver doesn't start, whoever leads.
func (f *fleet) refused(c Config, want error, says string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	if err := Run(ctx, c); !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
		f.t.Errorf("driver %s with --data %s: %v, want %v that says %q", c.ID, c.Data, err, want, says)
	}
}

// A second engine-driver with an id that another one has doesn't start, whether
// it has a directory of its own or a copy of the other's.
func TestSecondDriverIsRefused(t *testing.T) {
	f := newFleet(t, "d1", "d2", "d3")
	for id := range f.peers {
		f.start(id)
	}
	f.commit("e1")
	for id := range f.peers {
		f.admitted(id)
	}
	t.Logf("%s leads", f.leader())
	for id := range f.peers {
		elsewhere := maps.Clone(f.peers)
		elsewhere[id] = "127.0.0.1:0"
		l := rpctest.Listen(t)
		elsewhere[id] = l.Addr().String()
		_ = l.Close()
		c := f.config(id)
		c.Peers = peerList(elsewhere)
		c.Data = filepath.Join(t.TempDir(), "own")
		f.refused(c, raftgroup.ErrOtherCopy, "give this one an id of its own")
		c.Data = filepath.Join(t.TempDir(), "copied")
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(f.dirs[id], "identity.json"))
		if err == nil {
			err = os.WriteFile(filepath.Join(c.Data, "identity.json"), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.refused(c, raftgroup.ErrTwice, "stop one of the two")
		c.Peers = peerList(f.peers)
		f.refused(c, syscall.EADDRINUSE, "has the port")
	}
	f.commit("e2")
}

// Two drivers, of which one is behind and the other has lost its directory, don't
// make a majority: what the lost one had acknowledged would be gone.
func TestLostDirectoryIsReplaced(t *testing.T) {
	f := newFleet(t, "d1", "d2", "d3")
	for id := range f.peers {
		f.start(id)
	}
	f.commit("first")
	for id := range f.peers {
		f.admitted(id)
	}
	f.stop("d3")
	f.commit("second") // on d1 and d2
	f.stop("d1", "d2")
	lost := f.dirs["d2"]
	f.dirs["d2"] = filepath.Join(t.TempDir(), "new")

	f.start("d3")
	f.refused(f.config("d2"), raftgroup.ErrOtherCopy, "--replace")
	replace := func(c *Config) { c.Replace = true }
	f.start("d2", replace)
	f.says("no driver leads, so that no job goes on") // d3 and it are no majority
	f.start("d1")
	f.admitted("d2")
	if got, want := fmt.Sprint(f.executors()), "[first second]"; got != want {
		t.Fatalf("committed was %s, there is %s", want, got)
	}

	// The new directory counts fully: the others can do without d1 now.
	f.commit("third")
	f.says("a driver that was replaced has a vote again")
	f.stop("d1")
	if got, want := fmt.Sprint(f.executors()), "[first second third]"; got != want {
		t.Errorf("committed was %s, there is %s", want, got)
	}
	f.commit("fourth")

	// Started again it needs no flag; the lost directory, found again, is refused.
	f.stop("d2")
	f.start("d2")
	f.commit("fifth")
	f.stop("d2")
	c := f.config("d2")
	c.Data = lost
	f.refused(c, raftgroup.ErrOtherCopy, "--replace")
	f.start("d1") // knew the lost one only
	if got, want := fmt.Sprint(f.executors()), "[fifth first fourth second third]"; got != want {
		t.Errorf("committed was %s, there is %s", want, got)
	}
}

// A directory without Raft's files has forgotten what the node promised.
func TestLostLogIsNoticed(t *testing.T) {
	f := newFleet(t, "d1")
	f.start("d1")
	f.commit("e1")
	f.admitted("d1")
	f.stop("d1")
	if err := os.RemoveAll(filepath.Join(f.dirs["d1"], "raft")); err != nil {
		t.Fatal(err)
	}
	f.refused(f.config("d1"), raftgroup.ErrDataDir, "--replace")
}

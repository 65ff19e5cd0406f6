package control

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// The environment of this package's tests is grouptest's, with what control adds to a
// node: nothing (oneNode), a leadership (leading), servers (newServers), or whole
// engine-drivers as their command starts them (newFleet).

// oneNode returns a node that is a group of its own, and leads.
func oneNode(t testing.TB) *raftgroup.Node {
	t.Helper()
	m := grouptest.New(t, securitytest.Token(), "a")
	return m.Nodes[m.Leader()]
}

// leading returns the leadership of a node that is a group of its own and has led for
// a while.
func leading(t testing.TB) *leadership {
	t.Helper()
	n := &node{Node: oneNode(t), log: slog.New(slog.DiscardHandler), draining: make(chan struct{})}
	r := newLeadership(t.Context(), n)
	r.daemons.began = time.Now().Add(-time.Minute)
	close(r.ready)
	t.Cleanup(r.end)
	return r
}

// servers are engine-drivers in one process.
type servers struct {
	*grouptest.Group
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
	security := securitytest.Token()
	s := &servers{Group: grouptest.New(t, security, ids...)}
	ctx, cancel := context.WithCancel(context.Background())
	for i, m := range s.Nodes {
		n, err := newNode(m, s.Conf[i].Peers, security, s.Conf[i].Log)
		if err != nil {
			t.Fatal(err)
		}
		one := newServer(n)
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

// leading waits until a server other than the one given leads.
func (s *servers) leading(but int) int {
	s.T.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		for i, one := range s.all {
			if i == but {
				continue
			}
			if r, err := one.lead.current(); err == nil && r != nil {
				return i
			}
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-s.T.Context().Done():
		}
	}
	s.T.Fatal("nobody reigns")
	return -1
}

// attach connects a driver process in place to the service of a job.
func attach(t *testing.T, n *raftgroup.Replica, job, epoch uint64) (wire.JobLogClient, func()) {
	t.Helper()
	var s *jobService
	return attachTo(t, n, job, epoch, &s)
}

// attachTo is attach for those that need the service too.
func attachTo(t *testing.T, n *raftgroup.Replica, job, epoch uint64, service **jobService) (wire.JobLogClient, func()) {
	t.Helper()
	daemon, theirs, err := role.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	spec := wire.DriverSpec{Job: wire.JobSpec{Incarnation: job, Platform: "p"}}
	s := newJobService(ctx, n, spec, epoch, new(health))
	*service = s
	server := rpc.NewPairServer(20 * time.Second)
	wire.RegisterJobLog(server, s)
	var work sync.WaitGroup
	work.Go(func() { role.ServeConn(server, daemon) })
	work.Go(func() { s.completions.flush(ctx) })
	conn, err := net.FileConn(theirs)
	if err = errors.Join(err, theirs.Close()); err != nil {
		t.Fatal(err)
	}
	p, err := role.NewParent(conn)
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
	g := grouptest.Prepare(t, securitytest.Token(), ids...) // its nodes stay closed: Run opens them
	f := &fleet{
		t: t, security: g.Conf[0].Security, peers: g.Conf[0].Peers, dirs: make(map[string]string),
		running: make(map[string]*runningDriver), news: make(chan struct{}, 1),
	}
	for _, c := range g.Conf {
		f.dirs[c.ID] = c.DataDir
		if err := c.Listener.Close(); err != nil {
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

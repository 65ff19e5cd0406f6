package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Config says how an engine-driver runs.
type Config struct {
	ID     string // of this driver, kept over restarts
	Listen string // host:port of its listener; "" for the one in Peers
	// Peers lists all drivers of the cluster as id=host:port,id=host:port,…; ""
	// for a cluster of this driver alone.
	Peers string
	Data  string // directory
	// Replace says that Data is new and takes the place of this driver's directory,
	// which is lost. It changes nothing for one that was admitted to the cluster.
	Replace  bool
	Security security.Security
	Timing   raftgroup.Timing // the zero value is DefaultTiming
	Log      *slog.Logger
	// Listening, unless nil, is called with the address once the listener is open.
	Listening func(address string)
}

// drainPatience is how long the job driver processes of a node that leaves may
// take to finish what is planned.
const drainPatience = 5 * time.Second

// server is an engine-driver: a member of the group, and what it offers.
//
// THREADING: run starts lead, serve, keep, watchQuorum and replace in goroutines of
// their own and waits for them. gRPC calls the services from many.
type server struct {
	*raftgroup.Node
	security security.Security
	log      *slog.Logger
	files    *jobFiles
	drivers  *rpc.Cluster  // connections to the other nodes
	uploads  chan struct{} // slots of submissions that send a binary
	draining chan struct{} // closed when the node leaves
	streams  sync.WaitGroup

	mu         sync.Mutex
	leadership *leadership // nil while this node doesn't lead
}

// Run runs an engine-driver until ctx ends, then lets job drivers finish what is
// planned, hands over the lead and returns nil. An error says why the node can't
// start or go on; when it wraps [raftgroup.ErrDisk] goroutines that wait for the disk may be
// left, and the process should exit.
func Run(ctx context.Context, c Config) error {
	mc, err := c.member(ctx)
	if err != nil {
		return err
	}
	m, err := raftgroup.Open(ctx, mc)
	if err != nil {
		return err
	}
	ended := make(chan error, 1) // has room for the one end
	go func() { ended <- serve(ctx, m, c, mc) }()
	return m.Outcome(ended)
}

// serve serves until ctx ends or the node can't go on, and closes the member.
func serve(ctx context.Context, m *raftgroup.Node, c Config, mc raftgroup.Config) (err error) {
	s := &server{
		Node: m, security: c.Security, log: mc.Log,
		uploads: make(chan struct{}, maxUploads), draining: make(chan struct{}),
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if s.files, err = openJobFiles(m.DataDir()); err != nil {
		return err
	}
	if s.drivers, err = newDrivers(mc.Peers, c.Security); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.drivers.Close()) }()
	if c.Listening != nil {
		c.Listening(mc.Peers[c.ID])
	}
	return s.run(ctx)
}

// member checks the configuration and opens the listener.
func (c *Config) member(ctx context.Context) (raftgroup.Config, error) {
	mc := raftgroup.Config{ID: c.ID, DataDir: c.Data, Replace: c.Replace, Security: c.Security, Timing: c.Timing, Log: c.Log}
	if mc.Timing == (raftgroup.Timing{}) {
		mc.Timing = raftgroup.DefaultTiming()
	}
	if mc.Log == nil {
		mc.Log = slog.Default()
	}
	if !state.ValidID(c.ID) {
		return mc, fmt.Errorf("%w: the driver's id %q; letters, digits, '-', '_' and '.' go, at most %d",
			wire.ErrInvalid, c.ID, state.MaxID)
	}
	if c.Data == "" {
		return mc, fmt.Errorf("%w: no data directory is given", wire.ErrInvalid)
	}
	var err error
	if c.Peers != "" {
		if mc.Peers, err = raftgroup.ParsePeers(c.Peers); err != nil {
			return mc, err
		}
		if mc.Peers[c.ID] == "" {
			return mc, fmt.Errorf("%w: they don't name this driver, %q", raftgroup.ErrPeers, c.ID)
		}
	}
	listen := c.Listen
	if listen == "" {
		listen = mc.Peers[c.ID]
	}
	if err := c.Security.CheckListen(listen); err != nil {
		return mc, err
	}
	if mc.Listener, err = raftgroup.Listen(ctx, listen, c.ID); err != nil {
		return mc, err
	}
	if mc.Peers == nil {
		host, _, err := net.SplitHostPort(listen)
		if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
			return mc, errors.Join(fmt.Errorf("%w: others can't connect to %q; give --peers %s=host:port too",
				raftgroup.ErrPeers, listen, c.ID), mc.Listener.Close())
		}
		mc.Peers = raftgroup.Peers{c.ID: mc.Listener.Addr().String()}
	}
	return mc, nil
}

// run serves until ctx ends or the node can't go on.
func (s *server) run(ctx context.Context) error {
	var work sync.WaitGroup
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	replaces := s.DataDir().Replaces() // before keep writes to it
	defer work.Wait()
	defer cancel()
	g := rpc.NewServerOn(s.security)
	wire.RegisterControl(g, &controlService{s})
	wire.RegisterBinaries(g, &binaryService{s})
	wire.RegisterExecutors(g, &executorService{s})
	wire.RegisterLogs(g, s.files.output)
	wire.RegisterDrivers(g, &driverService{s})
	work.Go(func() { s.serve(g) })
	work.Go(func() { s.lead(inner) })
	work.Go(func() { s.keepHouse(inner) })
	work.Go(func() { s.watchQuorum(inner) })
	if replaces {
		work.Go(func() { s.AskToReplace(inner, s.drivers) })
	}
	s.log.Info("engine-driver is up",
		"id", s.ID(), "address", s.Peers()[s.ID()], "drivers", len(s.Peers()), "data", s.DataDir().Path)
	var err error
	select {
	case <-ctx.Done():
		s.log.Info("leaving: job drivers finish what is planned", "patience", drainPatience)
		close(s.draining)
		s.drain()
	case <-s.Failed():
		err = s.Failure()
	case <-s.Stopped():
		err = s.StopReason()
	}
	cancel() // ends the leadership, which ends its processes and the streams that followed it
	g.Stop()
	s.streams.Wait()
	return err
}

// serve answers gRPC until the server is stopped.
func (s *server) serve(g *grpc.Server) {
	if err := g.Serve(s.GRPC()); err != nil && !errors.Is(err, net.ErrClosed) {
		s.Fail(fmt.Errorf("serving gRPC: %w", err))
	}
}

// isDraining reports whether the node is about to leave.
func (s *server) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// drain waits until the job driver processes have finished what is planned.
func (s *server) drain() {
	s.mu.Lock()
	r := s.leadership
	s.mu.Unlock()
	if r == nil {
		return
	}
	patience := time.After(drainPatience)
	for _, d := range r.allRunners() {
		select {
		case <-d.done:
		case <-patience:
			s.log.Warn("job drivers haven't finished what is planned; whoever leads next runs it again")
			return
		case <-s.Failed():
			return
		}
	}
}

// current returns the node's leadership, or says who leads.
func (s *server) current() (*leadership, error) {
	s.mu.Lock()
	r := s.leadership
	s.mu.Unlock()
	if r == nil {
		return nil, &wire.NotLeaderError{Leader: s.leaderAddress()}
	}
	select {
	case <-r.ready:
		return r, nil
	default:
		return nil, fmt.Errorf("%w: this engine-driver has just become the leader", wire.ErrNotReady)
	}
}

// leaderAddress returns where the leader is, "" while there is none.
func (s *server) leaderAddress() string { return s.Peers()[s.Leader()] }

// lead begins a leadership when the node becomes the leader and ends it when it
// isn't any more, until ctx ends.
func (s *server) lead(ctx context.Context) {
	for {
		select {
		case leads := <-s.Leading():
			s.succeed(ctx, leads)
		case <-ctx.Done():
			s.succeed(ctx, false)
			return
		}
	}
}

// succeed ends the leadership that there is, and begins another if the node leads.
func (s *server) succeed(ctx context.Context, leads bool) {
	s.mu.Lock()
	old := s.leadership
	s.leadership = nil
	s.mu.Unlock()
	if old != nil {
		old.end()
		s.log.Info("this driver doesn't lead any more")
	}
	if !leads {
		return
	}
	r := newLeadership(ctx, s)
	s.mu.Lock()
	s.leadership = r
	s.mu.Unlock()
	r.work.Go(r.run)
}

// newDrivers returns connections to a cluster's drivers.
func newDrivers(p raftgroup.Peers, s security.Security) (*rpc.Cluster, error) {
	var all []string
	for _, id := range p.IDs() {
		all = append(all, p[id])
	}
	return rpc.NewCluster(strings.Join(all, ","), s)
}

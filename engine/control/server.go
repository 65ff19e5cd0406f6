package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/process"
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
	Env      []string        // of jobs' processes, see process.Environ
	Reaper   *process.Reaper // ends what jobs' processes leave behind; may be nil
	Security security.Security
	Metrics  string           // host:port to serve metrics at; "" for nowhere
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
// THREADING: run starts serve, the lead, keepHouse, watchQuorum and AskToReplace in
// goroutines of its own and waits for them. gRPC calls the services from many.
type server struct {
	*node
	lead *lead
}

func newServer(n *node) *server { return &server{node: n, lead: &lead{n: n}} }

// Run runs an engine-driver until ctx ends, then lets job drivers finish what is
// planned, hands over the lead and returns nil. An error says why the node can't
// start or go on; when it wraps [raftgroup.ErrDisk] goroutines that wait for the disk may be
// left, and the process should exit.
func Run(ctx context.Context, c Config) error {
	mc, err := c.member(ctx)
	if err != nil {
		return err
	}
	l, err := metrics.Listen(ctx, c.Metrics, c.Security)
	if err != nil {
		return errors.Join(err, mc.Listener.Close())
	}
	m, err := raftgroup.Open(ctx, mc)
	if err != nil {
		return errors.Join(err, closeListener(l))
	}
	ended := make(chan error, 1) // has room for the one end
	go func() { ended <- serve(ctx, m, c, mc, l) }()
	return m.Outcome(ended)
}

// closeListener closes a listener if there is one.
func closeListener(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// serve serves until ctx ends or the node can't go on, its metrics at a listener unless
// that is nil, and closes the member.
func serve(ctx context.Context, m *raftgroup.Node, c Config, mc raftgroup.Config, l net.Listener) (err error) {
	defer func() { err = errors.Join(err, m.Close()) }()
	n, err := newNode(m, mc.Peers, c.Security, mc.Log)
	if err != nil {
		return errors.Join(err, closeListener(l))
	}
	n.env, n.reaper, n.metrics = c.Env, c.Reaper, metrics.Host(c.Metrics)
	defer func() { err = errors.Join(err, n.drivers.Close()) }()
	s := newServer(n)
	defer s.measure().Start(l).Close()
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
		if c.Listen != "" {
			err = fmt.Errorf("--listen: %w", err)
		}
		return mc, err
	}
	if err := c.checkPeers(mc.Peers); err != nil {
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

// checkPeers makes sure that this driver may call the others, and that its certificate
// is for the name by which they call it.
func (c *Config) checkPeers(p raftgroup.Peers) error {
	if p == nil {
		return nil
	}
	if err := c.Security.CheckName(p[c.ID]); err != nil {
		return fmt.Errorf("%w: %w", raftgroup.ErrPeers, err)
	}
	drivers, err := newDrivers(p, c.Security)
	if err != nil {
		return fmt.Errorf("%w: %w", raftgroup.ErrPeers, err)
	}
	return drivers.Close()
}

// run serves until ctx ends or the node can't go on.
func (s *server) run(ctx context.Context) error {
	var work sync.WaitGroup
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	replaces := s.DataDir().Replaces() // before keepHouse writes to it
	defer work.Wait()
	defer cancel()
	g := rpc.NewServerOn(s.security)
	wire.RegisterControl(g, &controlService{n: s.node, lead: s.lead, uploads: newUploads()})
	wire.RegisterBinaries(g, &binaryService{s.programs})
	wire.RegisterExecutors(g, &executorService{s.node, s.lead})
	wire.RegisterLogs(g, s.files.output)
	wire.RegisterDrivers(g, &driverService{s.node, s.lead})
	work.Go(func() { s.serve(g) })
	work.Go(func() { s.lead.run(inner) })
	work.Go(func() { keepHouse(inner, s.node) })
	work.Go(func() { watchQuorum(inner, s.node) })
	if replaces {
		work.Go(func() { s.AskToReplace(inner, s.drivers) })
	}
	s.log.Info("engine-driver is up",
		"id", s.ID(), "address", s.Peers()[s.ID()], "drivers", len(s.Peers()), "data", s.DataDir().Path)
	warnOfEven(s.log, len(s.Peers()))
	var err error
	select {
	case <-ctx.Done():
		s.log.Info("leaving: job drivers finish what is planned", "patience", drainPatience)
		close(s.draining)
		s.lead.drain(drainPatience)
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

// warnOfEven says that an even number of drivers is one too many, or too few: a majority of
// two are both, of four are three.
func warnOfEven(log *slog.Logger, drivers int) {
	if drivers%2 == 0 {
		log.Warn("an even number of engine-drivers bears the loss of no more than one fewer would; run 1, 3 or 5",
			"drivers", drivers, "may_be_down", (drivers-1)/2)
	}
}

// serve answers gRPC until the server is stopped.
func (s *server) serve(g *grpc.Server) {
	if err := g.Serve(s.GRPC()); err != nil && !errors.Is(err, net.ErrClosed) {
		s.Fail(fmt.Errorf("serving gRPC: %w", err))
	}
}

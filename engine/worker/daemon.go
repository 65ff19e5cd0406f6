package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/logs"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/process"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Config says how an engine-executor runs.
type Config struct {
	ID       string          // of this executor, kept over restarts
	Master   string          // engine-drivers, host:port,host:port,…
	Listen   string          // host:port for logs; job processes listen on the same host
	Data     string          // directory
	Slots    int             // tasks that run here at once, of all jobs
	Env      []string        // of jobs' processes, see process.Environ
	Reaper   *process.Reaper // ends what jobs' processes leave behind; may be nil
	Security security.Security
	Metrics  string // host:port to serve metrics at; "" for nowhere
	Log      *slog.Logger
	// Listening, unless nil, is called with the address once it is open.
	Listening func(address string)
}

// daemon is an engine-executor.
//
// THREADING: Run's goroutine follows the leader and decides which jobs run.
type daemon struct {
	cfg     Config
	address string // of the Logs service
	start   string // random: which daemon process this is
	cluster *rpc.Cluster
	dir     *dataDir
	output  *logs.Server
	jobs    *jobs
	log     *slog.Logger
	set     *metrics.Set
	follows atomic.Bool // a leader has taken the daemon in
}

// Times of a daemon.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
	sayAfter   = 5 * time.Second  // without a leader, before the daemon says so
	sayAgain   = 30 * time.Second // and again
	takenFor   = 10 * time.Second // an id may be taken, by a daemon that was just killed
)

// Run runs an engine-executor until ctx ends, then ends its processes and
// returns nil. An error says why it can't start or go on.
func Run(ctx context.Context, c Config) (err error) {
	scraped, err := metrics.Listen(ctx, c.Metrics, c.Security)
	if err != nil {
		return err
	}
	d, listener, err := open(ctx, c)
	if err != nil {
		if scraped != nil {
			err = errors.Join(err, scraped.Close())
		}
		return err
	}
	defer func() { err = errors.Join(err, d.cluster.Close(), d.dir.close()) }()
	server := rpc.NewServer(c.Security)
	wire.RegisterLogs(server, d.output)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // ends with Stop
	defer serving.Wait()
	defer server.Stop()
	defer d.measure().Start(scraped).Close()
	if c.Listening != nil {
		c.Listening(d.address)
	}
	d.log.Info("engine-executor is up", "id", c.ID, "address", d.address, "slots", c.Slots, "data", c.Data)
	err = d.run(ctx)
	d.jobs.end()
	return err
}

// check checks the configuration and returns the host that it listens on and the
// drivers, for the caller to close.
func (c *Config) check() (host string, cluster *rpc.Cluster, err error) {
	if c.Slots < 1 {
		return "", nil, fmt.Errorf("%w: %d slots; an executor has at least one", wire.ErrInvalid, c.Slots)
	}
	host, _, err = net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		return "", nil, fmt.Errorf("%w: --listen %q: it takes host:port, e.g. 127.0.0.1:0; others connect to it, so it must name a host of this machine", wire.ErrInvalid, c.Listen)
	}
	if err := c.Security.CheckListen(c.Listen); err != nil {
		return "", nil, err
	}
	if cluster, err = rpc.NewCluster(c.Master, c.Security); err != nil {
		return "", nil, fmt.Errorf("--master: %w", err)
	}
	if err := cluster.CheckReachable(c.Listen); err != nil {
		return "", nil, errors.Join(fmt.Errorf("%w; give --listen HOST:0, with a host of this machine that its certificate names", err), cluster.Close())
	}
	return host, cluster, nil
}

// open checks the configuration and opens what the daemon needs.
func open(ctx context.Context, c Config) (_ *daemon, _ net.Listener, err error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	d := &daemon{cfg: c, start: security.NewToken()[:32], log: c.Log, set: metrics.NewSet()}
	host, cluster, err := c.check()
	if err != nil {
		return nil, nil, err
	}
	d.cluster = cluster
	defer func() {
		if err != nil {
			err = errors.Join(err, d.cluster.Close())
		}
	}()
	if d.dir, err = openDataDir(c.Data, c.ID); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.dir.close())
		}
	}()
	programs, err := binaries.OpenCache(d.dir.binaries())
	if err != nil {
		return nil, nil, err
	}
	d.output = logs.NewServer(func(incarnation uint64) string { return d.dir.jobLog(incarnation) })
	d.jobs = &jobs{
		executor: c.ID, host: host, metrics: metrics.Host(c.Metrics), tls: c.Security.Files, cluster: cluster, dir: d.dir, programs: programs, output: d.output, env: c.Env, reaper: c.Reaper,
		reports: newReports(), gauges: newGauges(d.set), log: c.Log, running: make(map[uint64]*job),
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w; another process, perhaps a second executor %q, has the port; with port 0 --listen takes a free one", err, c.ID)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("listening on %s: %w", c.Listen, err)
	}
	d.address = listener.Addr().String()
	return d, listener, nil
}

// run follows leaders until ctx ends or there is no point in it.
func (d *daemon) run(ctx context.Context) error {
	alone, known := time.Now(), false // known: a leader has known our token
	var said time.Time
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		followed, err := d.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if followed {
			alone, said, wait, known = time.Now(), time.Time{}, firstRetry, true
		}
		switch {
		case errors.Is(err, wire.ErrOtherCluster), errors.Is(err, wire.ErrUnauthenticated) && !known, errors.Is(err, wire.ErrInvalid),
			errors.Is(err, ErrDataDir), errors.Is(err, wire.ErrExecutorTaken) && time.Since(alone) > takenFor:
			return err
		case time.Since(alone) > sayAfter && time.Since(said) > sayAgain:
			said = time.Now()
			d.log.Warn("can't follow a leader; jobs that run go on", "since", time.Since(alone).Round(time.Second), "err", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// follow follows one leader until the stream breaks. It reports whether the
// leader took the daemon in.
func (d *daemon) follow(ctx context.Context) (followed bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cc, address, err := d.cluster.Leader(ctx)
	if err != nil {
		return false, err
	}
	stream, err := wire.ExecutorsClient{CC: cc}.Follow(ctx)
	if err != nil {
		return false, err
	}
	d.follows.Store(true)
	defer d.follows.Store(false)
	return newFollowing(d.register(), d.jobs, stream, address).run(ctx, cancel)
}

// register says to a leader who the daemon is.
func (d *daemon) register() *wire.Register {
	return &wire.Register{
		ID: d.cfg.ID, Start: d.start, ClusterID: d.dir.cluster(), Address: d.address, Slots: d.cfg.Slots, Platform: binaries.ThisPlatform(),
	}
}

package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/logs"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Config says how an engine-executor runs.
type Config struct {
	ID       string // of this executor, kept over restarts
	Master   string // engine-drivers, host:port,host:port,…
	Listen   string // host:port for logs; job processes listen on the same host
	Data     string // directory
	Slots    int    // tasks that a job runs here at once
	Security wire.Security
	Log      *slog.Logger
	// Listening, unless nil, is called with the address once it is open.
	Listening func(address string)
}

// daemon is an engine-executor.
//
// THREADING: Run's goroutine follows the leader and decides which jobs run; each
// job has a goroutine of its own that it waits for. mu guards what jobs report.
type daemon struct {
	cfg      Config
	host     string // for job processes to listen on
	address  string // of the Logs service
	start    string // random: which daemon process this is
	cluster  *wire.Cluster
	dir      *dataDir
	programs *binaries.Store
	output   *logs.Server
	log      *slog.Logger
	work     sync.WaitGroup // of jobs that are ending

	jobs map[uint64]*job // of Run's goroutine

	mu      sync.Mutex
	reports map[uint64]*jobReport // by incarnation
	wake    chan struct{}         // holds a token when there is something to report
}

// Times of a daemon.
const (
	firstRetry  = 50 * time.Millisecond
	lastRetry   = time.Second
	sayAfter    = 5 * time.Second  // without a leader, before the daemon says so
	sayAgain    = 30 * time.Second // and again
	takenFor    = 10 * time.Second // an id may be taken, by a daemon that was just killed
	pruneEvery  = time.Minute
	keepFiles   = 24 * time.Hour   // of jobs that have ended
	keepProgram = 10 * time.Minute // after the last job that used it
)

// Run runs an engine-executor until ctx ends, then ends its processes and
// returns nil. An error says why it can't start or go on.
func Run(ctx context.Context, c Config) (err error) {
	d, listener, err := open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.cluster.Close(), d.dir.close()) }()
	server := wire.NewServer(c.Security)
	wire.RegisterLogs(server, d.output)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // ends with Stop
	defer serving.Wait()
	defer server.Stop()
	if c.Listening != nil {
		c.Listening(d.address)
	}
	d.log.Info("engine-executor is up", "id", c.ID, "address", d.address, "slots", c.Slots, "data", c.Data)
	err = d.run(ctx)
	for _, j := range d.jobs {
		j.cancel()
	}
	d.work.Wait()
	return err
}

// open checks the configuration and opens what the daemon needs.
func open(ctx context.Context, c Config) (_ *daemon, _ net.Listener, err error) {
	if c.Slots < 1 {
		return nil, nil, fmt.Errorf("%w: %d slots; an executor has at least one", wire.ErrInvalid, c.Slots)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		return nil, nil, fmt.Errorf("%w: --listen %q: others connect to it, so it must name a host of this machine, e.g. 127.0.0.1:0", wire.ErrInvalid, c.Listen)
	}
	if err := c.Security.CheckListen(c.Listen); err != nil {
		return nil, nil, err
	}
	d := &daemon{
		cfg: c, host: host, start: wire.NewToken()[:32], log: c.Log,
		jobs: make(map[uint64]*job), reports: make(map[uint64]*jobReport), wake: make(chan struct{}, 1),
	}
	if d.dir, err = openDataDir(c.Data, c.ID); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.dir.close())
		}
	}()
	if d.programs, err = binaries.OpenCache(d.dir.binaries()); err != nil {
		return nil, nil, err
	}
	d.output = logs.NewServer(func(incarnation uint64) string { return d.dir.jobLog(incarnation) })
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listening on %s: %w", c.Listen, err)
	}
	d.address = listener.Addr().String()
	if d.cluster, err = wire.NewCluster(c.Master, c.Security); err != nil {
		return nil, nil, errors.Join(err, listener.Close())
	}
	return d, listener, nil
}

// run follows leaders until ctx ends or there is no point in it.
func (d *daemon) run(ctx context.Context) error {
	alone := time.Now()
	var said time.Time
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		followed, err := d.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if followed {
			alone, said, wait = time.Now(), time.Time{}, firstRetry
		}
		switch {
		case errors.Is(err, wire.ErrOtherCluster), errors.Is(err, wire.ErrUnauthenticated), errors.Is(err, wire.ErrInvalid),
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
	ctx, cancel := context.WithCancel(ctx)
	cc, address, err := d.cluster.Leader(ctx)
	if err != nil {
		cancel()
		return false, err
	}
	stream, err := wire.ExecutorsClient{CC: cc}.Follow(ctx)
	if err != nil {
		cancel()
		return false, err
	}
	assigned := make(chan *wire.Assignments)
	broken := make(chan error, 1)
	var receiver sync.WaitGroup
	defer receiver.Wait()
	defer cancel()
	receiver.Go(func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				broken <- err
				return
			}
			select {
			case assigned <- m:
			case <-ctx.Done():
				return
			}
		}
	})
	f := &following{d: d, stream: stream, leader: address}
	return f.serve(ctx, assigned, broken)
}

// following is the daemon's stream to one leader.
type following struct {
	d      *daemon
	stream grpc.BidiStreamingClient[wire.DaemonReport, wire.Assignments]
	leader string
	pruned time.Time
}

// serve registers, reports and takes assignments until the stream breaks.
func (f *following) serve(ctx context.Context, assigned <-chan *wire.Assignments, broken <-chan error) (followed bool, err error) {
	d := f.d
	register := &wire.Register{
		ID: d.cfg.ID, Start: d.start, ClusterID: d.dir.cluster(), Address: d.address, Slots: d.cfg.Slots, Platform: binaries.ThisPlatform(),
	}
	if f.stream.Send(&wire.DaemonReport{Register: register}) != nil {
		return false, <-broken // Recv says why
	}
	beat := time.NewTicker(wire.HeartbeatInterval)
	defer beat.Stop()
	for {
		var wake <-chan struct{} // reports follow the first assignments
		if followed {
			if !f.report() {
				return true, <-broken
			}
			wake = d.wake
		}
		select {
		case a := <-assigned:
			if !followed {
				followed = true
				d.log.Info("following a leader", "leader", f.leader, "jobs", len(a.Jobs))
				d.reportAll()
			}
			if err := f.take(ctx, a); err != nil {
				return true, err
			}
		case err := <-broken:
			return followed, err
		case <-wake:
		case <-beat.C:
			if f.stream.Send(&wire.DaemonReport{Heartbeat: &wire.Heartbeat{}}) != nil {
				return followed, <-broken
			}
		case <-ctx.Done():
			return followed, ctx.Err()
		}
	}
}

// report sends what jobs have to report. It returns false if the stream broke.
func (f *following) report() bool {
	for _, m := range f.d.takeReports() {
		if f.stream.Send(m) != nil {
			return false
		}
	}
	return true
}

// take carries out assignments.
func (f *following) take(ctx context.Context, a *wire.Assignments) error {
	d := f.d
	if err := d.dir.joinCluster(a.ClusterID); err != nil {
		return err
	}
	want := make(map[uint64]bool, len(a.Jobs))
	for _, j := range a.Jobs {
		want[j.Spec.Incarnation] = true
		if d.jobs[j.Spec.Incarnation] == nil {
			d.startJob(j)
		}
	}
	for inc, j := range d.jobs {
		if !want[inc] {
			d.log.Info("a job has ended here", "job", inc, "name", j.spec.Name)
			j.cancel()
			delete(d.jobs, inc)
		}
	}
	if time.Since(f.pruned) > pruneEvery && ctx.Err() == nil {
		f.pruned = time.Now()
		d.prune()
	}
	return nil
}

// prune removes the files that no job needs.
func (d *daemon) prune() {
	keep := make(map[string]bool)
	live := make(map[uint64]bool)
	for inc, j := range d.jobs {
		keep[j.spec.Binary], live[inc] = true, true
	}
	if err := errors.Join(d.programs.Sweep(keep, keepProgram), d.dir.prune(live, keepFiles)); err != nil {
		d.log.Warn("removing files of jobs that have ended", "err", err)
	}
}

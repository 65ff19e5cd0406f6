package launch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/supervise"
	"github.com/hibana-engine/hibana/engine/wire"
)

// NewLocalCluster returns the master local-cluster[n,slots]: n processes of this
// binary, started with args or this process's own command line.
// With measured they serve their metrics.
func NewLocalCluster(n, slots int, args []string, measured bool, log *slog.Logger) Master {
	if args == nil {
		args = os.Args[1:]
	}
	secret := security.NewToken()
	return &remoteMaster{
		source:   &children{n: n, slots: slots, args: args, secret: secret, measured: measured, log: log},
		security: security.Security{}.WithToken(secret),
		log:      log,
	}
}

// children are executor processes on this machine.
//
// THREADING: each has a goroutine, a supervisor's, that close waits for. mu
// guards who is ready.
type children struct {
	n, slots int
	args     []string
	secret   string
	measured bool // they serve their metrics
	log      *slog.Logger

	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	report  func(wire.Members)
	died    func(wire.ProcessDied)
	fail    func(error)
	ready   map[string]wire.ExecutorProcess // by executor
	gone    map[string]string               // given up, and why
	scraped map[string]string               // where an executor serves its metrics
	started uint64
}

// loopback is where the processes of local-cluster listen.
const loopback = "127.0.0.1"

func (c *children) parallelism(context.Context) (int, error) { return c.n * c.slots, nil }

// patience is long: these processes do come, or the job fails.
func (c *children) patience() time.Duration { return 30 * time.Second }

// remedy is none: these processes are started again by themselves.
func (c *children) remedy(string) string { return "" }

func (c *children) start(h plan.JobHeader, report func(wire.Members), died func(wire.ProcessDied), fail func(error)) error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program's file, to start executors from it: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.report, c.died, c.fail = cancel, report, died, fail
	c.ready, c.gone, c.scraped = make(map[string]wire.ExecutorProcess), make(map[string]string), make(map[string]string)
	output := &lockedWriter{to: os.Stderr}
	for i := range c.n {
		id := fmt.Sprintf("executor-%d", i+1)
		s := &supervise.Supervisor{
			Path: path, Args: c.args, Env: os.Environ(), Output: output, // they are the same user's program
			Spec: wire.ExecutorSpec{
				Job:      wire.JobSpec{Incarnation: h.Incarnation, Name: h.App, Args: c.args, Secret: c.secret},
				Executor: id, Slots: c.slots, Host: loopback, Processes: c.n,
			},
			OnReady: func(_ string, r *wire.ReadyRequest) { c.isReady(id, r) },
			OnExit:  func(x supervise.Exit) { c.exited(id, x) },
		}
		if c.measured {
			s.Spec.Metrics = loopback
		}
		c.work.Go(func() {
			if err := s.Run(ctx); err != nil {
				c.giveUp(id, err)
			}
		})
	}
	return nil
}

func (c *children) close() error {
	if c.cancel != nil {
		c.cancel()
		c.work.Wait()
	}
	return nil
}

func (c *children) isReady(id string, r *wire.ReadyRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started++
	c.ready[id] = wire.ExecutorProcess{Executor: id, Instance: c.started, Address: r.Address, Slots: c.slots}
	c.scraped[id] = r.Metrics
	c.tell()
}

func (c *children) targets() []metrics.Target {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []metrics.Target
	for id := range c.ready {
		if at := c.scraped[id]; at != "" {
			all = append(all, metrics.Target{Targets: []string{at}, Labels: map[string]string{"hibana_role": role.Executor, "hibana_executor": id}})
		}
	}
	return all
}

func (c *children) exited(id string, x supervise.Exit) {
	c.log.Warn("an executor process died", "executor", id, "cause", x.Reason, "crashes", x.Crashes)
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.Died != nil {
		c.died(*x.Died)
	}
	delete(c.ready, id)
	c.tell()
}

// giveUp notes an executor that isn't started again; without the last one the
// job fails.
func (c *children) giveUp(id string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone[id] = err.Error()
	c.tell()
	if len(c.gone) < c.n {
		return
	}
	var why []string
	for id, reason := range c.gone {
		why = append(why, id+": "+reason)
	}
	slices.Sort(why)
	c.fail(fmt.Errorf("%w: %s", plan.ErrNoExecutor, strings.Join(why, "; ")))
}

// tell reports who is ready. It is called with mu held.
func (c *children) tell() {
	var ready []wire.ExecutorProcess
	for _, p := range c.ready {
		ready = append(ready, p)
	}
	slices.SortFunc(ready, func(a, b wire.ExecutorProcess) int { return strings.Compare(a.Executor, b.Executor) })
	c.report(wire.Members{Processes: ready, Expected: c.n - len(c.gone)})
}

// lockedWriter keeps the lines of several processes apart.
type lockedWriter struct {
	mu sync.Mutex
	to *os.File
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

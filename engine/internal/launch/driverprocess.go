package launch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/internal/models"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/remote"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
)

// runDriver is the life of a job driver process: it waits until it is the job's
// driver, runs the job, and ends it. A driver that loses its place, because a
// newer one has the job or the log can't be written, ends without ending the job.
func runDriver(ctx context.Context, j *Job, parent *role.Parent) (err error) {
	daemon := wire.JobLogClient{CC: parent.CC}
	call, cancel := context.WithTimeout(ctx, wire.CallTimeout)
	defer cancel()
	spec, err := daemon.Attach(call, &wire.AttachDriver{Name: j.App})
	if err != nil {
		return fmt.Errorf("asking the daemon what to do: %w", err)
	}
	if err := tellSecrets(spec.Job.Secrets); err != nil {
		return err
	}
	security, err := jobSecurity(spec.TLS, spec.Job.Secret)
	if err != nil {
		return err
	}
	events, err := openEvents(ctx, daemon, j.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.close()) }()
	epoch, err := events.activation(ctx)
	if err != nil {
		return err
	}
	j.Log = j.Log.With("epoch", epoch)
	j.Incarnation, j.Origin, j.Durable, j.AllowNonRestored = spec.Job.Incarnation, spec.Job.Origin, true, spec.Job.AllowLoss
	j.Batches, j.lookup = typedLog{&raftLog{daemon: daemon, epoch: epoch, kind: j.kind()}}, typedLog{&raftLog{daemon: daemon, epoch: epoch}}
	j.requests, j.prints = events.requests, events.prints
	j.troubles = &plan.Troubles{}
	j.Metrics, j.security = metrics.FreePort(spec.Metrics), security
	progress := newProgressReports(daemon, j.Log, j.troubles)
	j.listeners, j.reports = append(j.listeners, progress.listen), progress
	j.Log.Info("this process drives the job", "job", spec.Job.Incarnation, "node", spec.Node)
	err = j.RunProcess(ctx, events.planning, &remoteMaster{source: events, security: security, log: j.Log})
	progress.close()
	switch {
	case errors.Is(err, errLogLost) && errors.Is(err, wire.ErrStaleEpoch) || errors.Is(err, remote.ErrDeposed):
		j.Log.Error("this driver was deposed: a newer one has the job, and everybody refuses this one", "err", err)
		return err
	case errors.Is(err, errLogLost):
		j.Log.Error("this driver has lost its log and gives up its place", "err", err)
		return err
	case ctx.Err() != nil && !events.stopAsked():
		j.Log.Info("interrupted: what was planned is done, the job goes on with another driver", "err", err)
		return err
	}
	return errors.Join(err, finish(ctx, daemon, epoch, err, events.stopAsked() && errors.Is(err, plan.ErrInterrupted)))
}

// finish ends the job. It may have failed since a user had asked it to end.
func finish(ctx context.Context, daemon wire.JobLogClient, epoch uint64, failure error, asked bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wire.CallTimeout)
	defer cancel()
	req := &wire.FinishRequest{Epoch: epoch, Asked: asked}
	if failure != nil {
		req.Failure = failure.Error()
	}
	if err := daemon.Finish(ctx, req); err != nil {
		return fmt.Errorf("telling the daemon that the job has ended: %w", err)
	}
	return nil
}

// daemonEvents is what the daemon tells a job driver process. It is the source
// of the job's executor processes, which the daemons keep.
//
// THREADING: receive is a goroutine that close waits for; mu guards the members.
type daemonEvents struct {
	cancel    context.CancelFunc
	work      sync.WaitGroup
	activated chan uint64
	known     chan struct{}   // closed when the first members are known
	planning  context.Context // ends when the job is to stop
	stop      context.CancelCauseFunc
	daemon    wire.JobLogClient
	log       *slog.Logger
	requests  chan models.Request
	prints    *printing
	epoch     uint64 // of the receiving goroutine

	mu      sync.Mutex
	members *wire.Members // nil before the first
	report  func(wire.Members)
	died    func(wire.ProcessDied)
	fail    func(error)
	lost    error // why the stream broke
}

// errStopAsked is the cause for which planning ends when the daemon asks for it.
var errStopAsked = errors.New("the job was asked to stop")

func openEvents(ctx context.Context, daemon wire.JobLogClient, log *slog.Logger) (*daemonEvents, error) {
	e := &daemonEvents{daemon: daemon, log: log, activated: make(chan uint64, 1), known: make(chan struct{}), requests: make(chan models.Request, maxRequests)}
	e.planning, e.stop = context.WithCancelCause(ctx)
	ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s, err := daemon.Events(ctx)
	if err != nil {
		e.cancel()
		return nil, fmt.Errorf("asking the daemon for events: %w", err)
	}
	e.prints = newPrinting(ctx, daemon, log)
	e.work.Go(func() { e.receive(s) })
	return e, nil
}

// receive takes events until the stream breaks.
func (e *daemonEvents) receive(s grpc.ServerStreamingClient[wire.DriverEvent]) {
	var once sync.Once
	for {
		m, err := s.Recv()
		if err != nil {
			e.mu.Lock()
			e.lost = fmt.Errorf("the daemon ended the stream of events: %w", lost(err))
			if e.fail != nil {
				e.fail(e.lost)
			}
			e.mu.Unlock()
			close(e.activated)
			return
		}
		switch {
		case m.Activated != nil:
			e.epoch = m.Activated.Epoch
			select {
			case e.activated <- m.Activated.Epoch:
			default: // a process is activated once
			}
		case m.Members != nil:
			e.mu.Lock()
			e.members = m.Members
			if e.report != nil {
				e.report(*m.Members)
			}
			e.mu.Unlock()
			if m.Members.Expected > 0 {
				once.Do(func() { close(e.known) })
			}
		case m.Died != nil:
			e.mu.Lock()
			if e.died != nil {
				e.died(*m.Died)
			}
			e.mu.Unlock()
		case m.Stop != nil:
			e.stop(errStopAsked)
		case m.Publish != nil:
			e.publish(s.Context(), m.Publish)
		case m.Print != nil:
			e.prints.ask(e.epoch, m.Print)
		}
	}
}

// maxRequests bounds the versions that wait to be published.
const maxRequests = 16

// publish hands a request to the job; one too many is refused. It is called by
// the receiving goroutine.
func (e *daemonEvents) publish(ctx context.Context, p *wire.PublishModel) {
	a := &wire.PublishedModel{Epoch: e.epoch, ID: p.ID}
	answer := func(digest string, err error) {
		a.Digest = digest
		if err != nil {
			a.Failure = err.Error()
		}
		call, cancel := context.WithTimeout(ctx, wire.CallTimeout)
		defer cancel()
		if err := e.daemon.Published(call, a); err != nil {
			e.log.Warn("the daemon wasn't told what became of a version", "model", p.Model, "failure", a.Failure, "err", err)
		}
	}
	select {
	case e.requests <- models.Request{Model: p.Model, Digest: p.Digest, Path: p.Path, Rollback: p.Rollback, Answer: answer}:
	default:
		answer("", fmt.Errorf("%d versions are waiting to be published; try again", maxRequests))
	}
}

// activation waits until the process is the job's driver.
func (e *daemonEvents) activation(ctx context.Context) (uint64, error) {
	select {
	case epoch, ok := <-e.activated:
		if !ok {
			return 0, e.lost
		}
		return epoch, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (e *daemonEvents) stopAsked() bool { return context.Cause(e.planning) == errStopAsked }

// Bounds of a job's default parallelism.
const (
	membersPatience = 2 * time.Second // for the leader to say which executors there are
	leastParallel   = 2
)

// parallelism returns the slots of the executors that the job has at its start.
func (e *daemonEvents) parallelism(ctx context.Context) (int, error) {
	select {
	case <-e.known:
	case <-time.After(membersPatience):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	if e.members != nil {
		if n = e.members.Slots; n == 0 {
			for _, p := range e.members.Processes {
				n += p.Slots
			}
		}
	}
	return max(n, leastParallel), nil
}

// patience is short: a batch with fewer executors is better than none.
func (e *daemonEvents) patience() time.Duration { return 300 * time.Millisecond }

func (e *daemonEvents) remedy(executor string) string {
	return fmt.Sprintf("engine-submit executor drain %s takes jobs off it, executor forget %[1]s if it is gone for good", executor)
}

func (e *daemonEvents) start(_ plan.JobHeader, report func(wire.Members), died func(wire.ProcessDied), fail func(error)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.report, e.died, e.fail = report, died, fail
	if e.members != nil {
		report(*e.members)
	}
	return e.lost
}

// targets returns nothing: the daemons say where their processes are.
func (e *daemonEvents) targets() []metrics.Target { return nil }

func (e *daemonEvents) close() error {
	e.cancel()
	e.work.Wait()
	e.prints.close()
	e.stop(nil)
	return nil
}

// progressReports tells the daemon how the job does, at most once a second. It
// is a listener.
type progressReports struct {
	daemon   wire.JobLogClient
	log      *slog.Logger
	troubles *plan.Troubles
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu    sync.Mutex
	state wire.Progress
	fresh bool
}

// reportInterval is the time between two reports.
const reportInterval = time.Second

func newProgressReports(daemon wire.JobLogClient, log *slog.Logger, t *plan.Troubles) *progressReports {
	ctx, cancel := context.WithCancel(context.Background())
	p := &progressReports{daemon: daemon, log: log, troubles: t, cancel: cancel}
	p.work.Go(func() { p.run(ctx) })
	return p
}

// listen keeps what a batch that is complete did.
func (p *progressReports) listen(e plan.Event) {
	b, ok := e.(plan.BatchCompleted)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.state
	s.Batches++
	s.Records += b.Records
	s.LastBatch, s.Waiting = b.Seq, b.Pending
	s.SchedulingMS = float64(b.SchedulingDelay) / float64(time.Millisecond)
	s.ProcessingMS = float64(b.ProcessingTime) / float64(time.Millisecond)
	s.RecordsPerSec = float64(b.Records) / max(b.ProcessingTime.Seconds(), 1e-6)
	p.fresh = true
}

// servesMetrics keeps where the process serves its metrics.
func (p *progressReports) servesMetrics(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Metrics, p.fresh = address, true
}

// program keeps how a batch program does.
func (p *progressReports) program(state *wire.ProgramProgress, records int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Program, p.state.Records = state, records
	p.fresh = true
}

// run reports until ctx ends, and what came last then.
func (p *progressReports) run(ctx context.Context) {
	tick := time.NewTicker(reportInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		state, fresh := p.take()
		if !fresh {
			continue
		}
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportInterval)
		if err := p.daemon.Report(call, &state); err != nil {
			p.log.Debug("reporting progress", "err", err)
			p.again()
		}
		cancel()
	}
}

// take returns how the job does, and whether that is news.
func (p *progressReports) take() (state wire.Progress, fresh bool) {
	text, executor := p.troubles.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.state
	fresh = p.fresh || s.Message != text || s.Executor != executor
	s.Message, s.Executor, p.fresh = text, executor, false
	return *s, fresh
}

// again makes what wasn't told be told.
func (p *progressReports) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fresh = true
}

func (p *progressReports) close() {
	p.cancel()
	p.work.Wait()
}

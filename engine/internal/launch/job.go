package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/internal/driver"
	"github.com/hibana-engine/hibana/engine/internal/models"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/remote"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
)

// Job is a program that is about to run: what all masters have in common on the
// driver's side.
type Job struct {
	App         string
	Incarnation uint64        // which submission of the job; 0 in local modes
	Origin      uint64        // the first of the jobs that were resumed up to this one, 0 for none
	Batch       bool          // it is a batch program rather than a stream
	Interval    time.Duration // 0 for a batch program
	Cadence     plan.Cadence
	// Build declares the streams of one copy of the program in p, and returns what
	// is wrong with it.
	Build      func(ctx context.Context, p *plan.Program) error
	Settings   plan.Settings
	Batches    plan.Log
	Durable    bool   // the log outlives the process
	Checkpoint string // directory, "" for none
	// AllowNonRestored lets a changed program go on without inputs and states of the
	// checkpoint that it doesn't have.
	AllowNonRestored bool
	Log              *slog.Logger
	Stdout           io.Writer
	Status           *cli.StatusLine // on which a batch program's progress is shown; nil for none
	Metrics          string          // host:port where the driver process serves its metrics, "" for nowhere

	looking   bool            // only the build function is to run
	standby   bool            // it is prepared before this process is the job's driver
	listeners []plan.Listener // of the master, beside the program's
	requests  <-chan models.Request
	lookup    plan.Log         // another way to what Batches has, which has one goroutine; only Recover is called
	prints    *printing        // for the daemon, nil where there is none
	reports   *progressReports // to the daemon, nil where there is none
	troubles  *plan.Troubles   // nil where nobody asks

	security security.Security // of a host that isn't loopback, for metrics
	metrics  *processMetrics   // nil unless they are served

	calls    *plan.Calls // of the program's functions; Run's own if it isn't RunProcess's
	farewell *farewell   // nil unless the process ends with the job

	temporary []string // directories that go with the job
}

// kind returns what the control plane calls the program.
func (j *Job) kind() wire.JobKind {
	if j.Batch {
		return wire.KindBatch
	}
	return wire.KindStream
}

// Master is where a job's tasks run.
type Master interface {
	// Parallelism returns the default number of shuffle partitions for a job that
	// starts. One that goes on keeps what it had.
	Parallelism(ctx context.Context) (int, error)
	// prepare is told of the job before anything but values is recorded. Its error
	// ends the job.
	prepare(ctx context.Context, j *Job, driverCopy *plan.Program, header plan.JobHeader, values []plan.NamedValue) error
	// connect brings the executors in, as a driver of the given epoch.
	connect(ctx context.Context, epoch uint64) (cluster, error)
	// targets returns the other processes whose metrics are served.
	targets() []metrics.Target
	// close lets the executors go. It is called once, in any case.
	close() error
}

// cluster is a job's executors, as its driver and its models see them.
type cluster interface {
	driver.Cluster
	replay.Cluster
	models.Executors
	// Progress returns how far the stages are that run.
	Progress() []scheduler.StageProgress
}

// failing says at once that the stream or the program fails, and bounds how long its end
// takes.
func (j *Job) failing(err error) {
	if !gaveUpPlace(err) && !asAsked(err) {
		first, _, _ := strings.Cut(err.Error(), "\n")
		what := "the stream has failed"
		if j.Batch {
			what = "the program has failed"
		}
		j.Log.Error(what, "err", first)
	}
	patience := failPatience
	if errors.Is(err, plan.ErrStopped) { // an interrupt that is to end the process at once
		patience = stopPatience
	}
	j.farewell.begin(err, patience)
}

// asAsked reports whether a job ended before its time because somebody asked for it.
func asAsked(err error) bool {
	return errors.Is(err, plan.ErrStopped) || errors.Is(err, plan.ErrInterrupted)
}

// gaveUpPlace reports whether a driver failed because it lost its place, which is
// no failure of the job.
func gaveUpPlace(err error) bool {
	return errors.Is(err, errLogLost) || errors.Is(err, remote.ErrDeposed)
}

// newProgram returns an empty copy of the program.
func (j *Job) newProgram(h plan.JobHeader, values *plan.ValueLog) *plan.Program {
	return &plan.Program{
		App: j.App, Interval: j.Interval, Cadence: j.Cadence, Settings: j.Settings, Parallelism: h.Parallelism, Durable: h.Durable,
		Values: values, Log: j.Log, Stdout: j.Stdout, Calls: j.calls, Looking: j.looking,
		Graph: plan.Graph{Calls: j.calls},
	}
}

// header returns the job's header as far as it is known before the build.
func (j *Job) header(ctx context.Context, m Master, recorded *plan.JobHeader) (plan.JobHeader, error) {
	if recorded == nil {
		incarnation := j.Incarnation
		if incarnation == 0 {
			incarnation = uint64(time.Now().UnixNano())
		}
		parallelism, err := m.Parallelism(ctx)
		return plan.JobHeader{App: j.App, Incarnation: incarnation, Parallelism: parallelism, Durable: j.Durable}, err
	}
	if recorded.App != j.App {
		return plan.JobHeader{}, fmt.Errorf("%w: it belongs to %q, this is %q; %s", plan.ErrOtherProgram, recorded.App, j.App, plan.BeginAnew)
	}
	h := plan.JobHeader{App: j.App, Incarnation: recorded.Incarnation, Origin: j.Origin, Parallelism: recorded.Parallelism, Durable: recorded.Durable}
	if j.Incarnation != 0 { // the log may be of the job that this one resumes
		h.Incarnation = j.Incarnation
	}
	return h, nil
}

// kept returns the place of a store on a cluster: that of the log, if there is one, which
// a setting mustn't contradict. address makes a setting comparable.
func (j *Job) kept(setting, key, logged string, address func(string) (string, error)) (string, error) {
	if j.Incarnation == 0 || logged == "" {
		return setting, nil
	}
	if setting != "" {
		now, err := address(setting)
		if err != nil || now != logged {
			return "", errors.Join(err, fmt.Errorf("%w: what the job keeps is in %s, --conf %s names %s: leave that out, or name the same", plan.ErrOtherProgram, logged, key, setting))
		}
	}
	return logged, nil
}

// sameGraph compares two builds of a program.
func sameGraph(aName string, a *plan.Graph, bName string, b *plan.Graph) error {
	if a.Fingerprint() == b.Fingerprint() {
		return nil
	}
	return divergedGraph(aName, a.Describe(), bName, b.Describe())
}

// divergedGraph says how two builds differ.
func divergedGraph(aName string, a []string, bName string, b []string) error {
	return fmt.Errorf("%w: two builds of it declare different graphs; what differs between processes (time, random numbers, files, environment) belongs in engine.Value\n%s",
		plan.ErrDiverged, lineage.Diff(aName, a, bName, b))
}

// stopTimeout bounds the effects that run when a stream has stopped.
const stopTimeout = 30 * time.Second

// runOnStop runs what the program declared for its end, the last first.
func (j *Job) runOnStop(ctx context.Context, p *plan.Program) error {
	defer j.farewell.allow(stopTimeout)()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var errs []error
	for i := len(p.OnStop) - 1; i >= 0; i-- {
		f := p.OnStop[i]
		what := fmt.Sprintf("OnStop at %s", f.Site)
		if err := j.calls.Guard(what, func() error { return f.Run(ctx) }); err != nil {
			j.Log.Error("an effect at the stream's end has failed", "effect", what, "err", err)
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	return errors.Join(errs...)
}

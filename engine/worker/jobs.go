package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/logs"
	"github.com/hibana-engine/hibana/engine/process"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/supervise"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Times and limits of jobs.
const (
	firstWait   = 50 * time.Millisecond // before a job that can't be run is tried again
	lastWait    = 10 * time.Second
	logWait     = time.Second // for a job's log, which may be about to be closed
	pruneEvery  = time.Minute
	keepFiles   = 24 * time.Hour   // of jobs that have ended
	keptJobs    = 50               // newest of them; older ones go earlier
	keepProgram = 10 * time.Minute // after the last job that used it
)

// executorNice is the niceness of a job executor process: the daemon's
// heartbeats come first.
const executorNice = 5

// job is a job that this executor runs a process for.
type job struct {
	spec   wire.JobSpec
	slots  int
	cancel context.CancelFunc
}

// jobs are the jobs that this executor runs processes for.
//
// THREADING: one goroutine assigns and prunes, and uses running and pruned; each job has
// a goroutine of its own, for which end waits.
type jobs struct {
	executor string        // id of this one
	host     string        // for processes to listen on
	metrics  string        // host at which they serve their metrics; "" for nowhere
	tls      wire.TLSFiles // of processes
	env      []string      // of processes
	reaper   *process.Reaper
	cluster  *rpc.Cluster
	dir      *dataDir
	programs *binaries.Store
	output   *logs.Server
	reports  *reports
	log      *slog.Logger
	work     sync.WaitGroup // of jobs, until they have ended

	gauges  *gauges
	running map[uint64]*job
	pruned  time.Time
}

// assign runs the jobs that are assigned, and ends those that aren't any more.
func (s *jobs) assign(all []wire.Assignment) {
	want := make(map[uint64]bool, len(all))
	for _, j := range all {
		want[j.Spec.Incarnation] = true
		if s.running[j.Spec.Incarnation] == nil {
			s.start(j)
		}
	}
	for inc, j := range s.running {
		if !want[inc] {
			s.log.Info("a job has ended here", "job", inc, "name", j.spec.Name)
			j.cancel()
			delete(s.running, inc)
		}
	}
}

// start starts a job's goroutine.
func (s *jobs) start(a wire.Assignment) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{spec: a.Spec, slots: a.Slots, cancel: cancel}
	inc := j.spec.Incarnation
	s.running[inc] = j
	s.log.Info("a job runs here", "job", inc, "name", j.spec.Name, "slots", a.Slots)
	report := s.reports.begin(j.spec)
	s.work.Go(func() {
		defer cancel()
		if err := s.run(ctx, j, report); err != nil {
			s.log.Error("a job can't run here", "job", inc, "err", err)
		}
		<-ctx.Done() // until it isn't assigned any more
		s.reports.drop(inc, report)
	})
}

// run keeps a process of the job until ctx ends. The job's log is open until
// its files are as they were: whoever runs the job next waits for that.
func (s *jobs) run(ctx context.Context, j *job, report *jobReport) error {
	inc := j.spec.Incarnation
	out, work, err := s.prepare(ctx, j, report)
	if err != nil {
		return nil // ctx has ended
	}
	err = s.supervise(ctx, j, report, out, work)
	return errors.Join(err, s.dir.removeWork(inc), out.Close())
}

// supervise keeps a process of the job until ctx ends or it keeps crashing.
func (s *jobs) supervise(ctx context.Context, j *job, report *jobReport, out *logs.Log, work string) error {
	inc := j.spec.Incarnation
	supervisor := &supervise.Supervisor{
		Path: s.programs.Path(j.spec.Binary), Name: j.spec.ProcessName(), Args: j.spec.Args, Env: s.env, Dir: work, Nice: executorNice, Reaper: s.reaper, Output: out,
		Spec: wire.ExecutorSpec{Job: j.spec, Executor: s.executor, Slots: j.slots, Host: s.host, TLS: s.tls, Metrics: s.metrics},
		OnReady: func(process string, r *wire.ReadyRequest) {
			s.gauges.started.Inc()
			s.reports.measures(report, r.Metrics)
			s.reports.ready(report, &wire.ProcessReady{Incarnation: inc, Process: process, Address: r.Address, Slots: j.slots})
		},
		OnExit: func(x supervise.Exit) {
			s.gauges.died.Inc()
			s.log.Warn("a job's process has died", "job", inc, "process", j.spec.ProcessName(), "crashes", x.Crashes, "reason", x.Reason)
			s.reports.exited(report, &wire.ProcessExited{Incarnation: inc, Process: x.Process, Reason: x.Reason, Crashes: x.Crashes, Fatal: x.Fatal, Died: x.Died})
		},
	}
	return supervisor.Run(ctx)
}

// openLog opens a job's log. The goroutine of the same job before may be about
// to close it.
func (s *jobs) openLog(ctx context.Context, inc uint64) (*logs.Log, error) {
	for wait := firstWait; ; wait *= 2 {
		out, err := s.output.Open(inc)
		if err == nil || wait > logWait {
			return out, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// prepare brings what a process of the job needs, however long that takes: the
// drivers may be away, the disk full.
func (s *jobs) prepare(ctx context.Context, j *job, report *jobReport) (out *logs.Log, work string, err error) {
	inc := j.spec.Incarnation
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		if err = s.fetch(ctx, j); err == nil {
			out, work, err = s.openFiles(ctx, inc)
		}
		if err == nil || ctx.Err() != nil {
			return out, work, err
		}
		s.log.Warn("a job can't be run yet", "job", inc, "err", err, "again_in", wait)
		s.reports.exited(report, &wire.ProcessExited{Incarnation: inc, Reason: err.Error()})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
}

// fetch brings the job's program.
func (s *jobs) fetch(ctx context.Context, j *job) error {
	var sources []binaries.Source
	for _, a := range s.cluster.Known() {
		if cc, err := s.cluster.Conn(a); err == nil { // nothing is dialled yet
			sources = append(sources, binaries.Source{Name: a, Client: wire.BinariesClient{CC: cc}})
		}
	}
	if err := s.programs.FetchFrom(ctx, j.spec.Binary, j.spec.Size, sources...); err != nil {
		return fmt.Errorf("fetching the program: %w", err)
	}
	return nil
}

// openFiles opens a job's log and makes its working directory.
func (s *jobs) openFiles(ctx context.Context, inc uint64) (out *logs.Log, work string, err error) {
	if out, err = s.openLog(ctx, inc); err != nil {
		return nil, "", err
	}
	if work, err = s.dir.workDir(inc); err != nil {
		return nil, "", errors.Join(err, out.Close())
	}
	return out, work, nil
}

// end ends all jobs.
func (s *jobs) end() {
	for _, j := range s.running {
		j.cancel()
	}
	s.work.Wait()
}

// prune removes the files that no job needs.
func (s *jobs) prune() {
	s.pruned = time.Now()
	keep := make(map[string]bool)
	live := make(map[uint64]bool)
	for inc, j := range s.running {
		keep[j.spec.Binary], live[inc] = true, true
	}
	if err := errors.Join(s.programs.Sweep(keep, keepProgram), s.dir.prune(live, keepFiles, keptJobs)); err != nil {
		s.log.Warn("removing files of jobs that have ended", "err", err)
	}
}

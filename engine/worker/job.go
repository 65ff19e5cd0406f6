package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/logs"
	"github.com/hibana-engine/hibana/engine/wire"
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

// jobReport is what the leader is to know of a job here. Only the newest counts,
// so that it can't grow while there is no leader.
type jobReport struct {
	ready  *wire.ProcessReady  // the process that takes tasks, nil while there is none
	exited *wire.ProcessExited // the last end of one that wasn't reported
	fatal  *wire.ProcessExited // it isn't tried again; every leader is told
	told   bool                // ready, or fatal, was reported to this leader
}

// startJob starts a job's goroutine.
func (d *daemon) startJob(a wire.Assignment) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{spec: a.Spec, slots: a.Slots, cancel: cancel}
	inc := j.spec.Incarnation
	d.jobs[inc] = j
	d.log.Info("a job runs here", "job", inc, "name", j.spec.Name, "slots", a.Slots)
	d.mu.Lock()
	d.reports[inc] = &jobReport{}
	report := d.reports[inc]
	d.mu.Unlock()
	d.work.Go(func() {
		defer cancel()
		if err := d.runJob(ctx, j, report); err != nil {
			d.log.Error("a job can't run here", "job", inc, "err", err)
		}
		<-ctx.Done() // until it isn't assigned any more
		d.mu.Lock()
		if d.reports[inc] == report {
			delete(d.reports, inc)
		}
		d.mu.Unlock()
		if err := d.dir.removeWork(inc); err != nil {
			d.log.Warn("removing a job's working directory", "job", inc, "err", err)
		}
	})
}

// runJob keeps a process of the job until ctx ends.
func (d *daemon) runJob(ctx context.Context, j *job, report *jobReport) (err error) {
	inc := j.spec.Incarnation
	work, out, err := d.prepare(ctx, j, report)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return d.exited(report, &wire.ProcessExited{Incarnation: inc, Reason: err.Error(), Fatal: true}, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	s := &Supervisor{
		Path: d.programs.Path(j.spec.Binary), Name: j.spec.Name, Args: j.spec.Args, Dir: work, Nice: executorNice, Output: out,
		Spec: wire.ExecutorSpec{Job: j.spec, Executor: d.cfg.ID, Slots: j.slots, Host: d.host, TLS: d.cfg.Security.Files},
		OnReady: func(process, address string) {
			d.tell(func() {
				report.ready = &wire.ProcessReady{Incarnation: inc, Process: process, Address: address, Slots: j.slots}
				report.told = false
			})
		},
		OnExit: func(x Exit) {
			d.log.Warn("a job's process has died", "job", inc, "crashes", x.Crashes, "reason", x.Reason)
			_ = d.exited(report, &wire.ProcessExited{Incarnation: inc, Process: x.Process, Reason: x.Reason, Crashes: x.Crashes, Fatal: x.Fatal}, nil)
		},
	}
	return s.Run(ctx)
}

// prepare brings the job's program and opens its files. A program that can't be
// fetched and a disk that is full are waited for, however long that takes.
func (d *daemon) prepare(ctx context.Context, j *job, report *jobReport) (work string, out *logs.Log, err error) {
	for wait := firstRetry; ; wait = min(2*wait, 10*lastRetry) {
		if err = d.fetch(ctx, j); err == nil {
			work, out, err = d.openFiles(ctx, j.spec.Incarnation)
			if err == nil || !disk.Full(err) {
				return work, out, err
			}
		}
		if ctx.Err() != nil {
			return "", nil, ctx.Err()
		}
		d.log.Warn("preparing to run a job", "job", j.spec.Incarnation, "err", err, "again_in", wait)
		_ = d.exited(report, &wire.ProcessExited{Incarnation: j.spec.Incarnation, Reason: err.Error()}, nil)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
	}
}

// fetch brings the job's program.
func (d *daemon) fetch(ctx context.Context, j *job) error {
	var sources []binaries.Source
	for _, a := range d.cluster.Addresses() {
		if cc, err := d.cluster.Conn(a); err == nil { // nothing is dialled yet
			sources = append(sources, binaries.Source{Name: a, Client: wire.BinariesClient{CC: cc}})
		}
	}
	return d.programs.FetchFrom(ctx, j.spec.Binary, j.spec.Size, sources...)
}

// openFiles makes the job's working directory and opens its log.
func (d *daemon) openFiles(ctx context.Context, inc uint64) (work string, out *logs.Log, err error) {
	if work, err = d.dir.workDir(inc); err != nil {
		return "", nil, err
	}
	out, err = d.openLog(ctx, inc)
	return work, out, err
}

// openLog opens a job's log. The goroutine of the same job before may be about
// to close it.
func (d *daemon) openLog(ctx context.Context, inc uint64) (*logs.Log, error) {
	for wait := firstRetry; ; wait *= 2 {
		out, err := d.output.Open(inc)
		if err == nil || wait > lastRetry || disk.Full(err) {
			return out, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tell changes what is reported.
func (d *daemon) tell(change func()) {
	d.mu.Lock()
	change()
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// exited notes the end of a process and returns err.
func (d *daemon) exited(report *jobReport, x *wire.ProcessExited, err error) error {
	d.tell(func() {
		report.ready = nil
		if x.Fatal {
			report.fatal, report.told = x, false
		} else {
			report.exited = x
		}
	})
	return err
}

// reportAll makes everything that stands be reported, to a new leader.
func (d *daemon) reportAll() {
	d.tell(func() {
		for _, r := range d.reports {
			r.told = false
		}
	})
}

// takeReports returns what wasn't reported yet.
func (d *daemon) takeReports() []*wire.DaemonReport {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*wire.DaemonReport
	for _, inc := range slices.Sorted(maps.Keys(d.reports)) {
		r := d.reports[inc]
		if r.exited != nil {
			all = append(all, &wire.DaemonReport{Exited: r.exited})
			r.exited = nil
		}
		if r.told {
			continue
		}
		switch {
		case r.fatal != nil:
			all = append(all, &wire.DaemonReport{Exited: r.fatal})
		case r.ready != nil:
			all = append(all, &wire.DaemonReport{Ready: r.ready})
		}
		r.told = true
	}
	return all
}

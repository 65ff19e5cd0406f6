package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/logs"
	"github.com/hibana-engine/hibana/engine/supervise"
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
// so that it can't grow while there is no leader. It stands until something newer
// does: each leader is told, because what was sent to the last one may be lost.
type jobReport struct {
	ready  *wire.ProcessReady  // the process that takes tasks, nil while there is none
	exited *wire.ProcessExited // the last end of one, until the next one is reported
	told   bool                // this leader was told
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
	})
}

// runJob keeps a process of the job until ctx ends. The job's log is open until
// its files are as they were: whoever runs the job next waits for that.
func (d *daemon) runJob(ctx context.Context, j *job, report *jobReport) error {
	inc := j.spec.Incarnation
	out, work, err := d.prepare(ctx, j, report)
	if err != nil {
		return nil // ctx has ended
	}
	err = d.supervise(ctx, j, report, out, work)
	return errors.Join(err, d.dir.removeWork(inc), out.Close())
}

// supervise keeps a process of the job until ctx ends or it keeps crashing.
func (d *daemon) supervise(ctx context.Context, j *job, report *jobReport, out *logs.Log, work string) error {
	inc := j.spec.Incarnation
	s := &supervise.Supervisor{
		Path: d.programs.Path(j.spec.Binary), Name: j.spec.ProcessName(), Args: j.spec.Args, Dir: work, Nice: executorNice, Output: out,
		Spec: wire.ExecutorSpec{Job: j.spec, Executor: d.cfg.ID, Slots: j.slots, Host: d.host, TLS: d.cfg.Security.Files},
		OnReady: func(process, address string) {
			d.ready(report, &wire.ProcessReady{Incarnation: inc, Process: process, Address: address, Slots: j.slots})
		},
		OnExit: func(x supervise.Exit) {
			d.log.Warn("a job's process has died", "job", inc, "crashes", x.Crashes, "reason", x.Reason)
			d.exited(report, &wire.ProcessExited{Incarnation: inc, Process: x.Process, Reason: x.Reason, Crashes: x.Crashes, Fatal: x.Fatal, Died: x.Died})
		},
	}
	return s.Run(ctx)
}

// openLog opens a job's log. The goroutine of the same job before may be about
// to close it.
func (d *daemon) openLog(ctx context.Context, inc uint64) (*logs.Log, error) {
	for wait := firstRetry; ; wait *= 2 {
		out, err := d.output.Open(inc)
		if err == nil || wait > lastRetry {
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
func (d *daemon) prepare(ctx context.Context, j *job, report *jobReport) (out *logs.Log, work string, err error) {
	inc := j.spec.Incarnation
	for wait := firstRetry; ; wait = min(2*wait, 10*lastRetry) {
		if err = d.fetch(ctx, j); err == nil {
			out, work, err = d.openFiles(ctx, inc)
		}
		if err == nil || ctx.Err() != nil {
			return out, work, err
		}
		d.log.Warn("a job can't be run yet", "job", inc, "err", err, "again_in", wait)
		d.exited(report, &wire.ProcessExited{Incarnation: inc, Reason: err.Error()})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
}

// fetch brings the job's program.
func (d *daemon) fetch(ctx context.Context, j *job) error {
	var sources []binaries.Source
	for _, a := range d.cluster.Known() {
		if cc, err := d.cluster.Conn(a); err == nil { // nothing is dialled yet
			sources = append(sources, binaries.Source{Name: a, Client: wire.BinariesClient{CC: cc}})
		}
	}
	if err := d.programs.FetchFrom(ctx, j.spec.Binary, j.spec.Size, sources...); err != nil {
		return fmt.Errorf("fetching the program: %w", err)
	}
	return nil
}

// openFiles opens a job's log and makes its working directory.
func (d *daemon) openFiles(ctx context.Context, inc uint64) (out *logs.Log, work string, err error) {
	if out, err = d.openLog(ctx, inc); err != nil {
		return nil, "", err
	}
	if work, err = d.dir.workDir(inc); err != nil {
		return nil, "", errors.Join(err, out.Close())
	}
	return out, work, nil
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

// ready notes that a process takes tasks.
func (d *daemon) ready(report *jobReport, p *wire.ProcessReady) {
	d.tell(func() {
		if report.told { // a process in its place says enough
			report.exited = nil
		}
		report.ready, report.told = p, false
	})
}

// exited notes the end of a process.
func (d *daemon) exited(report *jobReport, x *wire.ProcessExited) {
	d.tell(func() { report.ready, report.exited, report.told = nil, x, false })
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
		if r.told {
			continue
		}
		if r.exited != nil {
			all = append(all, &wire.DaemonReport{Exited: r.exited})
		}
		if r.ready != nil {
			all = append(all, &wire.DaemonReport{Ready: r.ready})
			r.exited = nil
		}
		r.told = true
	}
	return all
}

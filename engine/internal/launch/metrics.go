package launch

import (
	"context"

	"github.com/hibana-engine/hibana/engine/internal/executor"
	"github.com/hibana-engine/hibana/engine/internal/jobmetrics"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/security"
)

// processMetrics are the metrics of a job's process, while they are served. The methods
// of nil do nothing.
type processMetrics struct {
	set    *metrics.Set
	driver *jobmetrics.Driver // nil in an executor process
	served *metrics.Running
}

// openMetrics serves the metrics of the job's driver process if somebody wants them.
func (j *Job) openMetrics(ctx context.Context, m Master) error {
	l, err := metrics.Listen(ctx, j.Metrics, j.security)
	if l == nil {
		return err
	}
	p := &processMetrics{set: metrics.NewSet()}
	p.driver = jobmetrics.NewDriver(p.set)
	server := &metrics.Server{Set: p.set, Ready: p.driver.Ready, Targets: m.targets, Log: j.Log}
	p.served = server.Start(l)
	j.metrics, j.listeners = p, append(j.listeners, p.driver.Listen)
	if j.reports != nil {
		j.reports.servesMetrics(p.served.Address())
	} else {
		j.Log.Info("serving metrics", "url", "http://"+p.served.Address()+"/metrics")
	}
	return nil
}

// openExecutorMetrics serves the metrics of an executor process at a host, "" for none.
func (j *Job) openExecutorMetrics(ctx context.Context, host string, s security.Security) error {
	l, err := metrics.Listen(ctx, metrics.FreePort(host), s)
	if l == nil {
		return err
	}
	server := &metrics.Server{Set: metrics.NewSet(), Log: j.Log}
	j.metrics = &processMetrics{set: server.Set, served: server.Start(l)}
	return nil
}

func (p *processMetrics) close() {
	if p != nil {
		p.served.Close()
	}
}

// address returns where metrics are served, "" for nowhere.
func (p *processMetrics) address() string {
	if p == nil {
		return ""
	}
	return p.served.Address()
}

// measure counts what an executor does, and how many slots it has.
func (p *processMetrics) measure(e *executor.Executor, slots func() int) {
	if p == nil {
		return
	}
	x := jobmetrics.NewExecutor(p.set)
	e.Meter = x
	x.Look(p.set, e.Held, slots)
}

// watch shows how far the stages are that run.
func (p *processMetrics) watch(c cluster) {
	if p != nil {
		p.driver.Look(p.set, c.Progress)
	}
}

// follow counts what a batch program does, which has ended when the returned function is
// called.
func (p *processMetrics) follow(d *replay.Driver) (ended func()) {
	if p == nil {
		return func() {}
	}
	return p.driver.Follow(p.set, d.Summary)
}

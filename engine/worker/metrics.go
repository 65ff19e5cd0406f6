package worker

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hibana-engine/hibana/engine/metrics"
)

// gauges are the metrics of an engine-executor.
type gauges struct {
	follows, slots, jobs prometheus.Gauge
	started, died        prometheus.Counter // processes of jobs
}

func newGauges(s *metrics.Set) *gauges {
	return &gauges{
		follows: s.Gauge("hibana_executor_daemon_follows", "1 while the leader has taken this engine-executor in.").WithLabelValues(),
		slots:   s.Gauge("hibana_executor_daemon_slots", "Tasks that may run on this engine-executor at once, of all jobs.").WithLabelValues(),
		jobs:    s.Gauge("hibana_executor_daemon_jobs", "Jobs that this engine-executor runs a process for.").WithLabelValues(),
		started: s.Counter("hibana_executor_daemon_process_starts_total", "Processes of jobs that were started and took tasks.").WithLabelValues(),
		died:    s.Counter("hibana_executor_daemon_process_deaths_total", "Processes of jobs that ended although they shouldn't have.").WithLabelValues(),
	}
}

// Metrics lists the metrics of an engine-executor, beside those of every process.
func Metrics() []metrics.Declared {
	s := metrics.NewSet()
	newGauges(s)
	return s.Declared()
}

// errNoLeader: the daemon is told nothing of new jobs.
var errNoLeader = errors.New("no engine-driver leads, or the leader can't be reached; jobs that run go on")

// measure returns the server of the daemon's metrics.
func (d *daemon) measure() *metrics.Server {
	reports := d.jobs.reports
	d.jobs.gauges.slots.Set(float64(d.cfg.Slots))
	d.set.Look(func() {
		d.jobs.gauges.follows.Set(0)
		if d.follows.Load() {
			d.jobs.gauges.follows.Set(1)
		}
		d.jobs.gauges.jobs.Set(float64(reports.jobs()))
	})
	return &metrics.Server{Set: d.set, Ready: d.ready, Targets: reports.targets, Log: d.log}
}

// ready says whether the daemon is told of new jobs.
func (d *daemon) ready() error {
	if !d.follows.Load() {
		return errNoLeader
	}
	return nil
}

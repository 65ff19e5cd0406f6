package jobmetrics

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// Driver is the metrics of a job's driver process.
type Driver struct {
	running atomic.Bool // the job is under way here

	batches    prometheus.Counter
	pending    prometheus.Gauge
	scheduling prometheus.Observer
	processing prometheus.Observer
	total      prometheus.Observer

	inputRecords *prometheus.CounterVec
	backlog      *prometheus.GaugeVec
	held         *prometheus.GaugeVec
	lags         *lags

	outputs        *prometheus.HistogramVec
	outputFailures *prometheus.CounterVec

	work   work
	stages *prometheus.GaugeVec
}

// work counts what tasks did.
type work struct {
	tasks, failed                               prometheus.Counter
	read, readBytes, written, bad               prometheus.Counter
	shuffleLocal, shuffleRemote, shuffleWritten prometheus.Counter
	cacheRemote                                 prometheus.Counter
}

func newWork(s *metrics.Set) work {
	tasks := s.Counter("hibana_tasks_total", "Attempts of tasks that ended, by whether they counted (ok) or not (failed: also of lost executors and killed).", "result")
	shuffle := s.Counter("hibana_shuffle_read_bytes_total", "Bytes of shuffle blocks that tasks read, by where they came from: the same executor (local) or another (remote).", "from")
	return work{
		tasks: tasks.WithLabelValues("ok"), failed: tasks.WithLabelValues("failed"),
		read:         s.Counter("hibana_records_read_total", "Records that tasks took from sources.").WithLabelValues(),
		readBytes:    s.Counter("hibana_read_bytes_total", "Bytes that tasks took from sources.").WithLabelValues(),
		written:      s.Counter("hibana_records_written_total", "Records that tasks handed to sinks.").WithLabelValues(),
		bad:          s.Counter("hibana_bad_records_total", "Records that were left out by the job's policy for bad ones.").WithLabelValues(),
		shuffleLocal: shuffle.WithLabelValues("local"), shuffleRemote: shuffle.WithLabelValues("remote"),
		shuffleWritten: s.Counter("hibana_shuffle_written_bytes_total", "Bytes of shuffle blocks that tasks wrote.").WithLabelValues(),
		cacheRemote:    s.Counter("hibana_cache_fetched_bytes_total", "Bytes of cached partitions that tasks read from other executors.").WithLabelValues(),
	}
}

// add counts what the tasks of a job or a program did.
func (w *work) add(ok, failed int, m task.Metrics) {
	w.tasks.Add(float64(ok))
	w.failed.Add(float64(failed))
	w.read.Add(float64(m.RecordsRead))
	w.readBytes.Add(float64(m.BytesRead))
	w.written.Add(float64(m.RecordsWritten))
	w.bad.Add(float64(m.BadRecords))
	w.shuffleLocal.Add(float64(max(0, m.ShuffleRead-m.ShuffleRemote))) // a counter that goes back panics
	w.shuffleRemote.Add(float64(m.ShuffleRemote))
	w.shuffleWritten.Add(float64(m.ShuffleWritten))
	w.cacheRemote.Add(float64(m.CacheRemote))
}

// NewDriver declares the metrics of a job's driver process in s.
func NewDriver(s *metrics.Set) *Driver {
	seconds := func(name, help string) prometheus.Observer { return s.Seconds(name, help).WithLabelValues() }
	d := &Driver{
		batches:    s.Counter("hibana_batches_total", "Batches that are complete.").WithLabelValues(),
		pending:    s.Gauge("hibana_batches_pending", "Batches that are planned and not begun.").WithLabelValues(),
		scheduling: seconds("hibana_batch_scheduling_delay_seconds", "From a batch's time until its first job began."),
		processing: seconds("hibana_batch_processing_seconds", "Of all jobs of a batch."),
		total:      seconds("hibana_batch_total_delay_seconds", "From a batch's time until it was complete."),

		inputRecords: s.Counter("hibana_input_records_total", "Records that batches were given, by input: its operator and place in the program.", "input"),
		backlog:      s.Gauge("hibana_input_backlog_records", "Records of an input that waited behind the newest batch.", "input"),
		held:         s.Gauge("hibana_input_held", "1 while something keeps an input from reading what is there, such as an open transaction.", "input"),
		lags:         newLags(s),

		outputs:        s.Seconds("hibana_output_seconds", "Of one output of a batch, by its operator and place in the program.", "output"),
		outputFailures: s.Counter("hibana_output_failures_total", "Outputs of batches that failed.", "output"),

		work:   newWork(s),
		stages: s.Gauge("hibana_stage_tasks", "Tasks of the stages that run now, by whether they are done, running or waiting.", "state"),
	}
	return d
}

// Listen takes in an event of a stream. It is a [plan.Listener].
func (d *Driver) Listen(e plan.Event) {
	switch e := e.(type) {
	case plan.StreamingStarted:
		d.running.Store(true)
	case plan.StreamingStopped:
		d.running.Store(false)
	case plan.BatchSubmitted:
		d.submitted(e.BatchInfo)
	case plan.BatchStarted:
		d.pending.Set(float64(e.Pending))
	case plan.OutputCompleted:
		d.output(e.OutputInfo)
	case plan.BatchCompleted:
		d.completed(e.BatchInfo)
	}
}

func (d *Driver) submitted(b plan.BatchInfo) {
	d.pending.Inc()
	if b.Replayed {
		return // its backlog is of the driver before
	}
	for _, in := range b.Inputs {
		held := 0.0
		if in.Held != "" {
			held = 1
		}
		d.held.WithLabelValues(in.Op).Set(held)
		d.backlog.WithLabelValues(in.Op).Set(float64(in.Backlog))
		d.lags.set(in.Op, in.Lags)
	}
}

func (d *Driver) output(o plan.OutputInfo) {
	d.outputs.WithLabelValues(o.Op).Observe(o.Duration.Seconds())
	failures := d.outputFailures.WithLabelValues(o.Op) // it is there, with 0, before the first
	if o.Err != nil {
		failures.Inc()
	}
	d.work.add(o.Tasks, o.Failed, task.Metrics{})
}

func (d *Driver) completed(b plan.BatchInfo) {
	d.batches.Inc()
	d.scheduling.Observe(b.SchedulingDelay.Seconds())
	d.processing.Observe(b.ProcessingTime.Seconds())
	d.total.Observe(b.TotalDelay.Seconds())
	for _, in := range b.Inputs {
		d.inputRecords.WithLabelValues(in.Op).Add(float64(in.Records))
	}
	d.work.add(0, 0, b.Metrics)
}

// Look shows, at every scrape of s, how far the stages are that run.
func (d *Driver) Look(s *metrics.Set, progress func() []scheduler.StageProgress) {
	s.Look(func() {
		var done, running, waiting int
		for _, p := range progress() {
			done += p.Done
			running += p.Running
			waiting += p.Tasks - p.Done - p.Running
		}
		d.stages.WithLabelValues("done").Set(float64(done))
		d.stages.WithLabelValues("running").Set(float64(running))
		d.stages.WithLabelValues("waiting").Set(float64(waiting))
	})
}

// Follow counts, at every scrape of s, what a batch program does, which has ended when the
// returned function is called.
func (d *Driver) Follow(s *metrics.Set, summary func() replay.Summary) (ended func()) {
	d.running.Store(true)
	var before replay.Summary
	look := func() {
		now := summary()
		d.work.add(now.Tasks-before.Tasks, now.Failed-before.Failed, since(before.Metrics, now.Metrics))
		before = now
	}
	s.Look(look)
	return func() { d.running.Store(false) }
}

// since returns what was counted between two looks.
func since(before, now task.Metrics) task.Metrics {
	return task.Metrics{
		RecordsRead: now.RecordsRead - before.RecordsRead, BytesRead: now.BytesRead - before.BytesRead,
		RecordsWritten: now.RecordsWritten - before.RecordsWritten, BadRecords: now.BadRecords - before.BadRecords,
		ShuffleRead: now.ShuffleRead - before.ShuffleRead, ShuffleRemote: now.ShuffleRemote - before.ShuffleRemote,
		ShuffleWritten: now.ShuffleWritten - before.ShuffleWritten, CacheRemote: now.CacheRemote - before.CacheRemote,
	}
}

// errNotRunning: a job's driver process isn't the job's driver yet, or not any more.
var errNotRunning = errors.New("the job isn't under way in this process")

// Ready says whether the job is under way here.
func (d *Driver) Ready() error {
	if !d.running.Load() {
		return errNotRunning
	}
	return nil
}

package jobmetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hibana-engine/hibana/engine/internal/executor"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/scheduler"
)

// Executor is the metrics of a process that runs tasks.
type Executor struct {
	running prometheus.Gauge
	seconds *prometheus.HistogramVec
	slots   prometheus.Gauge
	memory  *prometheus.GaugeVec
	blocks  prometheus.Gauge
	files   prometheus.Gauge
}

// NewExecutor declares the metrics of a process that runs tasks in s.
func NewExecutor(s *metrics.Set) *Executor {
	return &Executor{
		running: s.Gauge("hibana_executor_tasks_running", "Tasks that run in this process.").WithLabelValues(),
		seconds: s.Seconds("hibana_executor_task_seconds", "Of a task in this process, by how it ended: ok, failed, killed, or fetch_failed when what it reads is lost.", "result"),
		slots:   s.Gauge("hibana_executor_slots", "Tasks that may run in this process at once: the job's share of the executor's slots.").WithLabelValues(),
		memory:  s.Gauge("hibana_executor_memory_bytes", "Memory of this process by use: used is what cached partitions, shuffles, states and tables of tasks take, state is the part of keyed states, limit what they may take.", "use"),
		blocks:  s.Gauge("hibana_executor_blocks", "Blocks of cached partitions, shuffles and states that this process keeps.").WithLabelValues(),
		files:   s.Gauge("hibana_executor_spill_files", "Files with what didn't fit in memory.").WithLabelValues(),
	}
}

// Look shows, at every scrape of s, what the process keeps and how many slots it has.
func (x *Executor) Look(s *metrics.Set, held func() executor.Holdings, slots func() int) {
	s.Look(func() {
		x.slots.Set(float64(slots()))
		h := held()
		x.blocks.Set(float64(h.Blocks))
		x.files.Set(float64(h.Files))
		for use, bytes := range map[string]int64{"used": h.Memory, "state": h.Pinned, "limit": h.Limit} {
			x.memory.WithLabelValues(use).Set(float64(bytes))
		}
	})
}

// TaskBegan notes that a task runs.
func (x *Executor) TaskBegan() { x.running.Inc() }

// TaskEnded notes how a task ended, and how long it took.
func (x *Executor) TaskEnded(o scheduler.Outcome, took time.Duration) {
	x.running.Dec()
	x.seconds.WithLabelValues(result(o)).Observe(took.Seconds())
}

// result returns how a task ended, in a word.
func result(o scheduler.Outcome) string {
	switch o.(type) {
	case scheduler.Success:
		return "ok"
	case scheduler.TaskKilled:
		return "killed"
	case scheduler.FetchFailed, scheduler.BlockMissing:
		return "fetch_failed"
	}
	return "failed"
}

package jobmetrics_test

import (
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/jobmetrics"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// BenchmarkBatch is what metrics cost a driver for each batch, of a topic of 8 partitions
// and one output.
func BenchmarkBatch(b *testing.B) {
	d := jobmetrics.NewDriver(metrics.NewSet())
	in := plan.InputInfo{Op: "kafka.Direct(in) at main.go:9", Records: 30, Backlog: 12}
	for p := range int32(8) {
		in.Lags = append(in.Lags, plan.Lag{Topic: "in", Partition: p, Records: 5})
	}
	info := plan.BatchInfo{
		Seq: 1, Records: 30, SchedulingDelay: 3 * time.Millisecond, ProcessingTime: 40 * time.Millisecond, TotalDelay: 43 * time.Millisecond,
		Inputs: []plan.InputInfo{in}, Metrics: task.Metrics{RecordsRead: 30, BytesRead: 300, ShuffleRead: 100, ShuffleWritten: 90},
	}
	output := plan.OutputInfo{Op: "forEachBatch at main.go:12", Duration: 40 * time.Millisecond, Tasks: 9}
	b.ReportAllocs()
	for b.Loop() {
		d.Listen(plan.BatchSubmitted{BatchInfo: info})
		d.Listen(plan.BatchStarted{BatchInfo: info})
		d.Listen(plan.OutputCompleted{OutputInfo: output})
		d.Listen(plan.BatchCompleted{BatchInfo: info})
	}
}

// BenchmarkTask is what metrics cost an executor for each task.
func BenchmarkTask(b *testing.B) {
	x := jobmetrics.NewExecutor(metrics.NewSet())
	b.ReportAllocs()
	for b.Loop() {
		x.TaskBegan()
		x.TaskEnded(scheduler.Success{}, 5*time.Millisecond)
	}
}

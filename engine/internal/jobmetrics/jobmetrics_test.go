package jobmetrics_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/executor"
	"github.com/hibana-engine/hibana/engine/internal/jobmetrics"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/metrics/metricstest"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// What a stream's driver is told becomes metrics.
func TestStream(t *testing.T) {
	set := metrics.NewSet()
	d := jobmetrics.NewDriver(set)
	has := metricstest.Serve(t, &metrics.Server{Set: set})
	d.Look(set, func() []scheduler.StageProgress {
		return []scheduler.StageProgress{{Tasks: 10, Done: 3, Running: 2}, {Tasks: 1, Running: 1}}
	})
	if d.Ready() == nil {
		t.Error("it is ready before it has begun")
	}
	d.Listen(plan.StreamingStarted{})
	if err := d.Ready(); err != nil {
		t.Error(err)
	}
	info := plan.BatchInfo{
		Seq: 1, Records: 30, Backlog: 12, SchedulingDelay: 3 * time.Millisecond, ProcessingTime: 40 * time.Millisecond, TotalDelay: 43 * time.Millisecond,
		Inputs: []plan.InputInfo{
			{Op: "kafka.Direct(in) at main.go:9", Records: 30, Backlog: 12, Held: "a transaction is open", Lags: []plan.Lag{{Topic: "in", Partition: 0, Records: 5}, {Topic: "in", Partition: 1, Records: 7}}},
		},
		Metrics: task.Metrics{RecordsRead: 30, BytesRead: 300, RecordsWritten: 20, BadRecords: 2, ShuffleRead: 100, ShuffleRemote: 60, ShuffleWritten: 90, CacheRemote: 70},
	}
	d.Listen(plan.BatchSubmitted{BatchInfo: info})
	has("hibana_batches_pending 1", "hibana_batches_total 0", `hibana_input_backlog_records{input="kafka.Direct(in) at main.go:9"} 12`,
		`hibana_input_held{input="kafka.Direct(in) at main.go:9"} 1`, `hibana_input_partition_lag_records{input="kafka.Direct(in) at main.go:9",partition="1",topic="in"} 7`,
		`hibana_stage_tasks{state="done"} 3`, `hibana_stage_tasks{state="running"} 3`, `hibana_stage_tasks{state="waiting"} 5`)
	d.Listen(plan.BatchStarted{BatchInfo: info})
	d.Listen(plan.OutputCompleted{OutputInfo: plan.OutputInfo{Op: "print at main.go:12", Duration: 40 * time.Millisecond, Tasks: 4, Failed: 1}})
	d.Listen(plan.BatchCompleted{BatchInfo: info})
	d.Listen(plan.OutputCompleted{OutputInfo: plan.OutputInfo{Op: "print at main.go:12", Duration: time.Second, Err: errors.New("no")}})
	has("hibana_batches_pending 0", "hibana_batches_total 1", `hibana_batch_processing_seconds_bucket{le="0.05"} 1`, `hibana_batch_processing_seconds_bucket{le="0.02"} 0`,
		"hibana_batch_scheduling_delay_seconds_sum 0.003", "hibana_batch_total_delay_seconds_count 1", `hibana_input_records_total{input="kafka.Direct(in) at main.go:9"} 30`,
		`hibana_output_seconds_count{output="print at main.go:12"} 2`, `hibana_output_failures_total{output="print at main.go:12"} 1`,
		`hibana_tasks_total{result="ok"} 4`, `hibana_tasks_total{result="failed"} 1`,
		"hibana_records_read_total 30", "hibana_read_bytes_total 300", "hibana_records_written_total 20", "hibana_bad_records_total 2",
		`hibana_shuffle_read_bytes_total{from="local"} 40`, `hibana_shuffle_read_bytes_total{from="remote"} 60`, "hibana_shuffle_written_bytes_total 90", "hibana_cache_fetched_bytes_total 70")
	info.Replayed = true
	info.Inputs[0].Lags, info.Inputs[0].Held = nil, ""
	d.Listen(plan.BatchSubmitted{BatchInfo: info}) // says nothing of the backlog
	has(`hibana_input_held{input="kafka.Direct(in) at main.go:9"} 1`)
	d.Listen(plan.StreamingStopped{})
	if d.Ready() == nil {
		t.Error("it is ready when it has ended")
	}
}

// What a batch program has done so far is counted once.
func TestProgram(t *testing.T) {
	set := metrics.NewSet()
	d := jobmetrics.NewDriver(set)
	has := metricstest.Serve(t, &metrics.Server{Set: set})
	now := replay.Summary{Tasks: 4, Metrics: task.Metrics{RecordsRead: 10}}
	ended := d.Follow(set, func() replay.Summary { return now })
	has(`hibana_tasks_total{result="ok"} 4`, "hibana_records_read_total 10")
	now = replay.Summary{Tasks: 9, Failed: 2, Metrics: task.Metrics{RecordsRead: 15, ShuffleRead: 3}}
	has(`hibana_tasks_total{result="ok"} 9`, `hibana_tasks_total{result="failed"} 2`, "hibana_records_read_total 15", `hibana_shuffle_read_bytes_total{from="local"} 3`)
	has(`hibana_tasks_total{result="ok"} 9`)
	if err := d.Ready(); err != nil {
		t.Error(err)
	}
	if ended(); d.Ready() == nil {
		t.Error("it is ready when it has ended")
	}
}

func TestExecutor(t *testing.T) {
	set := metrics.NewSet()
	x := jobmetrics.NewExecutor(set)
	has := metricstest.Serve(t, &metrics.Server{Set: set})
	x.Look(set, func() executor.Holdings {
		return executor.Holdings{Blocks: 5, Memory: 600, Limit: 1000, Pinned: 50, Files: 2}
	}, func() int { return 3 })
	x.TaskBegan()
	x.TaskBegan()
	x.TaskEnded(scheduler.Success{}, 5*time.Millisecond)
	x.TaskBegan()
	x.TaskEnded(scheduler.FetchFailed{}, time.Second)
	x.TaskBegan()
	x.TaskEnded(scheduler.TaskKilled{}, time.Second)
	x.TaskBegan()
	x.TaskEnded(scheduler.ExceptionFailure{}, time.Second)
	has("hibana_executor_tasks_running 1", "hibana_executor_slots 3", `hibana_executor_task_seconds_bucket{result="ok",le="0.005"} 1`,
		`hibana_executor_task_seconds_count{result="fetch_failed"} 1`, `hibana_executor_task_seconds_count{result="killed"} 1`, `hibana_executor_task_seconds_count{result="failed"} 1`,
		`hibana_executor_memory_bytes{use="used"} 600`, `hibana_executor_memory_bytes{use="limit"} 1000`, `hibana_executor_memory_bytes{use="state"} 50`,
		"hibana_executor_blocks 5", "hibana_executor_spill_files 2")
}

package local_test

import (
	"iter"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

// BenchmarkTasks runs 10,000 tasks that compute an empty partition of an RDD, on two
// slots: what a task costs beside its records.
func BenchmarkTasks(b *testing.B) {
	const tasks = 10_000
	rdds := rdd.NewContext(lineage.NewLineage(1, 2), nil)
	empty := rdd.Parallelize(rdds, []int{}, rdd.Partitions(tasks))
	p := &program{rdds: rdds, action: rdd.PartitionAction(empty, "drain", func(_ *task.Context, rows iter.Seq2[int, error]) ([]byte, error) {
		for _, err := range rows {
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	})}
	backend := local.New(local.Executor{ID: "a", Slots: 2, Runner: worker{p, "a"}})
	defer backend.Close()
	d := scheduler.NewDAGScheduler(backend, scheduler.Options{})
	defer d.Close()
	job := scheduler.NewJob(0, 0, p.action.Final)
	b.ReportAllocs()
	for b.Loop() {
		job.Batch++
		if _, err := d.Submit(b.Context(), job); err != nil {
			b.Fatal(err)
		}
		d.Forget(job.Batch, job.Batch)
	}
	b.ReportMetric(tasks*float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}

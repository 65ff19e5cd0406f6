package local_test

import (
	"context"
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

// squares runs the result tasks of one action.
type squares struct{ action rdd.Action }

func (s squares) Run(ctx context.Context, task scheduler.Task, slot *rdd.Slot) scheduler.Outcome {
	tc := &rdd.TaskContext{Context: ctx, Partition: int(task.ID.Partition), Slot: slot}
	var result []byte
	err := rdd.Guard(s.action.Final, func() (err error) {
		result, err = s.action.Run(tc, tc.Partition)
		return err
	})
	if err != nil {
		return scheduler.Failed(ctx, err)
	}
	return scheduler.Success{Result: result, Metrics: tc.Metrics}
}

// A job of three tasks on two slots of this process.
func Example() {
	lineage := rdd.NewLineage(1, 2)
	numbers := rdd.Parallelize(lineage, []int{1, 2, 3, 4, 5, 6}, 3)
	rows, err := rdd.NewRows[int]()
	if err != nil {
		fmt.Println(err)
		return
	}
	action := rows.Collect(rdd.Map(numbers, func(n int) int { return n * n }), -1, 1<<20)

	backend := local.New(local.Executor{ID: "local", Slots: 2, Runner: squares{action}})
	defer backend.Close()
	dag := scheduler.NewDAGScheduler(backend, scheduler.Options{})
	defer dag.Close()

	result, err := dag.Submit(context.Background(), scheduler.NewJob(1, 0, action.Final))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rows.Decode(result.Partitions))
	// Output: [1 4 9 16 25 36] <nil>
}

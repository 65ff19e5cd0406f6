package local_test

import (
	"context"
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

// squares runs the result tasks of one action.
type squares struct{ action lineage.Action }

func (s squares) Run(ctx context.Context, t scheduler.Task, slot *task.Slot) scheduler.Outcome {
	tc := &task.Context{Context: ctx, Partition: int(t.ID.Partition), Slot: slot}
	var result []byte
	err := lineage.Guard(s.action.Final, func() (err error) {
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
	sc := rdd.NewContext(lineage.NewLineage(1, 2), nil)
	numbers := rdd.Parallelize(sc, []int{1, 2, 3, 4, 5, 6}, rdd.Partitions(3))
	codec, err := encoding.For[int]()
	if err != nil {
		fmt.Println(err)
		return
	}
	action := rdd.CollectAction(rdd.Map(numbers, func(n int) int { return n * n }), "collect", codec, -1, 1<<20)

	backend := local.New(local.Executor{ID: "local", Slots: 2, Runner: squares{action}})
	defer backend.Close()
	dag := scheduler.NewDAGScheduler(backend, scheduler.Options{})
	defer dag.Close()

	result, err := dag.Submit(context.Background(), scheduler.NewJob(1, 0, action.Final))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rdd.DecodeRows(codec, result.Partitions))
	// Output: [1 4 9 16 25 36] <nil>
}

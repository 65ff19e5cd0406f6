package kernel_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/scheduler/kernel"
)

// A map task, then the result task that reads it.
func Example() {
	k := kernel.New(kernel.Config{MaxFailures: 4, MaxSetbacks: 32, MaxStageFailures: 4})
	events := []kernel.Event{
		kernel.ExecutorAdded{Executor: "a", Slots: 1},
		kernel.JobSubmitted{Job: kernel.Job{Batch: 1}, Stages: []kernel.Stage{
			{ID: 0, Partitions: 1},
			{ID: -1, Partitions: 1, Parents: []int32{0}},
		}},
		kernel.TaskEnded{Executor: "a", Task: kernel.Task{Batch: 1, Stage: 0}},
		kernel.TaskEnded{Executor: "a", Task: kernel.Task{Batch: 1, Stage: -1}},
	}
	for _, e := range events {
		for _, action := range k.Step(0, e) {
			fmt.Printf("%T %v\n", action, action)
		}
	}
	// Output:
	// kernel.Launch {a 1:m0/0#0 0}
	// kernel.Accept {a 1:m0/0#0 {1 0}}
	// kernel.Launch {a 1:r0/0#0 0}
	// kernel.Accept {a 1:r0/0#0 {1 0}}
	// kernel.JobDone {{1 0}}
}

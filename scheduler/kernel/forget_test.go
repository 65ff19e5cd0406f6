package kernel

import "testing"

// A stage that a job needs stays.
func TestForgetStages(t *testing.T) {
	k := New(Config{MaxFailures: 1, MaxSetbacks: 1, MaxStageFailures: 1})
	job := Job{Batch: 1}
	k.Step(0, JobSubmitted{Job: job, Stages: []Stage{{ID: 0, Partitions: 1}, {ID: -1, Partitions: 1, Parents: []int32{0}}}})
	k.Step(0, StagesForgotten{Batch: 1, Stages: []int32{0, -1, 7}})
	k.Step(0, StagesForgotten{Batch: 2, Stages: []int32{0}})
	if n := k.Size().Stages; n != 2 {
		t.Fatalf("%d stages of a job that runs", n)
	}
	k.Step(0, JobCancelled{Job: job})
	k.Step(0, StagesForgotten{Batch: 1, Stages: []int32{0, -1}})
	if got := k.Size(); got != (Size{Places: 1}) {
		t.Errorf("left: %+v", got)
	}
}

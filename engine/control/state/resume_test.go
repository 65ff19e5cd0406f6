package state

import (
	"fmt"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// leave makes a stream that has ended and left a log of n bytes or a bit more.
func leave(t *testing.T, f *Machine, index uint64, n int) (job uint64) {
	t.Helper()
	job = mustApply(t, f, index, &TakeJob{Spec: wire.JobSpec{Submission: fmt.Sprint("left-", index)}}).Index
	mustApply(t, f, index+1, &AssignDriver{Incarnation: job})
	mustApply(t, f, index+2, &StartJob{Incarnation: job, Epoch: index + 1, Header: []byte("graph"), Kind: wire.KindStream})
	mustApply(t, f, index+3, &AllocateBatch{Incarnation: job, Epoch: index + 1, Seq: 1, Data: make([]byte, n)})
	mustApply(t, f, index+4, &LeaveJob{Incarnation: job, State: wire.JobFinished})
	return job
}

// What ended jobs leave is bounded, the oldest goes first, and makes way for jobs that run;
// not that which is about to be resumed.
func TestLogsOfEndedJobsAreBounded(t *testing.T) {
	f := New()
	kept := func() (all []uint64) {
		checkCount(t, f.state)
		for inc := uint64(1); inc <= f.state.Newest; inc++ {
			if f.state.Jobs[inc].left() {
				all = append(all, inc)
			}
		}
		return all
	}
	for i := range uint64(maxLeftLogs + 3) {
		leave(t, f, 10*i+10, 10)
	}
	if got := kept(); len(got) != maxLeftLogs || got[0] != 4 {
		t.Fatalf("%d logs are kept, from that of job %d on", len(got), got[0])
	}
	const half = maxLeftBytes / 2 / 8 // of what batches may have: Data counts twice
	index := uint64(10_000)
	for range 9 {
		leave(t, f, index, half)
		index += 10
	}
	if got := kept(); len(got) >= 9 || got[len(got)-1] != f.state.Newest {
		t.Fatalf("%d logs are kept, the newest of job %d", len(got), got[len(got)-1])
	}

	first := kept()[0]
	resumed := mustApply(t, f, index, &ResumeJob{Spec: wire.JobSpec{Submission: "again", Resume: first}}).Index
	f.state.budget = f.state.bytes
	mustApply(t, f, index+1, &TakeJob{Spec: wire.JobSpec{Submission: "new"}})
	if got := kept(); got[0] != first || got[1] != first+2 || f.state.Jobs[resumed].Last.Seq != 1 {
		t.Errorf("for a new job the logs %v are kept", got)
	}
	before := len(kept())
	f.state.budget = 0
	if _, err := applyAt(t, f, index+2, &TakeJob{Spec: wire.JobSpec{Submission: "too much"}}); err == nil || len(kept()) != before {
		t.Errorf("%v; of %d logs %d are left", err, before, len(kept()))
	}
}

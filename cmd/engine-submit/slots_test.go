package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// A leader of an earlier version, where jobs share no slots, doesn't say of how many slots
// a job has some, nor what is used.
func TestSlotsOfAnEarlierLeader(t *testing.T) {
	early := wire.JobStatus{State: wire.JobRunning, Executors: []wire.ExecutorProcess{{Executor: "e1", Address: "h:1", Slots: 4}}}
	var out strings.Builder
	if err := describe(&out, &early, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if want := "e1 at h:1, 4 slots\n"; !strings.Contains(out.String(), want) {
		t.Errorf("status prints %s, want %s", out.String(), want)
	}
	if got := slotsOf(&early); got != "4" {
		t.Errorf("the job has %s slots", got)
	}
	executors := []wire.ExecutorStatus{{ID: "e1", Slots: 4, Alive: true}}
	if got := slotsIn(executors, []wire.JobStatus{early}); got != "slots: 4 in all" {
		t.Error(got)
	}
	early.Executors[0].Of = 4
	if got := slotsIn(executors, []wire.JobStatus{early}); got != "slots: 4 in all, 0 used, 4 free" {
		t.Error(got)
	}
}

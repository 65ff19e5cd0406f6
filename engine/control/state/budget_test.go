package state

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// checkSizes makes sure that what the state counts is what there is, and that it
// is no less than what a snapshot takes.
func checkSizes(t *testing.T, s *State) {
	t.Helper()
	checkCount(t, s)
	for inc, j := range s.Jobs {
		b, err := wire.Encode(&jobImage{Job: *j})
		if err != nil {
			t.Fatal(err)
		}
		if counted := j.size() - max(0, jobShare-j.Bytes); !j.State.Final() && len(b) > counted || len(b) > j.size() {
			t.Fatalf("job %d takes %d bytes in a snapshot and counts %d", inc, len(b), counted)
		}
	}
}

// checkCount makes sure that what the state counts is what there is.
func checkCount(t *testing.T, s *State) {
	t.Helper()
	all := 0
	for inc, j := range s.Jobs {
		all += j.size()
		if log := j.Size(); log != j.Bytes {
			t.Fatalf("job %d has recorded %d bytes and counts %d", inc, log, j.Bytes)
		}
	}
	if all != s.bytes {
		t.Fatalf("jobs have %d bytes, the state counts %d", all, s.bytes)
	}
}

func TestJobsAreCounted(t *testing.T) {
	text := func(n int) string { return strings.Repeat("x", n) }
	f := New()
	mustApply(t, f, 10, &SubmitJob{At: 1 << 62, Spec: wire.JobSpec{
		Submission: text(128), Name: text(MaxName), Binary: text(64), Secret: text(64), Platform: text(2*MaxID + 1), Size: 1 << 30,
		Secrets: []wire.Secret{{Name: text(100), Value: text(30 << 10)}},
		Args:    strings.Split(text(MaxArgs-1), ""),
	}})
	mustApply(t, f, 11, &AssignDriver{Incarnation: 10, Node: text(MaxID)})
	mustApply(t, f, 12, &StartJob{Incarnation: 10, Epoch: 11, Header: make([]byte, 70_000)})
	for i := range 5 {
		mustApply(t, f, uint64(20+i), &RecordValue{Incarnation: 10, Epoch: 11, Index: i, Value: wire.Value{Name: text(300), Data: make([]byte, 70_000)}})
	}
	for seq := uint64(1); seq <= 100; seq++ {
		done := []wire.Completion{
			{Seq: seq, Output: 1}, {Seq: seq, Output: 1}, {Seq: seq - 1, Output: 1 << 30}, {Seq: seq - 2, Output: 7},
			{Seq: seq - 9, Output: 3}, {Seq: seq - 9, Output: wire.AllOutputs}, {Seq: seq - 9, Output: 4},
		}
		mustApply(t, f, 200+seq, &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: seq, Data: make([]byte, 7*seq), Completions: done})
		checkSizes(t, f.state)
	}
	checkSizes(t, restored(t, f).state)
	mustApply(t, f, 400, &EndJob{Incarnation: 10, State: wire.JobFailed, Reason: text(15 << 20)})
	checkSizes(t, f.state)
	if n := len(f.state.Jobs[10].Reason); n > MaxReason {
		t.Errorf("the reason takes %d bytes", n)
	}
}

// The state is bounded: what doesn't fit is refused and says so, what a job ends
// makes room, and one job can't take the share of another.
func TestStateIsBounded(t *testing.T) {
	f := New()
	submit := func(id string) Command { return &SubmitJob{Spec: wire.JobSpec{Submission: id}} }
	batch := func(job, seq uint64, n int, done ...wire.Completion) Command {
		return &AllocateBatch{Incarnation: job, Epoch: job + 1, Seq: seq, Data: make([]byte, n), Completions: done}
	}
	const slack = 10_000
	f.state.budget = 3*(jobBytes+jobShare) + slack
	index := uint64(1)
	for _, step := range []struct {
		name string
		c    Command
		want error
	}{
		{"a job", submit("a"), nil},
		{"its driver", &AssignDriver{Incarnation: 1, Node: "a"}, nil},
		{"a second job", submit("b"), nil},
		{"its driver", &AssignDriver{Incarnation: 3, Node: "a"}, nil},
		{"the first within its share", batch(1, 1, 100_000), nil},
		{"the first beyond it", batch(1, 2, 200_000), nil},
		{"a third job: no share is left", submit("c"), wire.ErrTooLarge},
		{"the first again", batch(1, 3, 300_000), wire.ErrTooLarge},
		{"a value of it", &RecordValue{Incarnation: 1, Epoch: 2, Value: wire.Value{Name: strings.Repeat("x", 100_000)}}, wire.ErrTooLarge},
		{"the second within its share", batch(3, 1, 100_000), nil},
		{"the first makes room as it goes", batch(1, 3, 100, wire.Completion{Seq: 1, Output: wire.AllOutputs}, wire.Completion{Seq: 2, Output: wire.AllOutputs}), nil},
		{"the third job", submit("c"), nil},
		{"a fourth", submit("d"), wire.ErrTooLarge},
		{"the second ends", &EndJob{Incarnation: 3, State: wire.JobKilled}, nil},
		{"the fourth again", submit("d"), nil},
	} {
		before := f.state.clone()
		_, err := applyAt(t, f, index, step.c)
		if !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Fatalf("%s: %v, want %v", step.name, err, step.want)
		}
		if err != nil && (!reflect.DeepEqual(before, f.state) || !strings.Contains(err.Error(), fmt.Sprint(f.state.budget))) {
			t.Errorf("%s: %v changed the state, or doesn't name the limit", step.name, err)
		}
		if f.state.bytes > f.state.budget {
			t.Errorf("%s: %d bytes of %d", step.name, f.state.bytes, f.state.budget)
		}
		checkSizes(t, f.state)
		index++
	}
}

// A batch fits if what it completes makes room for it.
func TestCompletionsMakeRoom(t *testing.T) {
	f := running(t)
	const n = 7 // and the last one counts twice
	var done []wire.Completion
	for seq := uint64(1); seq <= n; seq++ {
		mustApply(t, f, 20+seq, &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: seq, Data: make([]byte, 15<<19)})
		done = append(done, wire.Completion{Seq: seq, Output: wire.AllOutputs})
	}
	next := &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: n + 1, Data: make([]byte, 15<<19)}
	if _, err := applyAt(t, f, 40, next); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("one more: %v", err)
	}
	next.Completions = done
	mustApply(t, f, 41, next)
	checkSizes(t, f.state)
}

// What executors say when they refuse a job is bounded, and the whole within what
// a snapshot may take.
func TestLimitsFitIntoASnapshot(t *testing.T) {
	text := func(n int) string { return strings.Repeat("x", n) }
	f := running(t)
	size := func() int {
		b, err := wire.Encode(f.state.Jobs[10].image())
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	empty := size()
	j := f.state.Jobs[10]
	for i := range maxExecutors {
		id := fmt.Sprintf("%0*d", MaxID, i)
		j.Processes[id] = jobProcess{Process: text(MaxID), Instance: 1 << 62, Address: text(MaxName), Slots: MaxExecutorSlots}
	}
	processes := size() - empty
	clear(j.Processes)
	for i := range maxExecutors {
		id := fmt.Sprintf("%0*d", MaxID, i)
		f.state.Executors[id] = &executor{ID: id, Start: text(MaxID), Address: text(MaxName), Slots: MaxExecutorSlots, Platform: text(2 * MaxID)}
		mustApply(t, f, uint64(20+i), &ProcessExited{Executor: id, Start: text(MaxID), Incarnation: 10, Fatal: true, Reason: text(100_000)})
	}
	if whole, short := len(j.Refused[fmt.Sprintf("%0*d", MaxID, 0)]), len(j.Refused[fmt.Sprintf("%0*d", MaxID, 999)]); whole != MaxReasonText || short != shortReason {
		t.Errorf("reasons of %d and %d bytes", whole, short)
	}
	refusals := size() - empty
	executors, err := wire.Encode(new(image))
	for e := range maps.Values(f.state.Executors) {
		b, encodeErr := wire.Encode(e)
		executors, err = append(executors, b...), errors.Join(err, encodeErr)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := maxStateBytes + maxLiveJobs*(processes+refusals) + len(executors); n > maxSnapshot {
		t.Errorf("a snapshot may take %d bytes (%d of processes and %d of refusals a job), the limit is %d", n, processes, refusals, maxSnapshot)
	}
	if err := writeSnapshot(io.Discard, f.state, f.index); err != nil {
		t.Error(err)
	}
}

package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

func TestFailed(t *testing.T) {
	site := lineage.Site{File: "app/main.go", Line: 12}
	killed, kill := context.WithCancelCause(context.Background())
	kill(errors.New("not needed"))
	live := context.Background()
	tests := []struct {
		name   string
		ctx    context.Context
		err    error
		want   scheduler.Outcome
		counts bool
	}{
		{"plain", live, errors.New("disk full"), scheduler.ExceptionFailure{Message: "disk full"}, true},
		{"operator", live, &lineage.OpError{Op: "map", Site: site, Err: errors.New("bad row")},
			scheduler.ExceptionFailure{Message: "bad row", Op: "map", Site: site}, true},
		{"panic", live, fmt.Errorf("task: %w", &lineage.PanicError{Op: "map", Site: site, Value: "nil map", Stack: "goroutine 1"}),
			scheduler.ExceptionFailure{Message: "panic: nil map", Op: "map", Site: site, Stack: "goroutine 1"}, true},
		{"permanent", live, &lineage.OpError{Op: "map", Site: site, Err: fmt.Errorf("row 7: %w", task.Permanent(errors.New("bad row")))},
			scheduler.ExceptionFailure{Message: "row 7: bad row", Op: "map", Site: site, Permanent: true}, true},
		{"permanent panic", live, &lineage.PanicError{Op: "map", Site: site, Value: "bad row", Err: task.Permanent(errors.New("bad row"))},
			scheduler.ExceptionFailure{Message: "panic: bad row", Op: "map", Site: site, Permanent: true}, true},
		{"limit", live, fmt.Errorf("collect: %w", lineage.ErrResultTooLarge),
			scheduler.ExceptionFailure{Message: "collect: result is larger than the limit", Permanent: true}, true},
		{"declared in a task", live, &lineage.FrozenError{Op: "map", Site: site, Reason: "too late"},
			scheduler.ExceptionFailure{Message: "map at app/main.go:12: too late", Permanent: true}, true},
		{"fetch", live, fmt.Errorf("reading: %w", &task.FetchFailedError{Shuffle: 3, MapPartition: 1, Executor: "a", Err: errors.New("gone")}),
			scheduler.FetchFailed{Shuffle: 3, MapPartition: 1, Executor: "a", Message: "reading: fetching output of map task 1 of shuffle 3 from executor a: gone"}, false},
		{"not given", live, &lineage.OpError{Op: "map", Site: site, Err: fmt.Errorf("reading: %w", shuffle.ErrNotGiven)},
			scheduler.BlockMissing{Message: "map at app/main.go:12: reading: the task wasn't given its map outputs"}, false},
		{"not given what it couldn't fetch", live, fmt.Errorf("reading: %w; %w", shuffle.ErrNotGiven, &task.NotFetchedError{Block: task.Block{Partition: 3}, Executor: "a", Err: errors.New("gone")}),
			scheduler.BlockMissing{Blocks: []task.Block{{Partition: 3}}, Executor: "a", Message: "reading: the task wasn't given its map outputs; fetching kept partition 3 from executor a: gone"}, false},
		{"failed after it couldn't fetch", live, fmt.Errorf("bad row; %w", &task.NotFetchedError{Executor: "a", Err: errors.New("gone")}),
			scheduler.ExceptionFailure{Message: "bad row; fetching kept partition 0 from executor a: gone"}, true},
		{"missing", live, fmt.Errorf("task: %w", &scheduler.BlockMissingError{Blocks: make([]task.Block, 2), Executor: "b", Err: errors.New("dropped")}),
			scheduler.BlockMissing{Blocks: make([]task.Block, 2), Executor: "b", Message: "task: reading cached partition 0 of RDD 0/0.0 and 1 more on executor b: dropped"}, false},
		{"killed", killed, errors.New("whatever"), scheduler.TaskKilled{Message: "not needed"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := scheduler.Failed(tt.ctx, tt.err)
			if x, ok := tt.want.(scheduler.ExceptionFailure); ok {
				x.Err = tt.err // the error itself, for who is in the same process
				tt.want = x
			}
			if !reflect.DeepEqual(got, tt.want) || got.CountsAgainst() != tt.counts {
				t.Errorf("%#v, counts %v", got, got.CountsAgainst())
			}
		})
	}
}

func TestWhatCounts(t *testing.T) {
	tests := []struct {
		outcome scheduler.Outcome
		counts  bool
		reason  string
	}{
		{scheduler.Success{}, false, "succeeded"},
		{scheduler.ExceptionFailure{Message: "m"}, true, "m"},
		{scheduler.ExceptionFailure{Message: "m", NoFault: true}, false, "m"},
		{scheduler.FetchFailed{Message: "m"}, false, "m"},
		{scheduler.BlockMissing{Message: "m"}, false, "m"},
		{scheduler.ExecutorLost{Executor: "a", Message: "m"}, false, "executor a is lost: m"},
		{scheduler.ExecutorLost{Executor: "a", Message: "m", ByTask: true}, true, "executor a is lost: m"},
		{scheduler.TaskKilled{Message: "m"}, false, "killed: m"},
		{scheduler.Denied{Message: "m"}, false, "commit denied: m"},
	}
	for _, tt := range tests {
		if tt.outcome.CountsAgainst() != tt.counts || tt.outcome.Reason() != tt.reason {
			t.Errorf("%#v: counts %v, %q", tt.outcome, tt.outcome.CountsAgainst(), tt.outcome.Reason())
		}
	}
}

// Coordinates and outcomes travel as msgpack and come back as they were.
func TestTravels(t *testing.T) {
	values := []any{
		scheduler.TaskID{Incarnation: 1, Epoch: 2, Batch: 3, Stage: -4, Partition: 5, Attempt: 6},
		scheduler.Success{Result: []byte("r"), Map: &scheduler.MapStatus{Bytes: []int64{0, 7}}, Metrics: task.Metrics{RecordsRead: 8}},
		scheduler.Success{Stored: []scheduler.StoredBlock{{Block: task.Block{Batch: 1, DStream: 2, Ordinal: 3, Partition: 4}, Level: 5, Bytes: 6}}, Freed: 7},
		scheduler.BlockMissing{Blocks: []task.Block{{Batch: 1, Partition: 2}}, Executor: "a", Message: "m"},
		scheduler.ExceptionFailure{Message: "m", Op: "map", Site: lineage.Site{File: "a.go", Line: 3}, Stack: "s", NoFault: true},
		scheduler.FetchFailed{Shuffle: 1, MapPartition: -1, Executor: "a", Message: "m"},
		scheduler.ExecutorLost{Executor: "a", Message: "m", ByTask: true},
		scheduler.TaskKilled{Message: "m"},
		scheduler.Denied{Message: "m"},
	}
	for _, v := range values {
		b, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(reflect.TypeOf(v))
		if err := msgpack.Unmarshal(b, back.Interface()); err != nil {
			t.Fatal(err)
		}
		if got := back.Elem().Interface(); !reflect.DeepEqual(got, v) {
			t.Errorf("%+v came back as %+v", v, got)
		}
	}
}

func TestJobErrorIsReadable(t *testing.T) {
	e := &scheduler.JobError{
		Batch: 7, Output: 1, Stage: scheduler.MapStage(2), Partition: 3, Attempts: 4, Executor: "a",
		Op: "map", Site: lineage.Site{File: "app/main.go", Line: 12}, Message: "panic: nil map", Stack: "main.f",
	}
	if got, want := e.Error(), "map at app/main.go:12: panic: nil map (batch 7, output 1, shuffle-map stage 2, partition 3, 4 attempts, executor a)\nmain.f"; got != want {
		t.Error(got)
	}
	bare := &scheduler.JobError{Batch: 7, Stage: scheduler.ResultStage(0), Partition: -1, Message: "lost"}
	if got, want := bare.Error(), "lost (batch 7, output 0, result stage of output 0)"; got != want {
		t.Error(got)
	}
}

package shuffle

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd/task"
)

// twoExecutors has map tasks 0 and 2 on a, 1 and 3 on b, for two reduce
// partitions; map task 3 has nothing for reduce partition 1.
func twoExecutors(t *testing.T) (*Tracker, map[string]*Store) {
	t.Helper()
	stores := map[string]*Store{"a": newStore(t, 1<<20), "b": newStore(t, 1<<20)}
	tracker := NewTracker()
	tracker.Register(1, 0, 4)
	for m, executor := range []string{"a", "b", "a", "b"} {
		id, order := MapID{Batch: 1, Map: int32(m), Attempt: int32(m % 2)}, []int{0, 1}
		if m == 3 {
			order = []int{0}
		}
		tracker.Add(id, executor, write(t, stores[executor], id, 2, order...), nil)
	}
	return tracker, stores
}

func readerOf(t *testing.T, tracker *Tracker, stores map[string]*Store) *Reader {
	t.Helper()
	outs, err := tracker.Outputs(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	return NewReader([]*Outputs{outs}, func(executor string) *Store { return stores[executor] })
}

// readAll returns the blocks up to the first error, and that.
func readAll(ctx context.Context, r *Reader, batch uint64, shuffle, reduce int) (string, error) {
	var all []string
	for b, err := range r.Blocks(ctx, batch, shuffle, reduce) {
		if err != nil {
			return strings.Join(all, ", "), err
		}
		all = append(all, string(b))
	}
	return strings.Join(all, ", "), nil
}

func TestReadsInMapOrder(t *testing.T) {
	tracker, stores := twoExecutors(t)
	r := readerOf(t, tracker, stores)
	got, err := readAll(context.Background(), r, 1, 0, 1)
	if want := "m0#0 r1 1, m1#1 r1 1, m2#0 r1 1"; got != want || err != nil {
		t.Errorf("%q, %v, not %q", got, err, want)
	}
	for range r.Blocks(context.Background(), 1, 0, 0) {
		break // a reader may stop early
	}
}

func TestLostOutput(t *testing.T) {
	ctx := context.Background()
	id := MapID{Batch: 1, Map: 2}
	tests := []struct {
		name  string
		lose  func(map[string]*Store)
		blame int // FetchFailedError.MapPartition
		from  string
		cause error
		read  string // before
	}{
		{"executor gone", func(s map[string]*Store) { delete(s, "b") }, -1, "b", ErrUnreachable, "m0#0 r0 0"},
		{"executor empty", func(s map[string]*Store) { s["b"].Clear() }, -1, "b", ErrNoOutput, "m0#0 r0 0"},
		{"one output", func(s map[string]*Store) {
			s["a"].Clear()
			write(t, s["a"], MapID{Batch: 1}, 2, 0, 1)
		}, 2, "a", ErrNoOutput, "m0#0 r0 0, m1#1 r0 0"},
		{"another attempt", func(s map[string]*Store) {
			s["a"].Clear()
			write(t, s["a"], MapID{Batch: 1}, 2, 0, 1)
			write(t, s["a"], MapID{Batch: 1, Map: id.Map, Attempt: 5}, 2, 0, 1)
		}, 2, "a", ErrNoOutput, "m0#0 r0 0, m1#1 r0 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracker, stores := twoExecutors(t)
			r := readerOf(t, tracker, stores)
			tt.lose(stores)
			got, err := readAll(ctx, r, 1, 0, 0)
			failed, ok := errors.AsType[*task.FetchFailedError](err)
			if !ok || failed.MapPartition != tt.blame || failed.Executor != tt.from || !errors.Is(err, tt.cause) {
				t.Errorf("%v", err)
			}
			if got != tt.read {
				t.Errorf("read %q before it, not %q", got, tt.read)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	tracker, stores := twoExecutors(t)
	r := readerOf(t, tracker, stores)
	if _, err := readAll(context.Background(), r, 1, 7, 0); err == nil || !strings.Contains(err.Error(), "shuffle 7 of batch 1") {
		t.Errorf("a shuffle that it wasn't given: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := readAll(ctx, r, 1, 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("a task that was killed: %v", err)
	}
}

func TestTracker(t *testing.T) {
	tracker, _ := twoExecutors(t)
	first, err := tracker.Outputs(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := tracker.Outputs(1, 0); again != first {
		t.Error("the answer changed though nothing did")
	}
	tracker.Register(1, 0, 99) // known already
	tracker.Remove(1, 0, 2)
	tracker.Remove(1, 0, 2)
	if _, err := tracker.Outputs(1, 0); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "1 of 4") {
		t.Errorf("with one lost: %v", err)
	}
	tracker.Add(MapID{Batch: 1, Map: 2, Attempt: 9}, "c", []int64{1, 1}, nil)
	second, err := tracker.Outputs(1, 0)
	if err != nil || second.Maps[2].Executor != "c" || second.ID(2).Attempt != 9 {
		t.Errorf("after it ran again: %+v, %v", second, err)
	}
	if first.Maps[2].Executor != "a" {
		t.Error("an answer that was given changed")
	}

	// What nobody knows is refused or ignored.
	for _, m := range []int32{-1, 4} {
		tracker.Add(MapID{Batch: 1, Map: m}, "c", nil, nil)
		tracker.Remove(1, 0, m)
	}
	tracker.Add(MapID{Batch: 8}, "c", nil, nil)
	if _, err := tracker.Outputs(8, 0); !errors.Is(err, ErrIncomplete) {
		t.Errorf("an unknown shuffle: %v", err)
	}
	tracker.Register(5, 0, 0)
	if outs, err := tracker.Outputs(5, 0); err != nil || len(outs.Maps) != 0 {
		t.Errorf("a shuffle without map tasks: %v, %v", outs, err)
	}
	tracker.Forget(5)
	tracker.Register(1, 0, 4)
	if n := tracker.Len(); n != 1 {
		t.Errorf("%d shuffles known", n)
	}
}

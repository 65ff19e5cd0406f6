package enginetest_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// trickle is an input to which so many numbers come, one after the other.
type trickle int

// trickles is the time between two of them.
const trickles = time.Millisecond

// Open implements engine.Input.
func (n trickle) Open(context.Context) (engine.Planner, error) {
	return &trickling{all: int(n), began: time.Now(), closed: make(chan struct{})}, nil
}

// Generate implements engine.Input.
func (n trickle) Generate(ranges []byte) (int, func(*task.Context, int) iter.Seq2[int, error], error) {
	const partitions = 2
	from, n1 := binary.Uvarint(ranges)
	until, n2 := binary.Uvarint(ranges[max(0, n1):])
	if n1 <= 0 || n2 <= 0 {
		return 0, nil, fmt.Errorf("ranges % x aren't two numbers", ranges)
	}
	return partitions, func(_ *task.Context, p int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := from + uint64(p); i < until; i += partitions {
				if !yield(int(i), nil) {
					return
				}
			}
		}
	}, nil
}

// trickling is the planner of a trickle.
type trickling struct {
	all    int
	began  time.Time
	work   sync.WaitGroup
	closed chan struct{}
}

// Plan implements engine.Planner.
func (r *trickling) Plan(_ context.Context, req engine.PlanRequest) (engine.Plan, error) {
	var from uint64
	if req.Previous != nil {
		_, n := binary.Uvarint(req.Previous)
		from, _ = binary.Uvarint(req.Previous[n:])
	}
	until := uint64(min(r.all, int(time.Since(r.began)/trickles)))
	return engine.Plan{Ranges: binary.AppendUvarint(binary.AppendUvarint(nil, from), until), Records: int64(until - from)}, nil
}

// Notify implements engine.Notifier.
func (r *trickling) Notify(ready func()) {
	r.work.Go(func() {
		tick := time.NewTicker(trickles)
		defer tick.Stop()
		for time.Since(r.began) < time.Duration(r.all+10)*trickles {
			select {
			case <-tick.C:
				ready()
			case <-r.closed:
				return
			}
		}
		ready()
	})
}

// Completed implements engine.Planner.
func (r *trickling) Completed(context.Context, []byte) error { return nil }

// Close implements engine.Planner.
func (r *trickling) Close() error {
	close(r.closed)
	r.work.Wait()
	return nil
}

// As soon as possible on executor processes, of which some are killed in the middle of a map
// task and of a reducing one: each number comes once, and its state is what it was.
func TestKilledExecutorsAsSoonAsPossible(t *testing.T) {
	const all, keys = 3000, 7
	marks := newOnce(t)
	onExecutor := os.Getenv(role.Env) != ""
	dieAt := func(stage string, n int, at ...int) {
		if onExecutor && slices.Contains(at, n) && marks.first(fmt.Sprint(stage, n)) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	type tally struct{ N, Sum int }
	var seen []int
	totals := make(map[int]tally)
	batches := 0
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		in := engine.Map(engine.NewInput[int](ssc, "trickle", trickle(all)), func(n int) int {
			dieAt("map", n, 700, 1900)
			return n
		})
		grouped := engine.GroupByKey(engine.Map(in, func(n int) rdd.Pair[int, int] { return rdd.KV(n%keys, n) }), rdd.Partitions(3))
		states := engine.MapWithState(grouped, "tally", func(key int, numbers *[]int, s *engine.State[tally]) (rdd.Pair[int, tally], bool) {
			is, _ := s.Get()
			for _, n := range *numbers {
				dieAt("reduce", n, 1200, 2500)
				is = tally{is.N + 1, is.Sum + n}
			}
			s.Update(is)
			return rdd.KV(key, is), true
		}, engine.Partitions(2))
		engine.ForEachBatch(states, func(_ engine.Batch, rows []rdd.Pair[int, tally]) error {
			for _, r := range rows {
				totals[r.Key] = r.Value
			}
			return nil
		})
		engine.ForEachBatch(in, func(b engine.Batch, rows []int) error {
			if len(rows) > 0 {
				batches++
			}
			if seen = append(seen, rows...); len(seen) >= all {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}, "--asap", "--batch-interval", "1s", "--conf", "checkpoint.interval=300ms")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(seen)
	want := make(map[int]tally)
	for n := range all {
		if n >= len(seen) || seen[n] != n {
			t.Fatalf("%d numbers of %d came, not %d once", len(seen), all, n)
		}
		of := want[n%keys]
		want[n%keys] = tally{of.N + 1, of.Sum + n}
	}
	for key, is := range want {
		if totals[key] != is {
			t.Errorf("key %d has %+v, not %+v", key, totals[key], is)
		}
	}
	done, err := os.ReadDir(marks.dir)
	t.Logf("%d batches, %d kills", batches, len(done))
	if err != nil || len(done) != 4 || batches < 10 {
		t.Errorf("%d of 4 kills happened, in %d batches: %v", len(done), batches, err)
	}
}

// As soon as possible, while records keep coming: windows hold what came in their time, end when
// they are due, and are made of a bounded number of batches.
func TestWindowsAsSoonAsPossible(t *testing.T) {
	const all, most = 4000, 256
	const interval, length, slide = 500 * time.Millisecond, 2 * time.Second, time.Second
	synctest.Test(t, func(t *testing.T) {
		type batch struct {
			at      time.Time
			numbers int
		}
		var batches []batch
		seen, windows, made := 0, 0, 0
		args := []string{"--master", "local[2]", "--log-level", "error", "--asap"}
		err := engine.NewApp("test").Run(t.Context(), args, interval, func(ssc *engine.StreamingContext) error {
			in := engine.NewInput[int](ssc, "trickle", trickle(all))
			engine.ForEachBatch(in, func(b engine.Batch, rows []int) error {
				batches = append(batches, batch{b.Time, len(rows)})
				if seen += len(rows); seen >= all {
					ssc.Stop()
				}
				return nil
			})
			engine.ForEachBatch(in.Window(length, slide), func(b engine.Batch, rows []int) error {
				numbers := 0
				windows, made = windows+1, 0
				for _, of := range batches {
					if of.at.After(b.Time.Add(-length)) {
						numbers, made = numbers+of.numbers, made+1
					}
				}
				if len(rows) != numbers || made > most || !time.Now().Equal(b.Time) {
					t.Errorf("the window at %s holds %d numbers of %d, of %d batches, %s late", b.Time, len(rows), numbers, made, time.Since(b.Time))
				}
				return nil
			})
			return nil
		})
		if err != nil || seen != all || windows != 5 || made < most/2 {
			t.Errorf("%d numbers in %d windows, the last one of %d batches: %v", seen, windows, made, err)
		}
	})
}

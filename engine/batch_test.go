package engine_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// runBatch runs a batch program in virtual time.
func runBatch(t *testing.T, program engine.BatchFunc, args ...string) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		args := append([]string{"--master", "local[2]", "--log-level", "error"}, args...)
		err = engine.NewApp("test").RunBatch(t.Context(), args, program)
	})
	return err
}

// wordCounts counts words, the most frequent first.
func wordCounts(sc *rdd.Context, lines []string) ([]rdd.Pair[string, int64], error) {
	words := rdd.FlatMap(rdd.Parallelize(sc, lines), strings.Fields)
	counts, err := rdd.Collect(rdd.CountedByValue(words))
	slices.SortFunc(counts, func(a, b rdd.Pair[string, int64]) int { return cmp.Or(int(b.Value-a.Value), cmp.Compare(a.Key, b.Key)) })
	return counts, err
}

func TestBatchProgram(t *testing.T) {
	var got []rdd.Pair[string, int64]
	calls := 0
	err := runBatch(t, func(sc *rdd.Context) error {
		counts, err := wordCounts(sc, []string{"a b a", "c a b", "a b", "b d b"})
		if err != nil {
			return err
		}
		most := rdd.Value(sc, func() string { calls++; return counts[0].Key })
		n, err := rdd.Count(rdd.Parallelize(sc, counts).Filter(func(c rdd.Pair[string, int64]) bool { return c.Key != most }))
		if err != nil || n != 3 {
			return fmt.Errorf("%d words beside %s: %w", n, most, err)
		}
		sc.OnDriver(func() error { got = counts; return nil })
		return nil
	})
	if s := fmt.Sprint(got); err != nil || s != "[{b 5} {a 4} {c 1} {d 1}]" || calls != 1 {
		t.Errorf("%s, after %d calls; %v", s, calls, err)
	}
}

type point struct{ X, Y float64 }

func (p point) add(q point) point           { return point{p.X + q.X, p.Y + q.Y} }
func (p point) distance(q point) float64    { return math.Hypot(p.X-q.X, p.Y-q.Y) }
func (p point) over(n float64) (mean point) { return point{p.X / n, p.Y / n} }

// sum is a number of points and what they add up to.
type sum struct {
	N  int
	Of point
}

// kmeans finds the centres of points in rounds that need each other's results.
func kmeans(sc *rdd.Context, points *rdd.RDD[point], centres []point, rounds int) ([]point, error) {
	for range rounds {
		nearest := func(p point) rdd.Pair[int, sum] {
			best := 0
			for i, c := range centres {
				if p.distance(c) < p.distance(centres[best]) {
					best = i
				}
			}
			return rdd.Pair[int, sum]{Key: best, Value: sum{1, p}}
		}
		sums, err := rdd.Collect(rdd.ReduceByKey(rdd.Map(points, nearest), func(a, b sum) sum { return sum{a.N + b.N, a.Of.add(b.Of)} }))
		if err != nil {
			return nil, err
		}
		centres = rdd.Value(sc, func() []point {
			means := slices.Clone(centres)
			for _, s := range sums {
				means[s.Key] = s.Value.Of.over(float64(s.Value.N))
			}
			return means
		})
	}
	return centres, nil
}

func squares(sc *rdd.Context) *rdd.RDD[point] {
	var points []point
	for i := range 200 {
		points = append(points, point{float64(i % 5), float64(i % 3)}, point{100 + float64(i%5), 50 + float64(i%3)})
	}
	return rdd.Parallelize(sc, points, rdd.Partitions(4)).Cache()
}

func TestRounds(t *testing.T) {
	var got []point
	err := runBatch(t, func(sc *rdd.Context) error {
		centres, err := kmeans(sc, squares(sc), []point{{0, 0}, {1, 1}}, 10)
		sc.OnDriver(func() error { got = centres; return nil })
		return err
	})
	if err != nil || len(got) != 2 || got[0].distance(point{2, 0.995}) > 1e-9 || got[1].distance(point{102, 50.995}) > 1e-9 {
		t.Errorf("%v, %v", got, err)
	}
}

// Errors of a batch program say where and why, and leave nothing running.
func TestErrorsOfBatchPrograms(t *testing.T) {
	boom := errors.New("boom")
	one := func(sc *rdd.Context) *rdd.RDD[int] { return rdd.Parallelize(sc, []int{1}) }
	for name, c := range map[string]struct {
		program engine.BatchFunc
		is      error
		says    []string
	}{
		"an error of its own": {func(*rdd.Context) error { return boom }, boom, []string{"boom"}},
		"a panic of its own":  {func(*rdd.Context) error { panic("boom") }, nil, []string{"the program: panic at engine/batch_test.go:", "boom"}},
		"a panic in a task": {func(sc *rdd.Context) error {
			_, err := rdd.Collect(rdd.Map(one(sc), func(int) int { panic("boom") }))
			return err
		}, nil, []string{"map at engine/batch_test.go:", "panic at engine/batch_test.go:", "boom", "step 1", "4 attempts"}},
		"an operator that can't be built": {func(sc *rdd.Context) error {
			rdd.Map[int, int](one(sc), nil)
			return nil
		}, rdd.ErrNilFunction, []string{"map at engine/batch_test.go:"}},
		"an action on what can't be built": {func(sc *rdd.Context) error {
			_, err := rdd.Count(rdd.Map[int, int](one(sc), nil))
			return err
		}, rdd.ErrNilFunction, nil},
		"a result that is too large": {func(sc *rdd.Context) error {
			_, err := rdd.Collect(rdd.Parallelize(sc, make([]int, 1000)))
			return err
		}, rdd.ErrResultTooLarge, []string{"collect at"}},
		"an effect": {func(sc *rdd.Context) error {
			sc.OnDriver(func() error { return boom })
			_, err := rdd.Count(one(sc))
			return err
		}, boom, []string{"onDriver at engine/batch_test.go:"}},
		"an effect at the end": {func(sc *rdd.Context) error {
			sc.OnDriver(func() error { panic("boom") })
			return nil
		}, nil, []string{"onDriver at engine/batch_test.go:", "boom"}},
		"a value": {func(sc *rdd.Context) error {
			rdd.Value(sc, func() int { panic("boom") })
			_, err := rdd.Count(one(sc))
			return err
		}, nil, []string{"value at engine/batch_test.go:", "boom"}},
		"an action in a task": {func(sc *rdd.Context) error {
			r := one(sc)
			_, err := rdd.Collect(rdd.Map(r, func(int) int64 { n, _ := rdd.Count(r); return n }))
			return err
		}, nil, []string{"count at engine/batch_test.go:", "can't be called by functions that run on executors", "1 attempt,"}},
		"a transformation in a task": {func(sc *rdd.Context) error {
			r := one(sc)
			return rdd.ForEach(r, func(int) error { r.Filter(func(int) bool { return true }); return nil })
		}, nil, []string{"filter at engine/batch_test.go:", "between its actions"}},
		"an action in OnDriver": {func(sc *rdd.Context) error {
			r := one(sc)
			sc.OnDriver(func() error { _, err := rdd.Count(r); return err })
			return nil
		}, rdd.ErrNoActions, []string{"onDriver at engine/batch_test.go:"}},
		"other RDDs on the executor": {func(sc *rdd.Context) error {
			here := false
			sc.OnDriver(func() error { here = true; return nil })
			r := one(sc)
			if here {
				r = r.Filter(func(int) bool { return true })
			}
			_, err := rdd.Count(r)
			return err
		}, engine.ErrDiverged, []string{"step 1 of the copy on executor local", "filter at engine/batch_test.go:", "action count at engine/batch_test.go:"}},
		"an end on the executor": {func(sc *rdd.Context) error {
			here := false
			sc.OnDriver(func() error { here = true; return nil })
			if _, err := rdd.Count(one(sc)); err != nil || !here {
				return boom
			}
			_, err := rdd.Count(one(sc))
			return err
		}, engine.ErrDiverged, []string{"has ended before step 2 (action count at engine/batch_test.go:", "boom"}},
		"what is captured": {func(sc *rdd.Context) error {
			var table map[string]int
			sc.OnDriver(func() error { table = map[string]int{}; return nil })
			return rdd.ForEach(one(sc), func(v int) error { table["x"] = v; return nil })
		}, nil, []string{"assignment to entry in nil map", "set in OnDriver", "rdd.Value"}},
		"what is captured, with a record to blame": {func(sc *rdd.Context) error {
			var table *[1]int
			sc.OnDriver(func() error { table = new([1]int); return nil })
			_, err := rdd.Count(rdd.TryMap(one(sc), func(int) (int, error) { return table[0], nil }))
			return err
		}, nil, []string{"nil pointer dereference", "index 0", "set in OnDriver", "rdd.Value"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := runBatch(t, c.program, "--conf", "driver.maxResultSize=500")
			if err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("%v", err)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("it doesn't say %q:\n%v", s, err)
				}
			}
		})
	}
}

// A program sees an action's error, and may go on: in every copy alike.
func TestBatchProgramGoesOnAfterAnError(t *testing.T) {
	var here, there, then string
	err := runBatch(t, func(sc *rdd.Context) error {
		r := rdd.Parallelize(sc, []int{1, 2, 3})
		err := rdd.ForEach(r, func(int) error { return errors.New("boom") })
		text := fmt.Sprint(err)
		_, err = rdd.TryValue(sc, func() (int, error) { return 0, errors.New("no file") })
		words := rdd.Map(r, func(int) string { return text }) // the executor's copy has the same
		all, failed := rdd.Collect(words)
		if failed != nil {
			return failed
		}
		sc.OnDriver(func() error { here, there, then = text, all[0], err.Error(); return nil })
		return nil
	})
	if err != nil || !strings.Contains(here, "boom") || !strings.Contains(then, "no file") {
		t.Errorf("%q, %q; %v", here, then, err)
	}
	if there != here {
		t.Errorf("the executor's copy was given another error:\n%s\n%s", here, there)
	}
}

// An interrupt kills what runs and ends the program.
func TestInterruptedBatchProgram(t *testing.T) {
	for name, after := range map[string]func(sc *rdd.Context, err error) error{
		"returned": func(_ *rdd.Context, err error) error { return err },
		"dropped":  func(*rdd.Context, error) error { return nil },
		"ignored": func(sc *rdd.Context, _ error) error {
			sc.OnDriver(func() error { panic("an effect of a program that was interrupted") })
			_, err := rdd.Count(rdd.Parallelize(sc, []int{1}))
			return fmt.Errorf("later: %w", err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithTimeout(t.Context(), time.Hour)
				defer interrupt()
				err := engine.NewApp("test").RunBatch(ctx, []string{"--master", "local[2]", "--log-level", "error"}, func(sc *rdd.Context) error {
					return after(sc, rdd.ForEachPartition(rdd.Parallelize(sc, []int{1, 2}), func(p rdd.Part, _ iter.Seq2[int, error]) error {
						<-p.Context().Done()
						return p.Context().Err()
					}))
				})
				if !errors.Is(err, engine.ErrInterrupted) {
					t.Error(err)
				}
			})
		})
	}
}

// What is for streams is refused.
func TestFlagsOfBatchPrograms(t *testing.T) {
	for _, arg := range []string{"--checkpoint=" + t.TempDir(), "--batch-interval=1s"} {
		err := runBatch(t, func(*rdd.Context) error { return nil }, arg)
		if !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), "is for streams") {
			t.Errorf("%s: %v", arg, err)
		}
	}
	if err := runBatch(t, nil); !errors.Is(err, engine.ErrBuild) {
		t.Errorf("no program: %v", err)
	}
}

// What rounds have shuffled goes when nothing refers to it any more; what is referred to
// stays.
func TestManyRoundsInFlatMemory(t *testing.T) {
	const rounds, size = 400, 512 << 10
	var heap uint64
	looked := 0
	err := runBatch(t, func(sc *rdd.Context) error {
		// lengths shuffles size bytes.
		lengths := func(round int) *rdd.RDD[rdd.Pair[int, string]] {
			long := rdd.Map(rdd.Parallelize(sc, []int{round}), func(r int) rdd.Pair[int, string] {
				return rdd.Pair[int, string]{Key: r, Value: strings.Repeat("x", size)}
			})
			return rdd.ReduceByKey(long, func(a, _ string) string { return a })
		}
		length := func(p rdd.Pair[int, string]) int { return len(p.Value) }
		kept := lengths(-1)
		for round := range rounds {
			n, err := rdd.Collect(rdd.Map(lengths(round), length))
			if err != nil || len(n) != 1 || n[0] != size {
				return fmt.Errorf("round %d: %v, %w", round, n, err)
			}
			if round%100 == 0 {
				n, err := rdd.Collect(rdd.Map(kept, length))
				if err != nil || n[0] != size {
					return fmt.Errorf("what is kept: %v, %w", n, err)
				}
				sc.OnDriver(func() error { looked++; return nil })
			}
		}
		sc.OnDriver(func() error {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap = m.HeapAlloc
			return nil
		})
		return nil
	})
	if err != nil || looked != 4 || heap == 0 || heap > rounds*size/2 {
		t.Errorf("%d bytes are in use after %d rounds that shuffled %d; %v", heap, rounds, rounds*size, err)
	}
}

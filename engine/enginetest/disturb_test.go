package enginetest_test

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// seeds are how many a program is disturbed by.
const seeds = 50

// disturbed calls f for each seed, in a subtest, with the flag to be disturbed by it.
func disturbed(t *testing.T, n uint64, f func(t *testing.T, flag string)) {
	for seed := range n {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { f(t, enginetest.Disturb(seed)) })
	}
}

// inventory is a right program: through a shuffle, a cache, a state, and a window. tasks counts
// the elements that its tasks read.
func inventory(tasks *atomic.Int64) func(in *engine.DStream[int]) *engine.DStream[string] {
	return func(in *engine.DStream[int]) *engine.DStream[string] {
		keyed := engine.Map(in, func(n int) pair {
			tasks.Add(1)
			return kv(fmt.Sprint(n%5), int64(n))
		})
		sums := engine.ReduceByKey(keyed, func(a, b int64) int64 { return a + b }, rdd.Partitions(3)).Cache()
		totals := engine.MapWithState(sums, "totals", func(key string, n *int64, s *engine.State[int64]) (string, bool) {
			total, _ := s.Get()
			s.Update(total + *n)
			return fmt.Sprintf("%s: %d in all", key, total+*n), true
		}, engine.Partitions(2))
		recent := engine.ReduceByKeyAndWindow(sums, func(a, b int64) int64 { return a + b }, 4*enginetest.Interval, enginetest.Interval)
		shown := engine.Map(recent, func(p pair) string { return fmt.Sprintf("%s: %d of late", p.Key, p.Value) })
		return totals.Union(shown)
	}
}

// numbers returns batches of numbers.
func numbers(batches, rows int) [][]int {
	in, _ := sums(batches, rows, 1)
	return in
}

// A right program's output is the same whatever is lost; and much is.
func TestDisturbedProgram(t *testing.T) {
	const batches = 6
	var undisturbed, tasks atomic.Int64
	want, err := enginetest.Run(t, numbers(batches, 20), batches, inventory(&undisturbed))
	if err != nil {
		t.Fatal(err)
	}
	disturbed(t, seeds, func(t *testing.T, flag string) {
		enginetest.Operation(t, numbers(batches, 20), inventory(&tasks), want, flag)
	})
	if again := tasks.Load() - seeds*undisturbed.Load(); again < seeds*undisturbed.Load()/10 {
		t.Errorf("%d elements were read again, of %d in one run", again, undisturbed.Load())
	}
}

// So is what a batch program brings.
func TestDisturbedBatchProgram(t *testing.T) {
	run := func(t *testing.T, args ...string) (found []pair) {
		if err := enginetest.Batch(t, rounds(4, func(string) {}, func(sums []pair) { found = sums }), args...); err != nil {
			t.Error(err)
		}
		slices.SortFunc(found, func(a, b pair) int { return cmp.Compare(a.Key, b.Key) })
		return found
	}
	want := run(t)
	disturbed(t, seeds, func(t *testing.T, flag string) {
		if got := run(t, flag); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// What fails by itself fails as ever.
func TestDisturbedFailure(t *testing.T) {
	disturbed(t, 5, func(t *testing.T, flag string) {
		err := enginetest.Batch(t, func(sc *rdd.Context) error {
			return rdd.ForEach(rdd.Parallelize(sc, []int{1, 2, 3}), func(n int) error {
				if n == 3 {
					return errors.New("no such order")
				}
				return nil
			})
		}, flag)
		if err == nil || !strings.Contains(err.Error(), "no such order") {
			t.Errorf("it ends with %v", err)
		}
	})
}

// Mistakes that nobody sees on a good day are found, and no others.
func TestDisturbFindsMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		run     func(t *testing.T, args ...string) []int
		mistake bool
	}{
		"an output that appends": {appended, true},
		"numbers from a counter": {numbered, true},
		"a store by key":         {stored, false},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.run(t)
			found := 0
			disturbed(t, seeds, func(t *testing.T, flag string) {
				if !slices.Equal(c.run(t, flag), want) {
					found++
				}
			})
			if t.Logf("%d of %d seeds find it", found, seeds); c.mistake != (found >= seeds/3) || !c.mistake && found > 0 {
				t.Errorf("%d of %d seeds find it", found, seeds)
			}
		})
	}
}

// appended is a mistake: rows are appended whenever a task writes.
func appended(t *testing.T, args ...string) (rows []int) {
	var mu sync.Mutex
	write(t, func(_ engine.Batch, p rdd.Part, part []int) {
		mu.Lock()
		defer mu.Unlock()
		rows = append(rows, part...)
	}, args)
	slices.Sort(rows)
	return rows
}

// stored is right: what a task writes takes the place of what was written by its batch
// and partition.
func stored(t *testing.T, args ...string) (rows []int) {
	var mu sync.Mutex
	places := make(map[string][]int)
	write(t, func(b engine.Batch, p rdd.Part, part []int) {
		mu.Lock()
		defer mu.Unlock()
		places[fmt.Sprint(b.Seq, p.Index)] = part
	}, args)
	for _, part := range places {
		rows = append(rows, part...)
	}
	slices.Sort(rows)
	return rows
}

// write runs a stream that calls f for each partition.
func write(t *testing.T, f func(b engine.Batch, p rdd.Part, part []int), args []string) {
	input := numbers(4, 10)
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		in := engine.QueueStream(ssc, input, 2)
		engine.ForEachPartition(in, func(b engine.Batch, p rdd.Part, rows iter.Seq2[int, error]) error {
			var part []int
			for n, err := range rows {
				if err != nil {
					return err
				}
				part = append(part, n)
			}
			f(b, p, part)
			return nil
		})
		return nil
	}, append([]string{"--until-end"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
}

// numbered is a mistake: elements are numbered by a variable, which attempts share.
func numbered(t *testing.T, args ...string) (rows []int) {
	var n atomic.Int64
	out, err := enginetest.Run(t, numbers(4, 10), 4, func(in *engine.DStream[int]) *engine.DStream[int] {
		return engine.Map(in, func(int) int { return int(n.Add(1)) })
	}, args...)
	if err != nil {
		t.Fatal(err)
	}
	rows = slices.Concat(out...)
	slices.Sort(rows)
	return rows
}

// Executor processes are killed and their blocks are lost.
func TestDisturbedCluster(t *testing.T) {
	const batches = 12
	input, expected := sums(batches, 300, 50)
	started := 0
	disturbed(t, 3, func(t *testing.T, flag string) {
		processes := newOnce(t)
		if os.Getenv(role.Env) != "" {
			processes.first(fmt.Sprint(os.Getpid()))
		}
		enginetest.ClusterOperation(t, input, func(d *engine.DStream[int]) *engine.DStream[pair] { return sumByKey(d, 50) }, expected, flag)
		all, err := os.ReadDir(processes.dir)
		if err != nil {
			t.Error(err)
		}
		started += len(all)
	})
	if t.Logf("%d processes were started", started); started <= 3*2 && os.Getenv(role.Env) == "" {
		t.Errorf("%d processes were started: none was killed", started)
	}
}

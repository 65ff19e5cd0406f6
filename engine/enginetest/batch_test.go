package enginetest_test

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// rounds returns a program that needs in each round what came of the one before, on a
// cached RDD and through shuffles, and hands what it has found to found. before is called
// in each task with its place.
func rounds(n int, before func(place string), found func(sums []pair)) engine.BatchFunc {
	return func(sc *rdd.Context) error {
		numbers := make([]int, 400)
		for i := range numbers {
			numbers[i] = i
		}
		base := rdd.Parallelize(sc, numbers, rdd.Partitions(4)).Cache()
		var sums []pair
		for round := range n {
			shift := rdd.Value(sc, func() int { return len(sums) + round })
			keyed := rdd.Map(base, func(i int) pair { return kv(fmt.Sprint((i+shift)%10), int64(i+shift)) })
			var err error
			sums, err = rdd.Collect(beginning(rdd.ReduceByKey(beginning(keyed, "map", round, before),
				func(a, b int64) int64 { return a + b }, rdd.Partitions(3)), "reduce", round, before))
			if err != nil {
				return err
			}
		}
		sc.OnDriver(func() error { found(sums); return nil })
		return nil
	}
}

// beginning calls before when a partition is begun.
func beginning(r *rdd.RDD[pair], stage string, round int, before func(place string)) *rdd.RDD[pair] {
	return rdd.TryMapPartitions(r, func(p rdd.Part, in iter.Seq2[pair, error]) iter.Seq2[pair, error] {
		return func(yield func(pair, error) bool) {
			before(fmt.Sprintf("%s-%d-%d", stage, round, p.Index))
			in(yield)
		}
	})
}

// What would fail again alike is tried once, anything else four times.
func TestPermanentFailures(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte("{\"n\": 1}\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	failing := func(why func() error) engine.BatchFunc {
		return func(sc *rdd.Context) error {
			_, err := rdd.Count(rdd.TryMap(rdd.Parallelize(sc, []int{1}), func(int) (int, error) { return 0, why() }))
			return err
		}
	}
	noColumn := errors.New("no such column")
	for name, tt := range map[string]struct {
		program engine.BatchFunc
		want    string
	}{
		"an error":  {failing(func() error { return noColumn }), "4 attempts"},
		"permanent": {failing(func() error { return fmt.Errorf("row 7: %w", rdd.Permanent(noColumn)) }), "1 attempt,"},
		"a panic":   {failing(func() error { panic(rdd.Permanent(noColumn)) }), "1 attempt,"},
		"a line that is no JSON": {func(sc *rdd.Context) error {
			_, err := rdd.Count(rdd.JSONLines[struct{ N int }](sc, dir))
			return err
		}, "1 attempt,"},
		"a line that is too long": {func(sc *rdd.Context) error {
			_, err := rdd.Count(rdd.TextFile(sc, dir, rdd.MaxLine(4)))
			return err
		}, "1 attempt,"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := enginetest.Batch(t, tt.program); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the program ended with %v; %q was expected", err, tt.want)
			}
		})
	}
}

// A batch program has one result, in local mode and on executor processes that are
// killed in the middle: of map tasks, of reading tasks, with what they had cached.
func TestBatchOnKilledExecutors(t *testing.T) {
	const n = 8
	var local, cluster []pair
	if os.Getenv(role.Env) == "" {
		err := enginetest.Batch(t, rounds(n, func(string) {}, func(sums []pair) { local = sums }))
		if err != nil || len(local) != 10 {
			t.Fatal(local, err)
		}
	}
	marks := newOnce(t)
	deaths := []string{"map-0-1", "reduce-2-0", "map-3-3", "reduce-6-2"}
	die := func(place string) {
		if slices.Contains(deaths, place) && marks.first(place) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	err := enginetest.BatchOnCluster(t, rounds(n, die, func(sums []pair) { cluster = sums }))
	if err != nil || !slices.Equal(cluster, local) {
		t.Errorf("local:   %v\ncluster: %v; %v", local, cluster, err)
	}
	if done, err := os.ReadDir(marks.dir); err != nil || len(done) != len(deaths) {
		t.Errorf("%d of %d kills happened: %v", len(done), len(deaths), err)
	}
}

// All copies of a program see the same accumulators, and the driver's broadcast values.
func TestAccumulatorsAndBroadcasts(t *testing.T) {
	var sum int
	var seen []int
	program := func(sc *rdd.Context) error {
		added := rdd.NewSum[int](sc, "added")
		table := rdd.NewBroadcast(sc, []int{os.Getpid(), os.Getpid()})
		adding := rdd.MapPartitions(rdd.Parallelize(sc, []int{1, 2, 3, 4}, rdd.Partitions(3)), func(p rdd.Part, in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) {
				for v := range in {
					if added.Add(p, v); !yield(v) {
						return
					}
				}
			}
		})
		for range 2 {
			if _, err := rdd.Count(adding); err != nil {
				return err
			}
		}
		total := added.Value()
		found, err := rdd.Collect(rdd.Map(adding, func(int) int { return table.Value()[1] + total }))
		sc.OnDriver(func() error { sum, seen = added.Value(), found; return nil })
		return err
	}
	check := func(where string, err error) {
		if want := os.Getpid() + 20; err != nil || sum != 30 || !slices.Equal(seen, []int{want, want, want, want}) {
			t.Errorf("%s: %d was added, tasks saw %v, want %d; %v", where, sum, seen, want, err)
		}
	}
	if os.Getenv(role.Env) == "" {
		check("local mode", enginetest.Batch(t, program))
	}
	check("executor processes", enginetest.BatchOnCluster(t, program))
}

// Executors are told of results that are larger than a message.
func TestLargeResultsOfBatch(t *testing.T) {
	const size = 9 << 20 // above what a message carries
	var lengths []int
	err := enginetest.BatchOnCluster(t, func(sc *rdd.Context) error {
		long := func(int) string { return strings.Repeat("x", size) }
		all, err := rdd.Collect(rdd.Map(rdd.Parallelize(sc, []int{1, 2}, rdd.Partitions(3)), long))
		if err != nil {
			return err
		}
		value := rdd.Value(sc, func() string { return all[0] + "y" })
		lengths1, err := rdd.Collect(rdd.Map(rdd.Parallelize(sc, []int{1}), func(int) int { return len(all[1]) + len(value) }))
		sc.OnDriver(func() error { lengths = lengths1; return nil })
		return err
	})
	if err != nil || !slices.Equal(lengths, []int{2*size + 1}) {
		t.Errorf("%v, %v", lengths, err)
	}
}

// A copy that does something else ends the job, which says what and where.
func TestBatchDiverges(t *testing.T) {
	count := func(sc *rdd.Context, more bool) error {
		r := rdd.Parallelize(sc, []int{1, 2, 3})
		if more {
			r = r.Filter(func(int) bool { return true })
		}
		_, err := rdd.Count(r)
		return err
	}
	executor := os.Getenv(role.Env) != ""
	for name, c := range map[string]struct {
		program engine.BatchFunc
		says    []string
	}{
		"other RDDs": {func(sc *rdd.Context) error {
			return errors.Join(count(sc, false), count(sc, executor))
		}, []string{"step 2 of the copy on executor executor-", "filter at enginetest/batch_test.go:", "action count at enginetest/batch_test.go:"}},
		"another end": {func(sc *rdd.Context) error {
			if err := count(sc, false); err != nil || executor {
				panic("this machine is another one")
			}
			return count(sc, false)
		}, []string{"executor executor-", "has ended before step 2", "this machine is another one"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := enginetest.BatchOnCluster(t, c.program)
			if !errors.Is(err, engine.ErrDiverged) {
				t.Fatal(err)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("it doesn't say %q:\n%v", s, err)
				}
			}
		})
	}
}

// Random programs, one after the other in one batch program, return on executor
// processes that are killed now and then what one goroutine makes of them. So they do in
// local mode.
func TestRandomBatchPrograms(t *testing.T) {
	seed, programs := programSeed(t)
	marks := newOnce(t)
	const killEvery = 10 // programs
	onExecutor := os.Getenv(role.Env) != ""
	var results [][]string
	program := func(sc *rdd.Context) error {
		var all [][]string
		for i := range programs {
			die := func(r *rdd.RDD[int]) *rdd.RDD[int] {
				return rdd.Map(r, func(v int) int {
					if onExecutor && i%killEvery == 3 && v%3 == 0 && marks.first(fmt.Sprintf("kill-%d", i)) {
						_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
						select {}
					}
					return v
				})
			}
			of := seed + uint64(i)
			result := rddtest.Program(of, rdd.Parallelize(sc, programInput(of), rdd.Partitions(2)), die)
			once, err := rdd.Collect(result)
			again, err2 := rdd.Collect(result) // of what is cached by now
			if err := errors.Join(err, err2); err != nil {
				return fmt.Errorf("program %d: %w", i, err)
			}
			if !slices.Equal(once, again) {
				return fmt.Errorf("program %d came to %q and then to %q", i, once, again)
			}
			all = append(all, once)
		}
		sc.OnDriver(func() error { results = all; return nil })
		return nil
	}
	run := func(where string, err error) {
		if err != nil || len(results) != programs {
			t.Fatalf("%s: %d programs ran; %v", where, len(results), err)
		}
		for i, got := range results {
			if want, program := reference(t, seed+uint64(i), 0); !slices.Equal(got, want) {
				t.Errorf("%s, program %d (HIBANA_SEED=%d HIBANA_PROGRAMS=1):\n got %s\nwant %s\n%s", where, i, seed+uint64(i), got, want, program)
			}
		}
		results = nil
	}
	if !onExecutor {
		run("local mode", enginetest.Batch(t, program))
	}
	run("executor processes", enginetest.BatchOnCluster(t, program))
	if kills, err := os.ReadDir(marks.dir); err != nil || programs >= 4*killEvery && len(kills) == 0 {
		t.Errorf("%d kills: %v", len(kills), err)
	}
}

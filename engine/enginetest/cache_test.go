package enginetest_test

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// counting counts in calls the elements that go through.
func counting[T any](r *rdd.RDD[T], calls *rdd.Accumulator[int]) *rdd.RDD[T] {
	return rdd.MapPartitions(r, func(p rdd.Part, in iter.Seq[T]) iter.Seq[T] {
		return func(yield func(T) bool) {
			for v := range in {
				if calls.Add(p, 1); !yield(v) {
					return
				}
			}
		}
	})
}

// A cached RDD is computed once for all steps of a program, behind a shuffle or not. What
// doesn't fit, and what an executor had that died, is computed again, and the results are
// what they should be.
func TestCachedOverSteps(t *testing.T) {
	const n, partitions, steps = 400, 4, 4
	onExecutor := os.Getenv(role.Env) != ""
	roomy := []string{"--conf", "locality.wait=30s"} // tasks run where their partition is cached
	for _, tt := range []struct {
		name     string
		level    rdd.StorageLevel
		size     int // bytes of an element
		kill     bool
		args     []string
		once     bool // it is computed once
		shuffled bool
	}{
		{name: "in memory", args: roomy, once: true},
		{name: "on disk", level: rdd.DiskOnly, args: roomy, once: true},
		{name: "behind a shuffle", args: roomy, once: true, shuffled: true},
		{name: "without room", size: 100 << 10, args: append([]string{"--conf", "executor.memory=16m"}, roomy...)},
		{name: "without room, on disk", level: rdd.MemoryAndDisk, size: 100 << 10, once: true, shuffled: true, args: append([]string{"--conf", "executor.memory=16m"}, roomy...)},
		{name: "lost", kill: true},
		{name: "lost behind a shuffle", kill: true, shuffled: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			marks := newOnce(t)
			var sums []int
			var called int
			program := func(sc *rdd.Context) error {
				sums = nil
				calls := rdd.NewSum[int](sc, "calls")
				keyed := rdd.Map(rdd.Parallelize(sc, make([]int, n), rdd.Partitions(partitions)), func(int) int { return 1 })
				if tt.shuffled {
					keyed = rdd.Map(rdd.ZipWithIndex(keyed.Repartition(partitions)), func(kv rdd.Pair[int64, int]) int { return kv.Value })
				}
				pad := strings.Repeat("x", tt.size)
				texts := rdd.Map(counting(keyed, calls), func(v int) string { return fmt.Sprint(v, pad) }).Persist(tt.level)
				for step := range steps {
					r := rdd.Map(texts, func(s string) int {
						if onExecutor && tt.kill && step == 2 && marks.first("kill") {
							_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
							select {}
						}
						return len(s) * (step + 1)
					})
					sum, err := rdd.Sum(r)
					if err != nil {
						return err
					}
					sc.OnDriver(func() error { sums = append(sums, sum); called = calls.Value(); return nil })
				}
				return nil
			}
			check := func(where string, err error) {
				t.Helper()
				each := n * (tt.size + 1)
				if want := []int{each, 2 * each, 3 * each, 4 * each}; err != nil || !slices.Equal(sums, want) {
					t.Errorf("%s: %v, want %v; %v", where, sums, want, err)
				}
				if called < n || (called == n) != tt.once && !tt.kill {
					t.Errorf("%s: %d elements of %d were computed", where, called, n)
				}
			}
			if !onExecutor {
				check("local mode", enginetest.Batch(t, program, tt.args...))
			}
			check("executor processes", enginetest.BatchOnCluster(t, program, tt.args...))
			if tt.kill && marks.first("kill") {
				t.Error("nobody was killed")
			}
		})
	}
}

// What is above an RDD that is cached whole isn't computed again when its output is lost.
func TestCachedCutsLineage(t *testing.T) {
	const n = 40
	onExecutor, self := os.Getenv(role.Env) != "", fmt.Sprint("holder-", os.Getpid())
	marks := newOnce(t)
	var called, values int
	err := enginetest.BatchOnCluster(t, func(sc *rdd.Context) error {
		calls := rdd.NewSum[int](sc, "calls")
		counts := rdd.CountedByValue(counting(rdd.Parallelize(sc, make([]int, n), rdd.Partitions(2)), calls), rdd.Partitions(1))
		cached := rdd.Map(counts, func(kv rdd.Pair[int, int64]) int { marks.first(self); return int(kv.Value) }).Cache()
		_, err := rdd.Count(cached)
		// The executor that doesn't hold the partition dies, with the output of a map task.
		_, killed := rdd.Count(rdd.Parallelize(sc, []int{1, 2}, rdd.Partitions(2)).Filter(func(int) bool {
			if onExecutor && marks.first(self) && marks.first("kill") {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return true
		}))
		sum, again := rdd.Sum(cached)
		sc.OnDriver(func() error { called, values = calls.Value(), sum; return nil })
		return errors.Join(err, killed, again)
	}, "--conf", "locality.wait=30s")
	if err != nil || called != n || values != n {
		t.Errorf("%d elements of %d were counted, their sum is %d; %v", called, n, values, err)
	}
	if marks.first("kill") {
		t.Error("nobody was killed")
	}
}

// Two outputs of a batch share what is cached.
func TestCachedOverOutputs(t *testing.T) {
	const perBatch, batches = 50, 3
	input := make([][]int, batches)
	for b := range input {
		for i := range perBatch {
			input[b] = append(input[b], 1000*b+i)
		}
	}
	dir := newOnce(t) // a mark for each element that is computed
	var sums []int
	build := func(ssc *engine.StreamingContext) error {
		seen := engine.Map(enginetest.Queue(ssc, input, 2), func(v int) int {
			for n := 0; !dir.first(fmt.Sprintf("%d-%d", v, n)); n++ {
			}
			return v
		}).Cache()
		engine.ForEachBatch(seen, func(b engine.Batch, rows []int) error { sums = append(sums, len(rows)); return nil })
		engine.ForEachBatch(engine.Map(seen, func(v int) int { return -v }), func(b engine.Batch, rows []int) error {
			if sums = append(sums, len(rows)); b.Seq == batches {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}
	err := enginetest.OnCluster(t, build, "--conf", "locality.wait=30s")
	if want := []int{perBatch, perBatch, perBatch, perBatch, perBatch, perBatch}; err != nil || len(sums) < 6 || !slices.Equal(sums[:6], want) {
		t.Errorf("%v, want %v; %v", sums, want, err)
	}
	if marks, err := os.ReadDir(dir.dir); err != nil || len(marks) != perBatch*batches {
		t.Errorf("%d elements of %d were computed; %v", len(marks), perBatch*batches, err)
	}
}

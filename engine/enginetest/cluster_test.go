package enginetest_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// sums returns batches of numbers and their sums by the number modulo keys.
func sums(batches, rows, keys int) (input [][]int, expected [][]pair) {
	for b := range batches {
		in := make([]int, rows)
		byKey := make([]int64, keys)
		for i := range in {
			in[i] = b*rows + i
			byKey[in[i]%keys] += int64(in[i])
		}
		var out []pair
		for k, sum := range byKey {
			out = append(out, kv(fmt.Sprint(k), sum))
		}
		input, expected = append(input, in), append(expected, out)
	}
	return input, expected
}

// sumByKey is the operator that sums tests.
func sumByKey(d *engine.DStream[int], keys int) *engine.DStream[pair] {
	return engine.ReduceByKey(engine.Map(d, func(i int) pair { return kv(fmt.Sprint(i%keys), int64(i)) }), func(a, b int64) int64 { return a + b })
}

// check compares what came out with what was expected.
func check(t *testing.T, got, expected [][]pair) {
	t.Helper()
	if len(got) != len(expected) {
		t.Fatalf("%d batches came out, %d were expected", len(got), len(expected))
	}
	for i := range expected {
		want := make(map[string]int64)
		for _, p := range expected[i] {
			want[p.Key] = p.Value
		}
		for _, p := range got[i] {
			if want[p.Key] != p.Value {
				t.Errorf("batch %d: %s is %d, not %d", i+1, p.Key, p.Value, want[p.Key])
			}
			delete(want, p.Key)
		}
		if len(want) > 0 {
			t.Errorf("batch %d: %d keys are missing", i+1, len(want))
		}
	}
}

func TestRemoteShuffle(t *testing.T) {
	input, expected := sums(3, 500, 50)
	r, err := enginetest.RunOnCluster(t, input, len(input), func(d *engine.DStream[int]) *engine.DStream[pair] { return sumByKey(d, 50) })
	if err != nil {
		t.Fatal(err)
	}
	check(t, r.Batches, expected)
	if r.Metrics.ShuffleRemote <= 0 || r.Metrics.ShuffleRemote >= r.Metrics.ShuffleRead {
		t.Errorf("of %d bytes read from shuffles %d came from other processes", r.Metrics.ShuffleRead, r.Metrics.ShuffleRemote)
	}
}

// once is a place where an executor process does something one time, whichever
// process comes there first. Its marks are files that all processes see.
type once struct{ dir string }

// newOnce returns the marks of a test: the parent makes the folder, its
// processes inherit it.
func newOnce(t *testing.T) once {
	const env = "HIBANA_TEST_MARKS"
	if os.Getenv(role.Env) == "" {
		t.Setenv(env, t.TempDir())
	}
	return once{os.Getenv(env)}
}

func (o once) first(place string) bool {
	f, err := os.OpenFile(filepath.Join(o.dir, place), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// at runs f before the element with the given number of each partition.
func at[T any](d *engine.DStream[T], f func(tc *task.Context, n int)) *engine.DStream[T] {
	return engine.TryMapPartitions(d, func(part rdd.Part, in iter.Seq2[T, error]) iter.Seq2[T, error] {
		tc := part.Task()
		return func(yield func(T, error) bool) {
			n := 0
			for v, err := range in {
				f(tc, n)
				n++
				if !yield(v, err) {
					return
				}
			}
			f(tc, n)
		}
	})
}

// An executor process is killed in the middle of map tasks, of reading tasks and
// between them, at places that a seed chooses; nothing is lost or doubled.
func TestKilledExecutors(t *testing.T) {
	seed := uint64(20261123)
	if s := os.Getenv("HIBANA_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HIBANA_SEED=%d", seed)
	marks := newOnce(t)
	const batches, kills = 12, 6
	rng := rand.New(rand.NewPCG(seed, 1))
	places := make(map[string]bool)
	for len(places) < kills {
		stage := []string{"map", "reduce"}[rng.IntN(2)]
		places[fmt.Sprintf("%s-%d-%d-%d", stage, 1+rng.IntN(batches), rng.IntN(2), rng.IntN(20))] = true
	}
	dieAt := func(stage string) func(*task.Context, int) {
		return func(tc *task.Context, n int) {
			place := fmt.Sprintf("%s-%d-%d-%d", stage, tc.Batch, tc.Partition, n)
			if places[place] && marks.first(place) {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	input, expected := sums(batches, 300, 50)
	r, err := enginetest.RunOnCluster(t, input, batches, func(d *engine.DStream[int]) *engine.DStream[pair] {
		return at(sumByKey(at(d, dieAt("map")), 50), dieAt("reduce"))
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, r.Batches, expected)
	done, err := os.ReadDir(marks.dir)
	if err != nil || len(done) != kills {
		t.Errorf("%d of %d kills happened: %v", len(done), kills, err)
	}
}

// A task that panics on one executor only runs on the other.
func TestPanicOnOneExecutor(t *testing.T) {
	marks := newOnce(t)
	input, expected := sums(3, 100, 10)
	unlucky := marks.dir != "" && os.Getenv(role.Env) != "" && marks.first("unlucky")
	r, err := enginetest.RunOnCluster(t, input, len(input), func(d *engine.DStream[int]) *engine.DStream[pair] {
		return sumByKey(engine.Map(d, func(i int) int {
			if unlucky {
				panic("this machine is out of luck")
			}
			return i
		}), 10)
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, r.Batches, expected)
}

// An executor that can't build the program is left out; if none can the job
// fails and says why.
func TestBuildFailsOnExecutors(t *testing.T) {
	for name, all := range map[string]bool{"one": false, "all": true} {
		t.Run(name, func(t *testing.T) {
			marks := newOnce(t)
			input, expected := sums(3, 100, 10)
			broken := os.Getenv(role.Env) != "" && (all || marks.first("broken"))
			r, err := enginetest.RunOnCluster(t, input, len(input), func(d *engine.DStream[int]) *engine.DStream[pair] {
				if broken {
					panic("no such device")
				}
				return sumByKey(d, 10)
			})
			if !all {
				if err != nil {
					t.Fatal(err)
				}
				check(t, r.Batches, expected)
				return
			}
			if err == nil || !strings.Contains(err.Error(), "no such device") {
				t.Errorf("the job ended with %v", err)
			}
		})
	}
}

// Executors that build another graph than the driver fail the job with a diff.
func TestGraphDiverges(t *testing.T) {
	executor := os.Getenv(role.Env) != ""
	_, err := enginetest.RunOnCluster(t, [][]int{{1}}, 1, func(d *engine.DStream[int]) *engine.DStream[int] {
		if executor {
			d = d.Filter(func(int) bool { return true })
		}
		return engine.Map(d, func(i int) int { return i })
	})
	if !errors.Is(err, engine.ErrDiverged) || !strings.Contains(err.Error(), "filter of 1 at enginetest/cluster_test.go") {
		t.Errorf("the job ended with %v", err)
	}
}

// Executors that generate other RDDs for a batch fail the job with a diff.
func TestLineageDiverges(t *testing.T) {
	executor := os.Getenv(role.Env) != ""
	_, err := enginetest.RunOnCluster(t, [][]int{{1}, {2}}, 2, func(d *engine.DStream[int]) *engine.DStream[int] {
		return engine.Transform(d, func(b engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] {
			if executor && b.Seq == 2 {
				return r.Filter(func(int) bool { return true })
			}
			return rdd.Map(r, func(i int) int { return i })
		})
	})
	if !errors.Is(err, engine.ErrDiverged) || !strings.Contains(err.Error(), "batch 2") || !strings.Contains(err.Error(), "filter at enginetest/cluster_test.go") {
		t.Errorf("the job ended with %v", err)
	}
}

// A task that makes its process exit fails the job, which says where and how, after
// as many deaths as a task may have failures.
func TestTaskThatExits(t *testing.T) {
	deaths := newOnce(t)
	_, err := enginetest.RunOnCluster(t, [][]int{{1, 2, 3, 4}}, 1, func(d *engine.DStream[int]) *engine.DStream[int] {
		return engine.Map(d, func(i int) int {
			if i == 3 {
				for n := 0; n < 100 && !deaths.first(fmt.Sprint(n)); n++ {
				}
				fmt.Fprintln(os.Stderr, "the camera is gone")
				os.Exit(7)
			}
			return i
		})
	})
	for _, want := range []string{"map at enginetest/cluster_test.go", "died: exit status 7", "the camera is gone"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the job ended with %v; %q was expected", err, want)
		}
	}
	if n, err := os.ReadDir(deaths.dir); err != nil || len(n) < 4 || len(n) > 6 {
		t.Errorf("%d processes died, 4 were to: %v", len(n), err)
	}
}

// A program whose processes always die fails and says how.
func TestCrashingProcesses(t *testing.T) {
	if os.Getenv(role.Env) != "" {
		panic("cannot start here")
	}
	_, err := enginetest.RunOnCluster(t, [][]int{{1}}, 1, func(d *engine.DStream[int]) *engine.DStream[int] { return d })
	if !errors.Is(err, engine.ErrNoExecutor) || !strings.Contains(err.Error(), "panic: cannot start here") {
		t.Errorf("the job ended with %v", err)
	}
}

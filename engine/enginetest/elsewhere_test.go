package enginetest_test

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// process is the mark of a process that is alive.
func process(pid int) string { return fmt.Sprint("pid-", pid) }

// die kills this process.
func (o once) die() {
	_ = os.Remove(filepath.Join(o.dir, process(os.Getpid())))
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// killOthers kills the processes that have a mark, but for this one.
func (o once) killOthers() {
	marks, _ := filepath.Glob(filepath.Join(o.dir, "pid-*"))
	for _, m := range marks {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(m), "pid-%d", &pid); err == nil && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// A task that needs cached partitions of two executors reads those of the other one, at every
// level, and computes nothing. What is lost with an executor, before or while it is read, is
// computed again, which no failure is counted for; but not what a local checkpoint kept.
func TestCachedElsewhere(t *testing.T) {
	const n = 40
	onExecutor, marks := os.Getenv(role.Env) != "", newOnce(t)
	marked := func(v int) int {
		if onExecutor {
			marks.first(process(os.Getpid()))
		}
		return v
	}
	type step struct{ sum, computed, remote int }
	got := make(map[string]step)
	failures := make(map[string]error)
	err := enginetest.BatchOnCluster(t, func(sc *rdd.Context) error {
		calls, remote := rdd.NewSum[int](sc, "calls"), rdd.NewSum[int](sc, "remote")
		// numbers is an RDD of a partition on each executor.
		numbers := func() *rdd.RDD[int] {
			return rdd.Map(counting(rdd.Parallelize(sc, slices.Repeat([]int{1}, n), rdd.Partitions(2)), calls), marked)
		}
		// together adds the numbers of both partitions in one task, which calls before.
		together := func(name string, r *rdd.RDD[int], before func()) {
			var was step
			sc.OnDriver(func() error { was = step{0, calls.Value(), remote.Value()}; return nil })
			sum, err := rdd.Sum(rdd.MapPartitions(r.Coalesce(1), func(p rdd.Part, in iter.Seq[int]) iter.Seq[int] {
				before()
				return func(yield func(int) bool) {
					sum := 0
					for v := range in {
						sum += v
					}
					remote.Add(p, int(p.Task().Counted().CacheRemote))
					yield(sum)
				}
			}))
			sc.OnDriver(func() error {
				got[name] = step{sum, calls.Value() - was.computed, remote.Value() - was.remote}
				failures[name] = err
				return nil
			})
		}
		nothing := func() {}
		for _, level := range []rdd.StorageLevel{rdd.MemoryOnly, rdd.MemoryAndDisk, rdd.DiskOnly} {
			kept := numbers().Persist(level)
			if _, err := rdd.Count(kept); err != nil {
				return err
			}
			together(level.String(), kept, nothing)
		}
		local, err := numbers().LocalCheckpoint()
		if err != nil {
			return err
		}
		together("local checkpoint", local, nothing)

		kept := numbers().Cache()
		if local, err = numbers().LocalCheckpoint(); err != nil {
			return err
		}
		if _, err := rdd.Count(kept); err != nil {
			return err
		}
		// One of the two executors dies with its partitions.
		if err := rdd.ForEach(rdd.Parallelize(sc, []int{1, 2}, rdd.Partitions(2)), func(int) error {
			if onExecutor && marks.first("killed") {
				marks.die()
			}
			return nil
		}); err != nil {
			return err
		}
		together("lost", kept, nothing)
		together("lost local checkpoint", local, nothing)

		kept = numbers().Cache()
		if _, err := rdd.Count(kept); err != nil {
			return err
		}
		together("lost meanwhile", kept, func() {
			if onExecutor && marks.first("killed again") {
				marks.killOthers()
			}
		})
		return nil
	}, "--conf", "task.maxFailures=1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"MemoryOnly", "MemoryAndDisk", "DiskOnly", "local checkpoint"} {
		if s := got[name]; s.sum != n || s.computed != 0 || s.remote == 0 || failures[name] != nil {
			t.Errorf("%s: %+v, %v", name, s, failures[name])
		}
	}
	if s := got["lost"]; s.sum != n || s.computed != n/2 || failures["lost"] != nil {
		t.Errorf("lost: %+v, %v", s, failures["lost"])
	}
	if s := got["lost meanwhile"]; s.sum != n || failures["lost meanwhile"] != nil {
		t.Errorf("lost meanwhile: %+v, %v", s, failures["lost meanwhile"])
	}
	err = failures["lost local checkpoint"]
	if s := got["lost local checkpoint"]; err == nil || s.computed != 0 || !strings.Contains(err.Error(), "localCheckpoint at enginetest/elsewhere_test.go") || !strings.Contains(err.Error(), "use Checkpoint") {
		t.Errorf("lost local checkpoint: %+v, %v", s, err)
	}
}

package enginetest_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// An executor process is killed in the middle of a job with states: what it held of them
// is restored from the newest checkpoint, and the batches since are computed again, not
// those before.
func TestKilledExecutorsWithState(t *testing.T) {
	const batches, keys = 60, 8
	kills := []int{32, 50}
	marks := newOnce(t)
	onExecutor := os.Getenv(role.Env) != ""
	input, expected := make([][]rdd.Pair[string, int], batches), make([][]string, batches)
	for i := range input {
		for k := range keys {
			key := fmt.Sprint("k", k)
			input[i] = append(input[i], rdd.KV(key, i+1))
			sum := (i + 1) * (i + 2) / 2
			expected[i] = append(expected[i], fmt.Sprint(key, "=", sum), fmt.Sprint(key, " in the window: ", sum), fmt.Sprintf("%s: %d of %d", key, sum, i+1))
			if i > 0 {
				expected[i] = append(expected[i], fmt.Sprintf("%s: %d at last", key, sum))
			}
		}
	}
	expected[1] = append(expected[1], "z: 7 at last") // its timer is set at the beginning
	f := func(key string, v *int, s *engine.State[int]) (string, bool) {
		if onExecutor && key == "k0" && slices.Contains(kills, *v) && marks.first(fmt.Sprint("kill-", *v)) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		if _, err := os.Stat(marks.dir + "/kill-32"); err == nil && onExecutor {
			marks.first(fmt.Sprint("then-", *v))
		}
		sum, _ := s.Get()
		s.Update(sum + *v)
		return fmt.Sprint(key, "=", sum+*v), true
	}
	r, err := enginetest.RunOnCluster(t, input, batches, func(d *engine.DStream[rdd.Pair[string, int]]) *engine.DStream[string] {
		sums := engine.MapWithState(d, "sums", f, engine.Partitions(4))
		window := engine.ReduceByKeyAndWindowInverse(d, "window", func(a, b int) int { return a + b }, func(a, b int) int { return a - b },
			time.Hour, enginetest.ClusterInterval, nil, engine.Partitions(3))
		total, values := engine.NewValueState[int]("total"), engine.NewListState[int]("values")
		held := engine.TransformWithState(d, "held", func(c *engine.KeyContext[string], in []int, emit func(string)) error {
			values.Append(c, in...)
			sum, _ := total.Get(c)
			total.Set(c, sum+in[0])
			c.SetTimer(c.BatchTime().Add(1))
			emit(fmt.Sprintf("%s: %d of %d", c.Key(), sum+in[0], values.Len(c)))
			return nil
		}, engine.Partitions(2), engine.Holds(total, values), engine.InitialVariables([]rdd.Pair[string, int]{rdd.KV("z", 7)}, func(c *engine.KeyContext[string], n int) error {
			total.Set(c, n)
			c.SetTimer(c.BatchTime().Add(1))
			return nil
		}), engine.OnTimer(func(c *engine.KeyContext[string], _ time.Time, emit func(string)) error {
			sum, _ := total.Get(c)
			emit(fmt.Sprintf("%s: %d at last", c.Key(), sum))
			return nil
		}))
		return sums.Union(held, engine.Map(window, func(kv rdd.Pair[string, int]) string { return fmt.Sprint(kv.Key, " in the window: ", kv.Value) }))
	}, "--conf", "checkpoint.interval=300ms")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range expected {
		if i >= len(r.Batches) {
			t.Fatalf("%d batches came out", len(r.Batches))
		}
		slices.Sort(want)
		slices.Sort(r.Batches[i])
		if !slices.Equal(r.Batches[i], want) {
			t.Fatalf("batch %d:\n got %q\nwant %q", i+1, r.Batches[i], want)
		}
	}
	done, err := os.ReadDir(marks.dir)
	if err != nil {
		t.Fatal(err)
	}
	killed, first := 0, batches
	for _, d := range done {
		if n, is := strings.CutPrefix(d.Name(), "then-"); is {
			batch, _ := strconv.Atoi(n)
			first = min(first, batch)
		} else {
			killed++
		}
	}
	if killed != len(kills) || first < 8 {
		t.Errorf("%d kills; after the first, batches from %d on were computed, it was in batch %d", killed, first, kills[0])
	}
}

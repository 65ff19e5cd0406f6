package enginetest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
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

// windows is a random program with windows over random batches, and what a run of it
// brought.
type windows struct {
	seed     uint64
	interval time.Duration
	input    [][]string
	shapes   []shape

	times []time.Time // of the batches
	seen  map[string]string
}

// shape is a window's length and slide, in intervals.
type shape struct{ length, slide int }

func newWindows(seed uint64, interval time.Duration, batches int) *windows {
	rnd := rand.New(rand.NewPCG(seed, 1))
	w := &windows{seed: seed, interval: interval, seen: make(map[string]string)}
	for range batches {
		batch := make([]string, rnd.IntN(6))
		for i := range batch {
			batch[i] = string(rune('a' + rnd.IntN(4)))
		}
		w.input = append(w.input, batch)
	}
	for range 4 {
		slide := 1 + rnd.IntN(4)
		w.shapes = append(w.shapes, shape{slide * (1 + rnd.IntN(9)), slide}, shape{1 + rnd.IntN(20), slide})
	}
	return w
}

// build declares the outputs: what each batch held, then the windows. before is called in
// tasks that read a batch, after on the driver when a batch was seen.
func (w *windows) build(ssc *engine.StreamingContext, before func(tc *task.Context), after func(b engine.Batch)) {
	in := at(enginetest.Queue(ssc, w.input, 2), func(tc *task.Context, _ int) { before(tc) })
	engine.ForEachBatch(in, func(b engine.Batch, rows []string) error {
		if b.Seq == uint64(len(w.times))+1 {
			w.times = append(w.times, b.Time)
		}
		after(b)
		return nil
	})
	marked := engine.Derive(in, "numbered", func(b engine.Batch, r *rdd.RDD[string]) *rdd.RDD[rdd.Pair[string, string]] {
		return rdd.Map(r, func(v string) rdd.Pair[string, string] { return rdd.KV(v, fmt.Sprintf("%d ", b.Seq)) })
	})
	for i, s := range w.shapes {
		length, slide := time.Duration(s.length)*w.interval, time.Duration(s.slide)*w.interval
		name := func(kind string) string { return fmt.Sprintf("%d: %s of %d by %d", i, kind, s.length, s.slide) }
		see(w, in.Window(length, slide).Named(name("w")), name("window"))
		see(w, engine.ReduceByKeyAndWindow(marked.Named(name("r")), func(a, b string) string { return a + b }, length, slide), name("reduce"))
		see(w, engine.CountByValueAndWindow(in.Named(name("c")), length, slide), name("count"))
	}
}

// see remembers what a stream brings.
func see[T any](w *windows, d *engine.DStream[T], output string) {
	engine.ForEachBatch(d.Named(output), func(b engine.Batch, rows []T) error {
		w.seen[fmt.Sprintf("%s at %d", output, b.Seq)] = sorted(rows)
		return nil
	})
}

// sorted returns rows in one line.
func sorted[T any](rows []T) string {
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = fmt.Sprintf("%+v", r)
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// check compares what was seen with what a search through all batches finds.
func (w *windows) check(t *testing.T) {
	t.Helper()
	windows := 0
	for i, s := range w.shapes {
		for seq, end := range w.times {
			due := end.Truncate(time.Duration(s.slide) * w.interval).Equal(end)
			begin := end.Add(-time.Duration(s.length) * w.interval)
			var all []string
			strings, counts := make(map[string]string), make(map[string]int64)
			for j, of := range w.times[:seq+1] {
				if of.After(begin) && j < len(w.input) {
					for _, v := range w.input[j] {
						all = append(all, v)
						strings[v] += fmt.Sprintf("%d ", j+1)
						counts[v]++
					}
				}
			}
			for kind, want := range map[string]string{"window": sorted(all), "reduce": sorted(pairsOf(strings)), "count": sorted(pairsOf(counts))} {
				place := fmt.Sprintf("%d: %s of %d by %d at %d", i, kind, s.length, s.slide, seq+1)
				got, ran := w.seen[place]
				if ran != due || due && got != want {
					t.Errorf("HIBANA_SEED=%d, %s (%s):\n got %q (%v)\nwant %q (%v)", w.seed, place, end, got, ran, want, due)
				}
				windows++
			}
		}
	}
	if windows == 0 {
		t.Error("there were no windows")
	}
}

func pairsOf[V any](m map[string]V) (pairs []rdd.Pair[string, V]) {
	for k, v := range m {
		pairs = append(pairs, rdd.KV(k, v))
	}
	return pairs
}

// Random windows hold what a search through the batches finds, in whatever order they
// slide: also where batches are late so that times are skipped, or between ticks.
func TestRandomWindows(t *testing.T) {
	seed, programs := programSeed(t)
	for i := range uint64(max(1, programs/3)) {
		of := seed + i
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(of, 2))
			args := []string{"--master", "local[2]", "--log-level", "error"}
			late, between := rnd.IntN(2) == 0, rnd.IntN(3) == 0
			if between {
				args = append(args, "--until-end")
			}
			w := newWindows(of, time.Second, 15+rnd.IntN(15))
			time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			err := engine.NewApp("test").Run(ctx, args, w.interval, func(ssc *engine.StreamingContext) error {
				w.build(ssc, func(*task.Context) {}, func(b engine.Batch) {
					if late && rnd.IntN(3) == 0 {
						time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
					}
				})
				ssc.AddListener(onCompleted(func(b engine.BatchInfo) {
					if b.Seq == uint64(len(w.input))+10 {
						ssc.Stop()
					}
				}))
				return nil
			})
			if err != nil || len(w.times) < len(w.input) {
				t.Fatalf("HIBANA_SEED=%d: %d batches; %v", of, len(w.times), err)
			}
			w.check(t)
		})
	}
}

type onCompleted func(engine.BatchInfo)

func (f onCompleted) OnBatchCompleted(b engine.BatchInfo) { f(b) }

// On executor processes too, of which some are killed in the middle with all that they
// had cached: those that take their places are told of the past that windows reach back to.
func TestWindowsOnKilledExecutors(t *testing.T) {
	seed, _ := programSeed(t)
	marks := newOnce(t)
	onExecutor := os.Getenv(role.Env) != ""
	w := newWindows(seed, enginetest.ClusterInterval, 40)
	kills := []uint64{9, 18, 27}
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		w.build(ssc, func(tc *task.Context) {
			if onExecutor && slices.Contains(kills, tc.Batch) && marks.first(fmt.Sprintf("kill-%d", tc.Batch)) {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}, func(b engine.Batch) {
			if b.Seq == uint64(len(w.input))+5 {
				ssc.Stop()
			}
		})
		return nil
	})
	if err != nil {
		t.Fatalf("HIBANA_SEED=%d: %v", seed, err)
	}
	w.check(t)
	if done, err := os.ReadDir(marks.dir); err != nil || len(done) < 2 {
		t.Errorf("%d of %d kills happened: %v", len(done), len(kills), err)
	}
}

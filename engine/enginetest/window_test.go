package enginetest_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
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

// shape is a window's length and slide, in intervals, and whether there is one with an inverse
// function, too, which is a state.
type shape struct {
	length, slide int
	inverse       bool
}

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
	for i := range 4 {
		slide := 1 + rnd.IntN(4)
		w.shapes = append(w.shapes, shape{slide * (1 + rnd.IntN(9)), slide, i == 0}, shape{1 + rnd.IntN(20), slide, false})
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
	numbered := engine.Map(marked, func(p rdd.Pair[string, string]) rdd.Pair[string, int] {
		n, _ := strconv.Atoi(strings.TrimSpace(p.Value))
		return rdd.KV(p.Key, n)
	})
	for i, s := range w.shapes {
		length, slide := time.Duration(s.length)*w.interval, time.Duration(s.slide)*w.interval
		name := func(kind string) string { return fmt.Sprintf("%d: %s of %d by %d", i, kind, s.length, s.slide) }
		see(w, in.Window(length, slide).Named(name("w")), name("window"))
		see(w, engine.ReduceByKeyAndWindow(marked.Named(name("r")), func(a, b string) string { return a + b }, length, slide), name("reduce"))
		see(w, engine.CountByValueAndWindow(in.Named(name("c")), length, slide), name("count"))
		if s.inverse {
			inverse := engine.ReduceByKeyAndWindowInverse(numbered.Named(name("i")), fmt.Sprint("inverse-", i), func(a, b int) int { return a + b }, func(a, b int) int { return a - b },
				length, slide, func(p rdd.Pair[string, int]) bool { return p.Value > 0 })
			see(w, inverse, name("inverse"))
		}
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
			strings, counts, sums := make(map[string]string), make(map[string]int64), make(map[string]int)
			for j, of := range w.times[:seq+1] {
				if of.After(begin) && j < len(w.input) {
					for _, v := range w.input[j] {
						all = append(all, v)
						strings[v] += fmt.Sprintf("%d ", j+1)
						counts[v]++
						sums[v] += j + 1
					}
				}
			}
			wanted := map[string]string{"window": sorted(all), "reduce": sorted(pairsOf(strings)), "count": sorted(pairsOf(counts))}
			if s.inverse {
				wanted["inverse"] = sorted(pairsOf(sums))
			}
			for kind, want := range wanted {
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
// slide: also where batches are late so that times are skipped, where they come one after
// the other until the end, and where they come as soon as possible, between the multiples of
// the interval.
func TestRandomWindows(t *testing.T) {
	seed, programs := programSeed(t)
	between := 0
	for i := range uint64(max(1, programs/3)) {
		of := seed + i
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(of, 2))
			args := []string{"--master", "local[2]", "--log-level", "error"}
			late, cadence := rnd.IntN(2) == 0, []string{"", "--until-end", "--asap"}[of%3]
			if cadence != "" {
				args = append(args, cadence)
			}
			w := newWindows(of, time.Second, 15+rnd.IntN(15))
			time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			err := engine.NewApp("test").Run(ctx, args, w.interval, func(ssc *engine.StreamingContext) error {
				if cadence == "--asap" {
					engine.ForEachBatch(engine.NewInput[int](ssc, "bell", bell(of)), func(engine.Batch, []int) error { return nil })
				}
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
			for _, at := range w.times {
				if !at.Truncate(w.interval).Equal(at) {
					between++
				}
			}
		})
	}
	if t.Logf("%d batches came between two multiples of the interval", between); between == 0 && programs >= 9 {
		t.Error("there were none")
	}
}

// bell is an input without records which says, at times that a seed chooses, that there may
// be some.
type bell uint64

// Open implements engine.Input.
func (b bell) Open(context.Context) (engine.Planner, error) {
	return &ringing{rnd: rand.New(rand.NewPCG(uint64(b), 3)), closed: make(chan struct{})}, nil
}

// Generate implements engine.Input.
func (b bell) Generate([]byte) (int, func(*task.Context, int) iter.Seq2[int, error], error) {
	return 0, nil, nil
}

// ringing is the planner of a bell.
type ringing struct {
	rnd    *rand.Rand
	rings  sync.WaitGroup
	closed chan struct{}
}

// Notify implements engine.Notifier.
func (r *ringing) Notify(ready func()) {
	r.rings.Go(func() {
		for {
			select {
			case <-time.After(time.Duration(1+r.rnd.IntN(800)) * time.Millisecond):
				ready()
			case <-r.closed:
				return
			}
		}
	})
}

// Plan implements engine.Planner.
func (r *ringing) Plan(context.Context, engine.PlanRequest) (engine.Plan, error) {
	return engine.Plan{Ranges: []byte{0}}, nil
}

// Completed implements engine.Planner.
func (r *ringing) Completed(context.Context, []byte) error { return nil }

// Close implements engine.Planner.
func (r *ringing) Close() error {
	close(r.closed)
	r.rings.Wait()
	return nil
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

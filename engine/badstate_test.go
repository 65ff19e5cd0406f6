package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/launch"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/state"
	"github.com/hibana-engine/hibana/rdd"
)

// stateJob is a job with a state, in a store and a log that outlive it.
type stateJob struct {
	store   *faultyStore
	address string
	log     plan.Log
	said    lockedBuffer
	out     map[uint64]string
}

func newStateJob(t *testing.T) *stateJob {
	store, address, forget := newFaultyStore()
	t.Cleanup(forget)
	log, err := launch.OpenLog("", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &stateJob{store: store, address: address, log: log, out: make(map[uint64]string)}
}

// count is the state's function: how often a key came.
func count(key string, _ *int, s *State[int]) (string, bool) {
	n, _ := s.Get()
	if s.IsTimingOut() {
		return key + " ends", true
	}
	s.Update(n + 1)
	return fmt.Sprint(key, n+1), true
}

// run runs the job until a batch is done. Each has the keys a to d.
func (j *stateJob) run(until uint64, f func(key string, value *int, s *State[int]) (string, bool), settings ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	a := NewApp("test")
	for _, s := range append(settings, "checkpoint.store="+j.address) {
		if err := a.opts.conf.Set(s); err != nil {
			return err
		}
	}
	job, err := a.newStream(time.Second, func(ssc *StreamingContext) error {
		input := make([][]rdd.Pair[string, int], 200)
		for i := range input {
			input[i] = []rdd.Pair[string, int]{rdd.KV("a", i), rdd.KV("b", i), rdd.KV("c", i), rdd.KV("d", i)}
		}
		ForEachBatch(MapWithState(QueueStream(ssc, input, 2), "counts", f, Partitions(2)), func(b Batch, rows []string) error {
			j.out[b.Seq] = strings.Join(rows, " ")
			if b.Seq >= until {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if err != nil {
		return err
	}
	job.Log, job.Stdout, job.Durable, job.Batches = slog.New(slog.NewTextHandler(&j.said, nil)), io.Discard, true, j.log
	return job.Run(ctx, ctx, &launch.Local{Slots: 2})
}

// files returns the keys of the store that end so, ascending.
func (j *stateJob) files(end string) []string {
	return j.store.names(func(key string) bool { return strings.HasSuffix(key, end) })
}

// A checkpoint that can't be read is given up for the one before it, loudly; if files of
// the one that is used are damaged the error names the file and says what to do.
func TestDamagedCheckpoint(t *testing.T) {
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 4; return b }
	for name, tt := range map[string]struct {
		spoil func(j *stateJob)
		says  string // of the error, "" if there is none
	}{
		"no manifest": {func(j *stateJob) { // nor that of the last batch, which nothing names
			j.store.remove(last(j.files(".manifest")))
			j.store.remove(last(j.files(".manifest")))
		}, ""},
		"manifest cut":     {func(j *stateJob) { j.spoil(last(j.files(".manifest")), cut) }, ""},
		"manifest flipped": {func(j *stateJob) { j.spoil(last(j.files(".manifest")), flip) }, ""},
		"manifest emptied": {func(j *stateJob) { j.store.put(last(j.files(".manifest")), nil) }, ""},
		"no state file":    {func(j *stateJob) { j.store.remove(last(j.files(".state"))) }, ""},
		"state cut":        {func(j *stateJob) { j.spoil(last(j.files(".state")), cut) }, ""},
		"state emptied":    {func(j *stateJob) { j.store.put(last(j.files(".state")), nil) }, ""},
		"state flipped":    {func(j *stateJob) { j.spoil(last(j.files(".state")), flip) }, "damaged"},
		"no state files": {func(j *stateJob) {
			for _, key := range j.files(".state") {
				j.store.remove(key)
			}
		}, "there is no such file"},
		"no manifests": {func(j *stateJob) {
			for _, key := range j.files(".manifest") {
				j.store.remove(key)
			}
		}, "with another --checkpoint directory, on a cluster without --resume"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newStateJob(t)
				if err := j.run(35, count); err != nil {
					t.Fatal(err)
				}
				tt.spoil(j)
				err := j.run(40, count)
				if tt.says == "" {
					if err != nil || j.out[40] != "a40 b40 c40 d40" && len(j.out[40]) != len("a40 b40 c40 d40") {
						t.Errorf("%v, batch 40: %q", err, j.out[40])
					}
					if said := j.said.String(); !strings.Contains(said, "a checkpoint of a state is lost") {
						t.Errorf("the log says %s", said)
					}
					return
				}
				for _, want := range []string{"counts", "put the file back", ".manifest", tt.says} {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%v\ndoesn't say %q", err, want)
					}
				}
				if strings.HasPrefix(name, "state") && !errors.Is(err, state.ErrDamaged) {
					t.Errorf("%v isn't ErrDamaged", err)
				}
			})
		})
	}
}

func last(s []string) string { return s[len(s)-1] }

// spoil changes what is in a file.
func (j *stateJob) spoil(key string, how func([]byte) []byte) {
	data, err := j.store.get(key)
	if err != nil {
		panic(err)
	}
	j.store.put(key, how(data))
}

// While there is no room for checkpoints a job goes on and says so; when there is, it
// catches up.
func TestNoRoomForCheckpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newStateJob(t)
		var full atomic.Bool
		j.store.on = func(o storeOp) error {
			if full.Load() && o.kind == "write" && !o.after {
				return syscall.ENOSPC
			}
			return nil
		}
		full.Store(true)
		f := func(key string, v *int, s *State[int]) (string, bool) {
			if *v == 60 {
				full.Store(false)
			}
			return count(key, v, s)
		}
		if err := j.run(100, f); err != nil {
			t.Fatal(err)
		}
		if said := j.said.String(); !strings.Contains(said, "a state can't be saved") || !strings.Contains(said, "no space left") || strings.Count(said, "\n") > 40 {
			t.Errorf("the log says %s", said)
		}
		if n := len(j.files(".manifest")); n < 2 || n > 6 {
			t.Errorf("%d manifests", n)
		}
		if err := j.run(105, count); err != nil || len(j.out[105]) != len("a105 b105 c105 d105") {
			t.Errorf("%v, batch 105: %q", err, j.out[105])
		}
	})
}

// A state that takes more memory than there is for states isn't dropped, and doesn't keep
// the job from going on: that is said once.
func TestStateLargerThanMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newStateJob(t)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		a := NewApp("test")
		for _, s := range []string{"checkpoint.store=" + j.address, "executor.memory=16m"} {
			if err := a.opts.conf.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		const batches, size = 30, 1 << 20
		var keys int
		job, err := a.newStream(time.Second, func(ssc *StreamingContext) error {
			input := make([][]rdd.Pair[int, string], batches)
			for i := range input {
				input[i] = []rdd.Pair[int, string]{rdd.KV(i, "x")}
			}
			grown := MapWithState(QueueStream(ssc, input, 2), "large", func(key int, v *string, s *State[string]) (int, bool) {
				s.Update(strings.Repeat(*v, size))
				return key, true
			}, Partitions(2))
			ForEachBatch(grown, func(Batch, []int) error { return nil })
			ForEachBatch(ReduceByKey(Map(StateSnapshots[int, string](ssc, "large"), func(kv rdd.Pair[int, string]) rdd.Pair[int, int] { return rdd.KV(0, len(kv.Value)/size) }), func(a, b int) int { return a + b }),
				func(b Batch, rows []rdd.Pair[int, int]) error {
					if b.Seq == batches {
						keys = rows[0].Value
						ssc.Stop()
					}
					return nil
				})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		job.Log, job.Stdout, job.Batches = slog.New(slog.NewTextHandler(&j.said, nil)), io.Discard, j.log
		if err := job.Run(ctx, ctx, &launch.Local{Slots: 2}); err != nil || keys != batches {
			t.Errorf("%v; %d keys", err, keys)
		}
		if n := strings.Count(j.said.String(), "the states of an executor take"); n != 1 {
			t.Errorf("it was said %d times: %s", n, j.said.String())
		}
	})
}

// A function of a state that ends its goroutine fails the job.
func TestStateFunctionEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newStateJob(t)
		err := j.run(10, func(key string, v *int, s *State[int]) (string, bool) {
			if key == "c" && *v == 3 {
				runtime.Goexit()
			}
			return count(key, v, s)
		})
		if err == nil || !strings.Contains(err.Error(), "runtime.Goexit") || !strings.Contains(err.Error(), "at engine/badstate_test.go:") {
			t.Errorf("%v", err)
		}
	})
}

// What a job with states and windows holds, in memory, in its log and in its store, stays
// as it is. HIBANA_BATCHES is for how many batches.
func TestStateHoldsFlat(t *testing.T) {
	batches := uint64(envNumber(t, "HIBANA_BATCHES", 900))
	synctest.Test(t, func(t *testing.T) {
		j := newStateJob(t)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		a := NewApp("test")
		for _, s := range []string{"checkpoint.store=" + j.address, "checkpoint.interval=5s", "streaming.stopGracefullyOnShutdown=false"} {
			if err := a.opts.conf.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		type books struct{ objects, files, past, pending, bytes int }
		var at []books
		job, err := a.newStream(time.Second, func(ssc *StreamingContext) error {
			in := Map(QueueStream(ssc, [][]rdd.Pair[string, int]{{rdd.KV("", 0)}}, 2), func(kv rdd.Pair[string, int]) rdd.Pair[string, int] { return kv })
			in = Transform(in, func(b Batch, r *rdd.RDD[rdd.Pair[string, int]]) *rdd.RDD[rdd.Pair[string, int]] {
				return r.Union(rdd.Parallelize(r.Context(), []rdd.Pair[string, int]{rdd.KV(fmt.Sprint(b.Seq%50), 1), rdd.KV("a", 1)}))
			})
			emitted := MapWithState(in, "counts", count, Partitions(2), Timeout(20*time.Second))
			ForEachBatch(emitted.Window(3*time.Second, time.Second), func(Batch, []string) error { return nil })
			ForEachBatch(ReduceByKeyAndWindowInverse(in, "window", func(a, b int) int { return a + b }, func(a, b int) int { return a - b }, 5*time.Second, 2*time.Second, nil, Partitions(2)),
				func(b Batch, rows []rdd.Pair[string, int]) error {
					if b.Seq%(batches/6) > 1 {
						return nil
					}
					runtime.GC()
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					s, err := j.log.Recover(ctx)
					size := 0
					for _, a := range s.Past {
						data, err := a.Encode()
						if err != nil {
							return err
						}
						size += len(data)
					}
					at = append(at, books{int(m.Mallocs - m.Frees), len(j.files("")), len(s.Past), len(s.Incomplete), size})
					if b.Seq >= batches {
						ssc.Stop()
					}
					return err
				})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		job.Log, job.Stdout, job.Durable, job.Batches = slog.New(slog.DiscardHandler), io.Discard, true, j.log
		if err := job.Run(ctx, ctx, &launch.Local{Slots: 2}); err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", at)
		early, late := at[1], at[len(at)-1]
		if late.objects > early.objects+early.objects/5 || late.files > early.files+40 || late.past > early.past+10 || late.pending > 2 || late.bytes > early.bytes*3/2 {
			t.Errorf("after a sixth of %d batches %+v, in the end %+v", batches, early, late)
		}
	})
}

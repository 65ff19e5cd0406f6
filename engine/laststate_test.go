package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/launch"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// endingSums runs sums over a queue until a batch, or its end for 0, and returns what the
// batches emitted and what was warned of. No state is saved on the way.
func endingSums(t *testing.T, dir, store string, until uint64, parts int, input ...[]rdd.Pair[string, int]) (out map[uint64]string, warned string, err error) {
	t.Helper()
	out = make(map[uint64]string)
	warned, err = endingJob(t, dir, store, until == 0, func(ssc *StreamingContext) error {
		ForEachBatch(bars(QueueStream(ssc, input, 2), "sums", parts), func(b Batch, rows []string) error {
			if slices.Sort(rows); len(rows) > 0 {
				out[b.Seq] = strings.Join(rows, " ")
			}
			if b.Seq == until {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	return out, warned, err
}

// bars emits the sum of each key of a batch, a bar for one.
func bars(in *DStream[rdd.Pair[string, int]], name string, parts int) *DStream[string] {
	return MapWithState(in, name, func(key string, value *int, s *State[int]) (string, bool) {
		sum, _ := s.Get()
		s.Update(sum + *value)
		return key + "=" + strings.Repeat("|", sum+*value), true
	}, Partitions(parts))
}

// endingJob runs a program until it stops, or to the end of its input, in virtual time.
func endingJob(t *testing.T, dir, store string, toEnd bool, build func(ssc *StreamingContext) error) (warned string, err error) {
	t.Helper()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		a := NewApp("sums")
		if err = errors.Join(a.opts.conf.Set("checkpoint.interval=10h"), a.opts.conf.Set("checkpoint.store="+store)); err != nil {
			return
		}
		var j *launch.Job
		if j, err = a.newStream(time.Second, build); err != nil {
			return
		}
		if toEnd {
			j.Cadence = plan.UntilEnd
		}
		if j.Batches, err = launch.OpenLog(dir, nil); err == nil {
			j.Log, j.Stdout, j.Durable = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), io.Discard, true
			err = j.Run(ctx, ctx, &launch.Local{Slots: 2})
		}
	})
	return log.String(), err
}

// A stream that ended goes on from the states that its last batch left: the records before
// aren't read again, they may be gone.
func TestStateIsSavedAtTheEnd(t *testing.T) {
	one := []rdd.Pair[string, int]{rdd.KV("a", 1), rdd.KV("b", 1)}
	gone := []rdd.Pair[string, int]{rdd.KV("gone", 1)} // what would be read in their place
	for name, ends := range map[string]bool{"stopped": false, "at the end": true} {
		t.Run(name, func(t *testing.T) {
			store, address, forget := newFaultyStore()
			defer forget()
			dir := t.TempDir()
			for _, run := range []struct {
				parts int // of the state
				input [][]rdd.Pair[string, int]
				last  string
			}{
				{2, [][]rdd.Pair[string, int]{one, one}, "a=|| b=||"},
				{2, [][]rdd.Pair[string, int]{gone, gone, one, one}, "a=|||| b=||||"},
				{3, [][]rdd.Pair[string, int]{gone, gone, gone, gone, one}, "a=||||| b=|||||"},
				{3, [][]rdd.Pair[string, int]{gone, gone, gone, gone, gone, one}, "a=|||||| b=||||||"},
			} {
				until := uint64(len(run.input)) // the batch after which it stops
				if ends {
					until = 0
				}
				out, warned, err := endingSums(t, dir, address, until, run.parts, run.input...)
				if err != nil || warned != "" {
					t.Fatal(err, warned)
				}
				last := slices.Max(slices.Collect(maps.Keys(out)))
				if out[last] != run.last {
					t.Errorf("%v ends otherwise than with %q", out, run.last)
				}
			}
			if manifests := store.names(func(key string) bool { return strings.HasSuffix(key, ".manifest") }); len(manifests) == 0 {
				t.Error("nothing was saved")
			}
		})
	}
}

// A stream whose states can't be saved at its end has ended well, with a warning; the next
// start computes them anew.
func TestStateIsNotSavedAtTheEnd(t *testing.T) {
	one := []rdd.Pair[string, int]{rdd.KV("a", 1)}
	for name, kind := range map[string]string{"files": ".state", "manifests": ".manifest"} {
		t.Run(name, func(t *testing.T) {
			store, address, forget := newFaultyStore()
			defer forget()
			dir := t.TempDir()
			store.on = func(o storeOp) error {
				if o.kind == "write" && strings.HasSuffix(o.key, kind) {
					return errors.New("the store is full")
				}
				return nil
			}
			_, warned, err := endingSums(t, dir, address, 0, 2, one, one)
			if err != nil || strings.Count(warned, "level=") != 1 || !strings.Contains(warned, "state sums") || !strings.Contains(warned, "the store is full") {
				t.Fatal(err, warned)
			}
			store.on = nil
			out, warned, err := endingSums(t, dir, address, 0, 2, one, one, one)
			if err != nil || warned != "" || !slices.Contains(slices.Collect(maps.Values(out)), "a=|||") {
				t.Error(out, err, warned)
			}
		})
	}
}

// The last checkpoint of a stream that ended is damaged: the next start says so and
// computes the batches since the one before anew.
func TestLastCheckpointIsDamaged(t *testing.T) {
	one := []rdd.Pair[string, int]{rdd.KV("a", 1)}
	store, address, forget := newFaultyStore()
	defer forget()
	dir := t.TempDir()
	if _, warned, err := endingSums(t, dir, address, 0, 2, one, one); err != nil || warned != "" {
		t.Fatal(err, warned)
	}
	for _, name := range store.names(func(key string) bool { return strings.HasSuffix(key, ".state") }) {
		store.remove(name)
	}
	out, warned, err := endingSums(t, dir, address, 0, 2, one, one, one)
	if err != nil || !strings.Contains(warned, "a checkpoint of a state is lost") || out[slices.Max(slices.Collect(maps.Keys(out)))] != "a=|||" {
		t.Error(out, err, warned)
	}
}

// A state that takes too long to be saved at the end doesn't cost another one its own.
func TestOneStateIsNotSavedAtTheEnd(t *testing.T) {
	one := [][]rdd.Pair[string, int]{{rdd.KV("a", 1)}}
	store, address, forget := newFaultyStore()
	defer forget()
	store.on = func(o storeOp) error {
		if o.kind == "write" && strings.Contains(o.key, "slow") {
			time.Sleep(time.Minute)
		}
		return nil
	}
	warned, err := endingJob(t, t.TempDir(), address, true, func(ssc *StreamingContext) error {
		in := QueueStream(ssc, one, 1)
		ForEachBatch(bars(in, "quick", 1).Union(bars(in, "slow", 1)), func(Batch, []string) error { return nil })
		return nil
	})
	if err != nil || !strings.Contains(warned, "state slow: ") || !strings.Contains(warned, "it took longer than 30s") || strings.Contains(warned, "state quick") {
		t.Error(warned, err)
	}
	saved := store.names(func(key string) bool { return strings.HasSuffix(key, ".manifest") })
	if len(saved) != 1 || !strings.Contains(saved[0], "quick") {
		t.Errorf("manifests %v", saved)
	}
}

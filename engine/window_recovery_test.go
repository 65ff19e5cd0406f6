package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// windowed declares outputs of windows of each kind and hands what comes of them to at:
// the output's name, the batch and its rows, sorted.
func windowed(ssc *engine.StreamingContext, in *engine.DStream[int], at func(output string, b engine.Batch, rows string) error) {
	plus := func(a, b int) int { return a + b }
	byParity := engine.Map(in, func(v int) rdd.Pair[int, int] { return rdd.KV(v%2, v) })
	report(engine.Map(in.Window(3*time.Second, time.Second), double), "window", at)
	report(in.Window(2*time.Second, 2*time.Second), "tumbling", at)
	report(in.Window(2*time.Second, time.Second).Window(4*time.Second, 2*time.Second), "nested", at)
	report(engine.ReduceByKeyAndWindow(byParity, plus, 3*time.Second, time.Second), "reduceByKeyAndWindow", at)
	report(engine.ReduceByKeyAndWindow(byParity, plus, 6*time.Second, 2*time.Second), "longer reduceByKeyAndWindow", at)
	report(engine.CountByWindow(in, 4*time.Second, 2*time.Second), "countByWindow", at)
}

// report hands what a stream brings to at.
func report[T any](d *engine.DStream[T], output string, at func(output string, b engine.Batch, rows string) error) {
	engine.ForEachBatch(d, func(b engine.Batch, rows []T) error {
		lines := make([]string, len(rows))
		for i, r := range rows {
			lines[i] = fmt.Sprint(r)
		}
		slices.Sort(lines)
		return at(output, b, fmt.Sprint(lines))
	})
}

// stopper stops runs of a program once at each place, and remembers what all of them
// brought.
type stopper struct {
	t       *testing.T
	how     func(cancel func(), record func()) error
	stopped map[string]bool
	seen    map[string]string
}

// at is what an output calls: a batch that is repeated brings the same again.
func (s *stopper) at(cancel func()) func(output string, b engine.Batch, rows string) error {
	return func(output string, b engine.Batch, rows string) error {
		place := fmt.Sprintf("%s of batch %d", output, b.Seq)
		record := func() {
			if before, again := s.seen[place]; again && before != rows {
				s.t.Errorf("%s: %s, before it was %s", place, rows, before)
			}
			s.seen[place] = rows
		}
		if s.how == nil || s.stopped[place] {
			record()
			return nil
		}
		s.stopped[place] = true
		return s.how(cancel, record)
	}
}

// all runs the program again and again until it has completed so many batches.
func (s *stopper) all(batches uint64) {
	dir := s.t.TempDir()
	for complete := false; !complete; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := engine.NewApp("test").Run(ctx, []string{"--log-level", "error", "--checkpoint", dir}, time.Second, func(ssc *engine.StreamingContext) error {
			input := [][]int{{1, 2}, {3}, {}, {4, 5, 6}, {7}, {8}, {9, 10}, {11}, {12}}
			windowed(ssc, enginetest.Queue(ssc, input, 2), s.at(cancel))
			ssc.AddListener(onCompleted(func(b engine.BatchInfo) {
				if b.Seq == batches {
					complete = true
					ssc.Stop()
				}
			}))
			return nil
		})
		late := ctx.Err() != nil && context.Cause(ctx) == context.DeadlineExceeded
		cancel()
		if late || err != nil && !errors.Is(err, errStopped) {
			s.t.Fatal(err)
		}
	}
}

var errStopped = errors.New("stopped by the test")

type onCompleted func(engine.BatchInfo)

func (f onCompleted) OnBatchCompleted(b engine.BatchInfo) { f(b) }

// A program with windows that is stopped in each output of each batch and started again
// brings what it would have brought otherwise.
func TestWindowsRecover(t *testing.T) {
	const batches = 12
	var want map[string]string
	for _, c := range []struct {
		name string
		how  func(cancel func(), record func()) error
	}{
		{"never", nil},
		{"before the output", func(func(), func()) error { return errStopped }},
		{"after the output", func(_ func(), record func()) error { record(); return errStopped }},
		{"when others are planned", func(func(), func()) error { time.Sleep(2500 * time.Millisecond); return errStopped }},
		{"asked to stop", func(cancel func(), record func()) error { record(); cancel(); return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := stopper{t: t, how: c.how, stopped: make(map[string]bool), seen: make(map[string]string)}
				s.all(batches)
				if want == nil {
					want = s.seen
				}
				for place, rows := range want {
					if got, ok := s.seen[place]; !ok || got != rows {
						t.Errorf("%s: %q, want %q", place, got, rows)
					}
				}
				if c.how != nil && len(s.stopped) < 4*batches {
					t.Errorf("only %d stops", len(s.stopped))
				}
			})
		})
	}
}

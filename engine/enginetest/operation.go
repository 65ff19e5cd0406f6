package enginetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
)

// Interval is the time between two batches of an Operation, in virtual time.
const Interval = time.Second

// Operation feeds input, one slice a batch in two partitions, through op and
// compares what comes out of each batch with expected. The order within a batch
// doesn't count: partitions have none. op runs as a build function does. args are flags of the
// engine, and what [Disturb] returns, as they are of all that this package runs.
func Operation[T, U any](t *testing.T, input [][]T, op func(*engine.DStream[T]) *engine.DStream[U], expected [][]U, args ...string) {
	t.Helper()
	got, err := Run(t, input, max(len(input), len(expected)), op, args...)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, expected)
}

// Stream runs a stream in virtual time, a batch each Interval, until it stops, fails, or a minute
// is over. args are flags of the engine.
func Stream(t *testing.T, build engine.BuildFunc, args ...string) error {
	t.Helper()
	return stream(t, time.Minute, build, args...)
}

// stream is Stream for so long at most.
func stream(t *testing.T, patience time.Duration, build engine.BuildFunc, args ...string) (err error) {
	t.Helper()
	d, flags := flagsOf(t, "local[2]", args)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err = engine.NewApp(t.Name()).Run(d.in(ctx), flags, Interval, build)
	})
	d.report(t)
	return err
}

// Run feeds input through op for the given number of batches, in virtual time,
// and returns what came out of each: nil where the output didn't run, since the stream
// slides. args are flags of the engine.
func Run[T, U any](t *testing.T, input [][]T, batches int, op func(*engine.DStream[T]) *engine.DStream[U], args ...string) (out [][]U, err error) {
	t.Helper()
	out = make([][]U, batches)
	err = stream(t, time.Duration(batches+60)*Interval, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(op(Queue(ssc, input, 2)), func(b engine.Batch, rows []U) error {
			if b.Seq <= uint64(batches) {
				out[b.Seq-1] = rows
			}
			return nil
		})
		ssc.AddListener(stopAt{ssc, uint64(batches)})
		return nil
	}, args...)
	return out, err
}

// stopAt stops a stream when a batch is complete.
type stopAt struct {
	ssc   *engine.StreamingContext
	batch uint64
}

// OnBatchCompleted implements [engine.OnBatchCompleted].
func (s stopAt) OnBatchCompleted(b engine.BatchInfo) {
	if b.Seq == s.batch {
		s.ssc.Stop()
	}
}

// lines formats rows for comparison, sorted.
func lines[T any](rows []T) []string {
	s := make([]string, len(rows))
	for i, r := range rows {
		s[i] = fmt.Sprintf("%+v", r)
	}
	slices.SortFunc(s, cmp.Compare)
	return s
}

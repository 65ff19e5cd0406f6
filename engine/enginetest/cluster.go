package enginetest

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd/task"
)

// ClusterInterval is the time between two batches on a cluster, in real time.
const ClusterInterval = 50 * time.Millisecond

// clusterPatience bounds a run on a cluster.
const clusterPatience = time.Minute

// Result is what a run on a cluster brought.
type Result[U any] struct {
	Batches [][]U        // what came out of each batch, of those that were asked for
	Metrics task.Metrics // of these batches together
}

// ClusterOperation is Operation on two executor processes with one slot each,
// which are started from the test's own binary, in real time.
func ClusterOperation[T, U any](t *testing.T, input [][]T, op func(*engine.DStream[T]) *engine.DStream[U], expected [][]U, args ...string) {
	t.Helper()
	r, err := RunOnCluster(t, input, max(len(input), len(expected)), op, args...)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, r.Batches, expected)
}

// RunOnCluster is Run on executor processes. The processes run the same test
// function up to this call, so what stands before it is done in each of them,
// and a test calls it once. args may choose another --master than
// local-cluster[2,1].
func RunOnCluster[T, U any](t *testing.T, input [][]T, batches int, op func(*engine.DStream[T]) *engine.DStream[U], args ...string) (r Result[U], err error) {
	t.Helper()
	return runOnCluster(context.Background(), t, input, batches, op, args...)
}

// runOnCluster is RunOnCluster for processes that run in ctx.
func runOnCluster[T, U any](ctx context.Context, t *testing.T, input [][]T, batches int, op func(*engine.DStream[T]) *engine.DStream[U], args ...string) (r Result[U], err error) {
	t.Helper()
	err = streamOnCluster(ctx, t, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(completed(func(b engine.BatchInfo) {
			if b.Seq <= uint64(batches) {
				r.Metrics.Add(b.Metrics)
			}
		}))
		engine.ForEachBatch(op(Queue(ssc, input, 2)), func(b engine.Batch, rows []U) error {
			if b.Seq == uint64(len(r.Batches))+1 && b.Seq <= uint64(batches) {
				r.Batches = append(r.Batches, rows)
			}
			if b.Seq >= uint64(batches) {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}, args...)
	return r, err
}

// OnCluster runs a program, a batch each [ClusterInterval], until it stops, fails, or a minute is
// over, on executor processes that are started from the test's own binary: they run the same test
// function up to this call. In them it doesn't return.
func OnCluster(t *testing.T, build engine.BuildFunc, args ...string) error {
	t.Helper()
	return streamOnCluster(context.Background(), t, build, args...)
}

func streamOnCluster(ctx context.Context, t *testing.T, build engine.BuildFunc, args ...string) error {
	t.Helper()
	return onCluster(ctx, t, args, func(ctx context.Context, app *engine.App, args []string) error {
		return app.Run(ctx, args, ClusterInterval, build)
	})
}

// onCluster has run run an app on executor processes.
func onCluster(ctx context.Context, t *testing.T, args []string, run func(ctx context.Context, app *engine.App, args []string) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	d, flags := flagsOf(t, "local-cluster[2,1]", args)
	app := engine.NewApp(t.Name())
	app.ChildArgs("-test.run="+pattern(t.Name()), "-test.count=1", "-test.timeout=5m")
	err := run(d.in(ctx), app, flags)
	if os.Getenv(role.Env) != "" { // an executor process, at its end
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(engine.ExitFailed)
		}
		os.Exit(engine.ExitOK)
	}
	d.report(t)
	return err
}

// pattern returns the -test.run that chooses one test or subtest.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// completed is a listener.
type completed func(engine.BatchInfo)

// OnBatchCompleted calls the function.
func (f completed) OnBatchCompleted(b engine.BatchInfo) { f(b) }

// compare compares batches without regard to the order in them.
func compare[U any](t *testing.T, got, expected [][]U) {
	t.Helper()
	if len(got) != len(expected) {
		t.Fatalf("%d batches came out, %d were expected", len(got), len(expected))
	}
	for i := range expected {
		if g, w := lines(got[i]), lines(expected[i]); !slices.Equal(g, w) {
			t.Errorf("batch %d:\n got %s\nwant %s", i+1, strings.Join(g, " "), strings.Join(w, " "))
		}
	}
}

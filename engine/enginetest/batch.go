package enginetest

import (
	"context"
	"os"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// Batch runs a batch program in virtual time, in local mode. args may choose another
// --master than local[2].
func Batch(t *testing.T, program engine.BatchFunc, args ...string) (err error) {
	t.Helper()
	d, flags := flagsOf(t, "local[2]", args)
	synctest.Test(t, func(t *testing.T) {
		err = engine.NewApp(t.Name()).RunBatch(d.in(t.Context()), flags, program)
	})
	d.report(t)
	return err
}

// BatchOnCluster is [OnCluster] for a batch program.
func BatchOnCluster(t *testing.T, program engine.BatchFunc, args ...string) error {
	t.Helper()
	return onCluster(context.Background(), t, args, func(ctx context.Context, app *engine.App, args []string) error {
		return app.RunBatch(ctx, args, program)
	})
}

// BatchResult runs a batch program that has a result in local mode and on two executor
// processes, as [Batch] and [BatchOnCluster] do. The test ends there unless both bring the
// same, which is returned. args go for both, so they choose no --master.
func BatchResult[T any](t *testing.T, program func(sc *rdd.Context) (T, error), args ...string) T {
	t.Helper()
	var local, cluster T
	into := func(result *T) engine.BatchFunc {
		return func(sc *rdd.Context) error {
			v, err := program(sc)
			sc.OnDriver(func() error { *result = v; return nil })
			return err
		}
	}
	if os.Getenv(role.Env) == "" { // not in an executor process
		if err := Batch(t, into(&local), args...); err != nil {
			t.Fatalf("local mode: %v", err)
		}
	}
	if err := BatchOnCluster(t, into(&cluster), args...); err != nil {
		t.Fatalf("executor processes: %v", err)
	}
	if !reflect.DeepEqual(local, cluster) {
		t.Fatalf("local mode brought %+v, executor processes %+v", local, cluster)
	}
	return local
}

package enginetest

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/hibana-engine/hibana/engine"
)

// Batch runs a batch program in virtual time, in local mode. args may choose another
// --master than local[2].
func Batch(t *testing.T, program engine.BatchFunc, args ...string) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		args := append([]string{"--master", "local[2]", "--log-level", "error"}, args...)
		err = engine.NewApp(t.Name()).RunBatch(t.Context(), args, program)
	})
	return err
}

// BatchOnCluster is [OnCluster] for a batch program.
func BatchOnCluster(t *testing.T, program engine.BatchFunc, args ...string) error {
	t.Helper()
	return onCluster(t, args, func(ctx context.Context, app *engine.App, args []string) error {
		return app.RunBatch(ctx, args, program)
	})
}

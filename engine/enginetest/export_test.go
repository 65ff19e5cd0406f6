package enginetest

import (
	"context"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/internal/faults"
)

// RunDisturbed is RunOnCluster on executor processes that are disturbed.
func RunDisturbed[T, U any](t *testing.T, f faults.Faults, input [][]T, batches int, op func(*engine.DStream[T]) *engine.DStream[U], args ...string) (Result[U], error) {
	t.Helper()
	return runOnCluster(faults.With(context.Background(), f), t, input, batches, op, args...)
}

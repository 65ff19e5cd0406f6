package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/modelstore"
)

// quickModel is textModel without the time that loading takes.
func quickModel(ssc *engine.StreamingContext, name, carried string) *engine.Model[string] {
	return engine.NewModel(ssc, name, []byte(carried), func(file []byte) (string, error) {
		if strings.HasPrefix(string(file), "bad") {
			return "", errBadModel
		}
		return string(file), nil
	})
}

// Executor processes load a version before batches use it; one that they can't
// load is refused with their reason, and a rollback goes back.
func TestSwapOnExecutorProcesses(t *testing.T) {
	var seen []string
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		m := quickModel(ssc, "m", "one")
		batch := make(chan string, 100) // the versions that batches saw
		// await returns when a batch has seen a version.
		await := func(ctx context.Context, version string) {
			for {
				select {
				case v := <-batch:
					if v == version {
						return
					}
				case <-ctx.Done():
					t.Errorf("no batch saw version %q", version)
					return
				}
			}
		}
		ssc.DriverTask("publish", func(ctx context.Context) error {
			defer ssc.Stop()
			await(ctx, "one")
			if digest, err := m.Publish(ctx, []byte("two")); err != nil || digest != modelstore.Digest([]byte("two")) {
				t.Errorf("%s, %v", digest, err)
			}
			await(ctx, "two")
			for range 2 { // it is tried again when it is published again
				if _, err := m.Publish(ctx, []byte("bad")); err == nil || !strings.Contains(err.Error(), errBadModel.Error()) || !strings.Contains(err.Error(), "executor-") {
					t.Errorf("publishing a bad version: %v", err)
				}
			}
			if _, err := m.Publish(ctx, []byte("three")); err != nil {
				t.Error(err)
			}
			await(ctx, "three")
			if digest, err := m.Rollback(ctx, ""); err != nil || digest != modelstore.Digest([]byte("two")) {
				t.Errorf("%s, %v", digest, err)
			}
			await(ctx, "two")
			return nil
		})
		engine.ForEachBatch(versionsIn(endless(ssc), m), func(_ engine.Batch, rows []string) error {
			for _, v := range rows {
				batch <- v
			}
			seen = append(seen, rows...)
			return nil
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Compact(seen), []string{"one", "two", "three", "two"}; !slices.Equal(got, want) {
		t.Errorf("batches saw %v, want %v", got, want)
	}
}

// endless is a stream of an element in each of two partitions a batch, for as
// long as a test may run.
func endless(ssc *engine.StreamingContext) *engine.DStream[int] {
	return enginetest.Queue(ssc, slices.Repeat([][]int{{1, 2}}, int(time.Minute/enginetest.ClusterInterval)), 2)
}

// What a batch teaches on executor processes is the version of the next one.
func TestUpdateModelOnExecutorProcesses(t *testing.T) {
	var r recorder
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		m := quickModel(ssc, "m", "0")
		learn(ssc, m)
		r.watch(versions(ssc, m), 6)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.expect(t, "1 0", "2 0 1", "3 0 1 2", "4 0 1 2", "5 0 1 2 4", "6 0 1 2 4 5")
}

package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/rdd"
)

// publishing runs a batch program that publishes a version of model m, which it makes in
// a task.
func publishing(ctx context.Context, t *testing.T, store, version string) error {
	args := []string{"--master", "local[2]", "--log-level", "error", "--conf", "models.store=" + store}
	return engine.NewApp("train").RunBatch(ctx, args, func(sc *rdd.Context) error {
		made, err := rdd.Collect(rdd.Map(rdd.Parallelize(sc, []string{version}, rdd.Partitions(1)), strings.ToLower))
		if err != nil {
			return err
		}
		digest, err := engine.PublishModel(sc, "m", []byte(made[0]))
		if err == nil && digest != modelstore.Digest([]byte(made[0])) {
			t.Errorf("published %s", digest)
		}
		return err
	})
}

// A stream that starts after a batch program has published a version uses that from its
// first batch on; one that comes while it runs is brought in beside the batches; one
// that can't be loaded changes nothing.
func TestFollow(t *testing.T) {
	store := t.TempDir()
	var r recorder
	synctest.Test(t, func(t *testing.T) {
		if err := publishing(t.Context(), t, store, "TWO"); err != nil {
			t.Fatal(err)
		}
	})
	err := run(t, func(ssc *engine.StreamingContext) error {
		m := textModel(ssc, "m", "one")
		m.Follow(1500 * time.Millisecond)
		ssc.DriverTask("train", func(ctx context.Context) error {
			for _, version := range []string{"BAD", "THREE"} {
				if err := publishing(ctx, t, store, version); err != nil {
					return err
				}
				time.Sleep(5 * time.Second)
			}
			return nil
		})
		r.watch(versions(ssc, m), 12)
		return nil
	}, "--conf", "models.store="+store)
	if err != nil {
		t.Fatal(err)
	}
	seen := strings.Join(r.seen, "; ")
	if strings.Contains(seen, "one") || strings.Contains(seen, "bad") || !strings.HasPrefix(seen, "1 two; 2 two; ") || !strings.HasSuffix(seen, "; 12 three") {
		t.Errorf("batches saw %s", seen)
	}
	if r.worst > 50*time.Millisecond {
		t.Errorf("a batch was complete %s after its time", r.worst)
	}
}

// A version that was rolled back from stays away, also when the stream is started again.
func TestFollowAfterARollback(t *testing.T) {
	store, checkpoint := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		if err := publishing(t.Context(), t, store, "two"); err != nil {
			t.Fatal(err)
		}
	})
	for _, last := range []uint64{4, 8} {
		var r recorder
		err := run(t, func(ssc *engine.StreamingContext) error {
			m := textModel(ssc, "m", "one")
			m.Follow(100 * time.Millisecond)
			ssc.DriverTask("back", func(ctx context.Context) error {
				if last == 4 {
					_, err := m.Rollback(ctx, "")
					return err
				}
				return nil
			})
			r.watch(versions(ssc, m), last)
			return nil
		}, "--conf", "models.store="+store, "--checkpoint", checkpoint)
		if seen := r.seen[len(r.seen)-1]; err != nil || !strings.HasSuffix(seen, " one") {
			t.Errorf("the last batch saw %s; %v", seen, err)
		}
	}
}

// What is missing is said, with the place.
func TestPublishingWithoutAStore(t *testing.T) {
	err := runBatch(t, func(sc *rdd.Context) error {
		_, err := engine.PublishModel(sc, "m", []byte("x"))
		return err
	})
	if !errors.Is(err, engine.ErrNoModelStore) || !strings.Contains(err.Error(), "publishModel m at engine/follow_test.go:") {
		t.Error(err)
	}
	for name, says := range map[string]string{"m": "the file of the version is empty", "../m": "not a model's name"} {
		err = runBatch(t, func(sc *rdd.Context) error {
			file := []byte("x")
			if name == "m" {
				file = nil
			}
			_, err := engine.PublishModel(sc, name, file)
			return err
		}, "--conf", "models.store="+t.TempDir())
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	err = run(t, func(ssc *engine.StreamingContext) error {
		m := textModel(ssc, "m", "one")
		m.Follow(time.Second)
		versions(ssc, m).Print(1)
		return nil
	})
	if !errors.Is(err, engine.ErrNoModelStore) || !strings.Contains(err.Error(), "model m follows") {
		t.Error(err)
	}
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/rdd"
)

// loadTime is how long it takes, in virtual time, to load a version.
const loadTime = 2501 * time.Millisecond // no tick comes at the same moment

var errBadModel = errors.New("layer fc1 holds a NaN")

// textModel declares a model whose versions are texts. Those that begin with
// "bad" can't be loaded.
func textModel(ssc *engine.StreamingContext, name, carried string) *engine.Model[string] {
	return engine.NewModel(ssc, name, []byte(carried), func(file []byte) (string, error) {
		time.Sleep(loadTime)
		if strings.HasPrefix(string(file), "bad") {
			return "", errBadModel
		}
		return string(file), nil
	})
}

// versions declares a stream of one element for each batch: the versions of the
// models that its task saw, and whether they are those of the allocation.
func versions(ssc *engine.StreamingContext, models ...*engine.Model[string]) *engine.DStream[string] {
	return versionsIn(ticks(ssc), models...)
}

// versionsIn is versions of the batches of a stream, as often as that has elements.
func versionsIn(d *engine.DStream[int], models ...*engine.Model[string]) *engine.DStream[string] {
	return engine.Derive(d, "versions", func(b engine.Batch, r *rdd.RDD[int]) *rdd.RDD[string] {
		return rdd.TryMapPartitions(r, func(part rdd.Part, in iter.Seq2[int, error]) iter.Seq2[string, error] {
			tc := part.Task()
			return func(yield func(string, error) bool) {
				var seen []string
				for _, m := range models {
					v, err := m.At(tc, b)
					if err == nil && modelstore.Digest([]byte(v)) != b.Model(m.Name()) {
						err = fmt.Errorf("batch %d runs with %q", b.Seq, v)
					}
					if err != nil {
						yield("", err)
						return
					}
					seen = append(seen, v)
				}
				for range in {
					if !yield(strings.Join(seen, "+"), nil) {
						return
					}
				}
			}
		})
	})
}

// ticks is a stream of one element a batch.
func ticks(ssc *engine.StreamingContext) *engine.DStream[int] {
	one := make([][]int, 40)
	for i := range one {
		one[i] = []int{i + 1}
	}
	return enginetest.Queue(ssc, one, 1)
}

// recorder notes which versions batches saw and how late they were.
type recorder struct {
	seen  []string // "SEQ VERSION"
	worst time.Duration
}

func (r *recorder) OnBatchCompleted(b engine.BatchInfo) { r.worst = max(r.worst, b.TotalDelay) }

// watch notes the batches of a stream of versions and stops after the last.
func (r *recorder) watch(d *engine.DStream[string], last uint64) {
	ssc := d.Context()
	ssc.AddListener(r)
	engine.ForEachBatch(d, func(b engine.Batch, rows []string) error {
		r.seen = append(r.seen, fmt.Sprintf("%d %s", b.Seq, strings.Join(rows, ",")))
		if b.Seq == last {
			ssc.Stop()
		}
		return nil
	})
}

func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(r.seen, "; "); got != strings.Join(want, "; ") {
		t.Errorf("\n got %s\nwant %s", got, strings.Join(want, "; "))
	}
}

// A version takes two and a half intervals to load. No batch waits for it; the
// first that is planned when it is warm uses it. A version that can't be loaded
// changes nothing.
func TestSwapDelaysNoBatch(t *testing.T) {
	var r recorder
	err := run(t, func(ssc *engine.StreamingContext) error {
		m, other := textModel(ssc, "m", "one"), textModel(ssc, "other", "same")
		ssc.DriverTask("publish", func(ctx context.Context) error {
			if digest, err := m.Publish(ctx, []byte("two")); err != nil || digest != modelstore.Digest([]byte("two")) {
				t.Errorf("%s, %v", digest, err)
			}
			if _, err := m.Publish(ctx, []byte("bad")); !errors.Is(err, errBadModel) || !strings.Contains(err.Error(), "model m") {
				t.Errorf("publishing a bad version: %v", err)
			}
			if _, err := m.Publish(ctx, []byte("three")); err != nil {
				t.Error(err)
			}
			return nil
		})
		r.watch(versions(ssc, m, other), 10)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.expect(t, "1 one+same", "2 one+same", "3 one+same", "4 two+same", "5 two+same", "6 two+same", "7 two+same", "8 two+same", "9 three+same", "10 three+same")
	if r.worst > 50*time.Millisecond {
		t.Errorf("a batch was complete %s after its time", r.worst)
	}
}

func TestRollback(t *testing.T) {
	dir := t.TempDir()
	digest := func(s string) string { return modelstore.Digest([]byte(s)) }
	// seenBy runs a script beside a stream and returns the versions in the
	// order in which batches saw them.
	seenBy := func(script func(ctx context.Context, m *engine.Model[string])) []string {
		var seen []string
		if err := run(t, func(ssc *engine.StreamingContext) error {
			m := textModel(ssc, "m", "one")
			ssc.DriverTask("script", func(ctx context.Context) error {
				script(ctx, m)
				time.Sleep(2 * time.Second) // of virtual time, for a batch with the last version
				ssc.Stop()
				return nil
			})
			engine.ForEachBatch(versions(ssc, m), func(_ engine.Batch, rows []string) error {
				seen = append(seen, rows...)
				return nil
			})
			return nil
		}, "--checkpoint", dir, "--conf", "models.retained=2"); err != nil {
			t.Fatal(err)
		}
		return slices.Compact(seen)
	}
	back := func(ctx context.Context, m *engine.Model[string], to, want string) {
		t.Helper()
		time.Sleep(time.Second) // so that a batch sees the version before
		if got, err := m.Rollback(ctx, to); err != nil || got != digest(want) {
			t.Errorf("went back to %.12s, %v; want %q", got, err, want)
		}
	}
	seen := seenBy(func(ctx context.Context, m *engine.Model[string]) {
		if _, err := m.Rollback(ctx, ""); !errors.Is(err, engine.ErrNoVersion) {
			t.Errorf("nothing to go back to: %v", err)
		}
		for _, v := range []string{"two", "three", "four"} {
			if _, err := m.Publish(ctx, []byte(v)); err != nil {
				t.Error(err)
			}
		}
		if _, err := m.Rollback(ctx, digest("never")); !errors.Is(err, engine.ErrNoVersion) || !strings.Contains(err.Error(), "publish its file") {
			t.Errorf("a version that never was: %v", err)
		}
		back(ctx, m, "", "three")
	})
	if want := []string{"one", "two", "three", "four", "three"}; !slices.Equal(seen, want) {
		t.Errorf("batches saw %v, want %v", seen, want)
	}
	// A restart changes nothing: from three it goes on to what was before it, not
	// to four, which was rolled back from and has to be asked for.
	seen = seenBy(func(ctx context.Context, m *engine.Model[string]) {
		back(ctx, m, "", "two")
		if got, err := m.Rollback(ctx, ""); !errors.Is(err, engine.ErrNoVersion) {
			t.Errorf("one was given up when four came, yet it went back to %.12s, %v", got, err)
		}
		back(ctx, m, digest("four")[:6], "four")
		back(ctx, m, "", "two") // which was current before four was
		back(ctx, m, digest("one")[:6], "one")
	})
	if want := []string{"three", "two", "four", "two", "one"}; !slices.Equal(seen, want) {
		t.Errorf("after the restart batches saw %v, want %v", seen, want)
	}
	if files := storedVersions(t, dir); len(files) != 3 { // one, and two that were left last
		t.Errorf("the store keeps %d versions: %v", len(files), files)
	}
}

// What can't be a version is refused before anything is stored, and after the
// stream's end nothing is published.
func TestPublishRefuses(t *testing.T) {
	err := run(t, func(ssc *engine.StreamingContext) error {
		m := textModel(ssc, "m", "one")
		ssc.DriverTask("publish", func(ctx context.Context) error {
			for _, file := range [][]byte{nil, {}} {
				if _, err := m.Publish(ctx, file); !errors.Is(err, engine.ErrEmptyModel) {
					t.Errorf("publishing an empty file: %v", err)
				}
			}
			ssc.Stop()
			return nil
		})
		ssc.OnStop(func(ctx context.Context) error {
			if _, err := m.Publish(ctx, []byte("two")); !errors.Is(err, engine.ErrStopped) {
				t.Errorf("publishing at the end: %v", err)
			}
			return nil
		})
		versions(ssc, m).Print(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// storedVersions lists the files of versions below a checkpoint.
func storedVersions(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "models", "*", "*", "versions", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A batch that was planned with one version runs with it after a restart, though
// another has been published and the program carries a third.
func TestReplayUsesItsVersion(t *testing.T) {
	dir := t.TempDir()
	var r recorder
	broken := errors.New("the screen is gone")
	stopAt := uint64(5)
	build := func(carried string, fail bool) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			m := textModel(ssc, "m", carried)
			d := versions(ssc, m)
			engine.ForEachBatch(d, func(b engine.Batch, _ []string) error {
				if fail && b.Seq == 2 {
					if _, err := m.Publish(context.Background(), []byte("published")); err != nil {
						t.Error(err)
					}
					return broken
				}
				return nil
			})
			r.watch(d, stopAt)
			return nil
		}
	}
	if err := run(t, build("one", true), "--checkpoint", dir); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := run(t, build("one", false), "--checkpoint", dir); err != nil {
		t.Fatal(err)
	}
	// Planned ahead while version one was current: 2 and what its publishing held up.
	if got := strings.Join(r.seen, "; "); !strings.HasPrefix(got, "1 one; 2 one; ") || !strings.HasSuffix(got, "5 published") {
		t.Error(got)
	}
	// A program that carries another file wants that used.
	r.seen, stopAt = nil, 7
	if err := run(t, build("new", false), "--checkpoint", dir); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.seen, "; "); !strings.HasSuffix(got, "7 new") {
		t.Error(got)
	}
}

// What a window computes again of an earlier batch uses that batch's version, as long as
// a window reaches back to it; then the version is let go.
func TestWindowsUseTheirVersions(t *testing.T) {
	dir := t.TempDir()
	var r recorder
	broken := errors.New("the screen is gone")
	build := func(fail bool) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			m := textModel(ssc, "m", "one")
			engine.ForEachBatch(ticks(ssc), func(b engine.Batch, _ []int) error {
				switch {
				case fail && b.Seq == 3:
					if _, err := m.Publish(context.Background(), []byte("two")); err != nil {
						t.Error(err)
					}
				case fail && b.Seq == 6:
					return broken
				}
				return nil
			})
			r.watch(versions(ssc, m).Window(3*time.Second, time.Second), 9)
			return nil
		}
	}
	if err := run(t, build(true), "--checkpoint", dir); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	r.seen = nil
	if err := run(t, build(false), "--checkpoint", dir); err != nil { // nothing is cached any more
		t.Fatal(err)
	}
	r.expect(t, "6 one,two,two", "7 two,two,two", "8 two,two,two", "9 two,two,two")
}

// A version that has gone from the store is named, with what to do.
func TestMissingVersion(t *testing.T) {
	dir := t.TempDir()
	var r recorder
	build := func(publish bool) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			m := textModel(ssc, "m", "one")
			ssc.DriverTask("publish", func(ctx context.Context) error {
				if publish {
					_, err := m.Publish(ctx, []byte("two"))
					return err
				}
				return nil
			})
			r.watch(versions(ssc, m), 4)
			return nil
		}
	}
	if err := run(t, build(true), "--checkpoint", dir); err != nil {
		t.Fatal(err)
	}
	gone := modelstore.Digest([]byte("two"))
	for _, f := range storedVersions(t, dir) {
		if strings.HasSuffix(f, gone) {
			if err := os.WriteFile(f, []byte("tow"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := run(t, build(false), "--checkpoint", dir)
	if !errors.Is(err, engine.ErrNoVersion) || !errors.Is(err, modelstore.ErrDamaged) {
		t.Errorf("a version whose file has changed: %v", err)
	}
	for _, f := range storedVersions(t, dir) {
		if strings.HasSuffix(f, gone) {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = run(t, build(false), "--checkpoint", dir)
	if !errors.Is(err, engine.ErrNoVersion) || !errors.Is(err, modelstore.ErrMissing) || errors.Is(err, engine.ErrBatchFailed) {
		t.Errorf("a version that is gone: %v", err)
	}
	for _, says := range []string{"model m", gone[:12], dir, "publish it again", "roll back"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is missing in %v", says, err)
		}
	}
}

// Versions can be published on the driver only, and of models that there are.
func TestModelErrors(t *testing.T) {
	err := run(t, func(ssc *engine.StreamingContext) error {
		m := textModel(ssc, "m", "one")
		inTask := engine.Map(ticks(ssc), func(int) bool {
			_, err := m.Publish(context.Background(), nil)
			return errors.Is(err, engine.ErrNotDriver)
		})
		engine.ForEachBatch(inTask, func(_ engine.Batch, ok []bool) error {
			if !slices.Equal(ok, []bool{true}) {
				t.Error("a task could publish")
			}
			ssc.Stop()
			return nil
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		build func(ssc *engine.StreamingContext)
		says  string
	}{
		"name":  {func(ssc *engine.StreamingContext) { textModel(ssc, "../m", "one") }, "not a model's name"},
		"twice": {func(ssc *engine.StreamingContext) { textModel(ssc, "m", "1"); textModel(ssc, "m", "2") }, "two models of this name"},
		"nil":   {func(ssc *engine.StreamingContext) { engine.NewModel[int](ssc, "m", nil, nil) }, rdd.ErrNilFunction.Error()},
		"learning twice": {func(ssc *engine.StreamingContext) {
			m := textModel(ssc, "m", "1")
			learn(ssc, m)
			learn(ssc, m)
		}, "the model is trained by another output already"},
		"bad": {func(ssc *engine.StreamingContext) { textModel(ssc, "m", "bad") }, errBadModel.Error()},
	} {
		err := run(t, func(ssc *engine.StreamingContext) error {
			c.build(ssc)
			ticks(ssc).Print(1)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, engine.ErrBatchFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// history is a model that remembers, in its version, the batches it was taught.
func learn(ssc *engine.StreamingContext, m *engine.Model[string]) {
	d := engine.Derive(ticks(ssc), "learn", func(b engine.Batch, r *rdd.RDD[int]) *rdd.RDD[[]byte] {
		return rdd.TryMapPartitions(r, func(part rdd.Part, in iter.Seq2[int, error]) iter.Seq2[[]byte, error] {
			tc := part.Task()
			return func(yield func([]byte, error) bool) {
				state, err := m.At(tc, b)
				for v, e := range in {
					if err = errors.Join(err, e); err != nil || v == 3 {
						break // batch 3 teaches nothing
					}
					yield(fmt.Appendf(nil, "%s %d", state, v), nil)
				}
				if err != nil {
					yield(nil, err)
				}
			}
		})
	})
	engine.UpdateModel(d, m)
}

// Every batch is learned from the version that the one before made, and once,
// though the program dies between learning and completing a batch.
func TestUpdateModel(t *testing.T) {
	dir := t.TempDir()
	broken := errors.New("the screen is gone")
	var r recorder
	build := func(fail, last uint64) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			m := engine.NewModel(ssc, "m", []byte("0"), func(file []byte) (string, error) {
				time.Sleep(100 * time.Millisecond)
				return string(file), nil
			})
			learn(ssc, m)
			d := versions(ssc, m)
			engine.ForEachBatch(d, func(b engine.Batch, _ []string) error {
				if b.Seq == fail {
					return broken
				}
				return nil
			})
			r.watch(d, last)
			return nil
		}
	}
	for _, fail := range []uint64{2, 4} {
		if err := run(t, build(fail, 0), "--checkpoint", dir); !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	if err := run(t, build(0, 6), "--checkpoint", dir); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "1 0", "2 0 1", "3 0 1 2", "4 0 1 2", "5 0 1 2 4", "6 0 1 2 4 5")
	if !slices.IsSorted(r.seen) {
		t.Error(r.seen)
	}
}

// A version that a user publishes while a batch is being learned wins, and the
// next batches go on from it.
func TestPublishWhileLearning(t *testing.T) {
	var r recorder
	err := run(t, func(ssc *engine.StreamingContext) error {
		m := engine.NewModel(ssc, "m", []byte("0"), func(file []byte) (string, error) { return string(file), nil })
		d := versions(ssc, m)
		engine.ForEachBatch(d, func(b engine.Batch, _ []string) error {
			if b.Seq == 2 {
				_, err := m.Publish(context.Background(), []byte("fresh"))
				return err
			}
			return nil
		})
		learn(ssc, m)
		r.watch(d, 5)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.expect(t, "1 0", "2 0 1", "3 fresh", "4 fresh", "5 fresh 4")
}

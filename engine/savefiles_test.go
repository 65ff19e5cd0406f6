package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// names returns the names in a directory.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// saved returns the lines that text files hold.
func saved(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := enginetest.Batch(t, func(sc *rdd.Context) (err error) {
		lines, err = rdd.Collect(rdd.TextFile(sc, dir))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return lines
}

// Each batch has a directory of its own, with its time in the name. Virtual time begins with
// the year 2000.
func TestSaveAsFiles(t *testing.T) {
	dir := t.TempDir()
	var seen []string
	err := run(t, func(ssc *engine.StreamingContext) error {
		in := numbers(ssc)
		engine.SaveAsTextFiles(in, dir+"/n", "txt", rdd.Gzip())
		engine.SaveAsObjectFiles(in, dir+"/objects/", "")
		engine.ForEachBatch(in, stopAfter(ssc, 3, &seen))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dir), []string{"n-946684801000.txt", "n-946684802000.txt", "n-946684803000.txt", "objects"}; !slices.Equal(got[:len(want)-1], want[:3]) || !slices.Contains(got, "objects") {
		t.Errorf("%q, want %q", got, want)
	}
	if got := saved(t, dir+"/n-946684803000.txt"); !slices.Equal(got, []string{"4", "5", "6"}) {
		t.Errorf("%q", got)
	}
	var objects []int
	err = enginetest.Batch(t, func(sc *rdd.Context) (err error) {
		objects, err = rdd.Collect(rdd.ObjectFile[int](sc, dir+"/objects/946684801000"))
		return err
	})
	if err != nil || !slices.Equal(objects, []int{1, 2}) {
		t.Errorf("%v, %v", objects, err)
	}
}

// Parity edge 14: a batch that runs again writes its directory again, whatever its first run
// left there.
func TestEdge14SavedAgain(t *testing.T) {
	dir, checkpoint := t.TempDir(), t.TempDir()
	var broken atomic.Bool
	broken.Store(true)
	var seen []string
	build := func(ssc *engine.StreamingContext) error {
		in := engine.Map(numbers(ssc), func(i int) int {
			if i == 5 && broken.Load() {
				panic("no")
			}
			return i
		})
		engine.SaveAsTextFiles(in, dir+"/n", "")
		engine.ForEachBatch(in, stopAfter(ssc, 3, &seen))
		return nil
	}
	if err := run(t, build, "--checkpoint", checkpoint); !errors.Is(err, engine.ErrBatchFailed) {
		t.Fatal(err)
	}
	third := dir + "/n-946684803000"
	if got := names(t, third); slices.Contains(got, "_SUCCESS") {
		t.Errorf("a batch that failed looks whole: %q", got)
	}
	for name, text := range map[string]string{"part-00007-old.txt": "7\n", "notes.md": ""} {
		if err := os.WriteFile(filepath.Join(third, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	broken.Store(false)
	if err := run(t, build, "--checkpoint", checkpoint); err != nil {
		t.Fatal(err)
	}
	if got := saved(t, third); !slices.Equal(got, []string{"4", "5", "6"}) {
		t.Errorf("%q", got)
	}
	got := names(t, third)
	parts := slices.DeleteFunc(slices.Clone(got), func(name string) bool { return !strings.HasPrefix(name, "part-") })
	if len(parts) != 2 || len(got) != 4 || !slices.Contains(got, "notes.md") || !slices.Contains(got, "_SUCCESS") {
		t.Errorf("%q", got)
	}
}

func TestErrorsOfSaveAsFiles(t *testing.T) {
	for name, c := range map[string]struct {
		save func(in *engine.DStream[int])
		args []string
		says string
	}{
		"no prefix":       {func(in *engine.DStream[int]) { engine.SaveAsTextFiles(in, "", "") }, nil, "saveAsTextFiles at engine/savefiles_test.go:"},
		"no driver":       {func(in *engine.DStream[int]) { engine.SaveAsTextFiles(in, "s3://bucket/n", "") }, nil, "gocloud.dev/blob/s3blob"},
		"a relative path": {func(in *engine.DStream[int]) { engine.SaveAsObjectFiles(in, "out/n", "") }, []string{"--checkpoint", t.TempDir()}, "relative path"},
		"another option":  {func(in *engine.DStream[int]) { engine.SaveAsTextFiles(in, "/tmp/n", "", rdd.Overwrite()) }, nil, "rdd.Overwrite means nothing to it"},
		"a type of no use": {func(in *engine.DStream[int]) {
			engine.SaveAsObjectFiles(engine.Map(in, func(int) func() { return nil }), "/tmp/n", "")
		}, nil, "saveAsObjectFiles"},
	} {
		err := run(t, func(ssc *engine.StreamingContext) error { c.save(numbers(ssc)); return nil }, c.args...)
		if !errors.Is(err, engine.ErrBuild) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A window of counts is added up by one task, which shuffles their sum, not by one for each
// batch.
func TestCountByWindowTasks(t *testing.T) {
	var shuffled []int64
	_, err := enginetest.Run(t, [][]int{{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}}, 8, func(in *engine.DStream[int]) *engine.DStream[int64] {
		in.Context().AddListener(onCompleted(func(b engine.BatchInfo) { shuffled = append(shuffled, b.Metrics.ShuffleWritten) }))
		return engine.CountByWindow(in, 8*time.Second, time.Second)
	})
	if err != nil || len(shuffled) < 8 || shuffled[7] != shuffled[1] {
		t.Errorf("%d bytes were shuffled by the batches; %v", shuffled, err)
	}
}

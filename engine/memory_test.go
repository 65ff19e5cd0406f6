package engine_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// What a job keeps on disk is in its directory, and leaves nothing there.
func TestKeptOnDisk(t *testing.T) {
	dir := t.TempDir()
	var seen []string
	files := 0
	err := run(t, func(ssc *engine.StreamingContext) error {
		squares := engine.Map(numbers(ssc), func(i int) int { return i * i }).Persist(rdd.DiskOnly)
		engine.ForEachBatch(squares, func(engine.Batch, []int) error {
			now, err := filepath.Glob(filepath.Join(dir, "*", "[0-9]*"))
			files = max(files, len(now))
			return err
		})
		engine.ForEachBatch(squares, stopAfter(ssc, 3, &seen))
		return nil
	}, "--conf", "executor.memory=16m", "--conf", "local.dir="+dir)
	if want := []string{"1 [1 4]", "2 [9]", "3 [16 25 36]"}; err != nil || !slices.Equal(seen, want) || files != 2 {
		t.Errorf("%v; batches %v, want %v; %d files at a time", err, seen, want, files)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A level that needs an encoding says so where it is declared.
func TestPersistWithoutEncoding(t *testing.T) {
	err := run(t, func(ssc *engine.StreamingContext) error {
		made := engine.Map(numbers(ssc), func(i int) func() int { return func() int { return i } }).Persist(rdd.DiskOnly)
		engine.Map(made, func(f func() int) int { return f() }).Print(1)
		return nil
	})
	for _, want := range []string{"persist at engine/memory_test.go:", "can't be encoded", "rdd.MemoryOnly doesn't"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v doesn't say %q", err, want)
		}
	}
}

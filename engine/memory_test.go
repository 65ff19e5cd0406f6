package engine_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// A job whose batches don't fit into its memory goes on by its disk, and leaves nothing
// there.
func TestMoreThanMemory(t *testing.T) {
	const n = 5000
	dir := t.TempDir()
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("a line that is long enough %d", i))
	}
	batches, spilled := 0, 0
	err := run(t, func(ssc *engine.StreamingContext) error {
		made := engine.Map(enginetest.Queue(ssc, [][]string{lines, lines, lines}, 2), func(s string) string { return s }).Persist(rdd.MemoryAndDisk)
		check := func(what string) func(engine.Batch, []rdd.Pair[string, int64]) error {
			return func(_ engine.Batch, counts []rdd.Pair[string, int64]) error {
				files, _ := filepath.Glob(filepath.Join(dir, "*", "[0-9]*"))
				spilled = max(spilled, len(files))
				if len(counts) != n || counts[0].Value != 1 {
					return fmt.Errorf("%s: %d different lines", what, len(counts))
				}
				return nil
			}
		}
		engine.ForEachBatch(engine.CountByValue(made), check("first"))
		engine.ForEachBatch(engine.CountByValue(made), check("second"))
		engine.ForEachBatch(made, func(engine.Batch, []string) error {
			if batches++; batches == 3 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}, "--conf", "executor.memory=64k", "--conf", "local.dir="+dir)
	if err != nil || batches != 3 || spilled < 2 {
		t.Errorf("%v; %d batches, at most %d files", err, batches, spilled)
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

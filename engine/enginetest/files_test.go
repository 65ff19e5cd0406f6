package enginetest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// throughFiles returns a program that writes numbers, counts them by their last digit in
// what it reads back, and hands the counts and the names of the files to found. before is
// called in tasks that write, with the number that they are about to write.
func throughFiles(before func(n int), found func(counts []pair, written []string)) engine.BatchFunc {
	return func(sc *rdd.Context) error {
		dir, err := rdd.TryValue(sc, func() (string, error) { return os.MkdirTemp("", "hibana-files-") })
		if err != nil {
			return err
		}
		sc.SetCheckpointDir(filepath.Join(dir, "checkpoints"))
		lines := rdd.Map(rdd.Range(sc, 0, 5000, 1, rdd.Partitions(4)), func(n int) string {
			before(n)
			return fmt.Sprint("number ", n)
		})
		if err := rdd.SaveAsTextFile(lines, dir+"/packed", rdd.Gzip()); err != nil {
			return err
		}
		if err := rdd.SaveAsTextFile(rdd.TextFile(sc, dir+"/packed"), dir+"/plain"); err != nil {
			return err
		}
		digits := rdd.Map(rdd.TextFile(sc, dir+"/plain", rdd.SplitSize(3000)), func(line string) pair { return kv(line[len(line)-1:], int64(1)) })
		counts, err := rdd.ReduceByKey(digits, func(a, b int64) int64 { return a + b }, rdd.Partitions(3)).Checkpoint()
		if err != nil {
			return err
		}
		sorted, err := rdd.Collect(rdd.SortByKey(counts))
		sc.OnDriver(func() error {
			written, err := filepath.Glob(dir + "/packed/*")
			found(sorted, written)
			return errors.Join(err, os.RemoveAll(dir))
		})
		return err
	}
}

// What a program writes is there once, whatever dies, and every process reads the same
// files: those that the driver has found.
func TestFilesOnKilledExecutors(t *testing.T) {
	check := func(mode string, err error, counts []pair, written []string) {
		t.Helper()
		var want []pair
		for digit := range 10 {
			want = append(want, kv(fmt.Sprint(digit), int64(500)))
		}
		if err != nil || !slices.Equal(counts, want) || len(written) != 5 {
			t.Errorf("%s: %v of %q, %v", mode, counts, written, err)
		}
	}
	var counts []pair
	var written []string
	found := func(c []pair, w []string) { counts, written = c, w }
	if os.Getenv(role.Env) == "" {
		check("local mode", enginetest.Batch(t, throughFiles(func(int) {}, found)), counts, written)
	}
	marks := newOnce(t)
	deaths := []int{700, 4999}
	die := func(n int) {
		if slices.Contains(deaths, n) && marks.first(fmt.Sprint(n)) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	check("executor processes", enginetest.BatchOnCluster(t, throughFiles(die, found)), counts, written)
	if done, err := os.ReadDir(marks.dir); err != nil || len(done) != len(deaths) {
		t.Errorf("%d of %d kills happened: %v", len(done), len(deaths), err)
	}
}

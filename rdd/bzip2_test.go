package rdd_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// Files of bzip2 are read, as Spark reads them.
func TestBzip2(t *testing.T) {
	const packed = "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xa7\x14\x2b\x77\x00\x00\x02\xc1\x80\x00\x10\x02\x01\x84\x80\x20\x00\x21\x80\x0c\x02\x38\xf5\x1b\x8b\xb9\x22\x9c\x28\x48\x53\x8a\x15\xbb\x80" // of "one\ntwo\n"
	path := filepath.Join(t.TempDir(), "lines.txt.bz2")
	if err := os.WriteFile(path, []byte(packed), 0o600); err != nil {
		t.Fatal(err)
	}
	lines, err := rdd.Collect(rdd.TextFile(rddtest.NewContext(2), path))
	if err != nil || !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("%q, %v", lines, err)
	}
	if err := os.WriteFile(path, []byte(packed[:len(packed)-5]), 0o600); err != nil {
		t.Fatal(err)
	}
	if lines, err := rdd.Collect(rdd.TextFile(rddtest.NewContext(2), path)); err == nil {
		t.Errorf("a file cut short gave %q", lines)
	}
}

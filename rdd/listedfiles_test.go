package rdd_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// readWith makes an RDD of what a reader made with sc reads of a list of files.
func readWith[T any](sc *rdd.Context, r *rdd.FileReader[T], list []files.File) *rdd.RDD[T] {
	n, read := r.Partitions(list)
	return rdd.Source(sc, "source", lineage.Site{}, n, read)
}

// found lists the files of a directory.
func found(t *testing.T, dir string) []files.File {
	t.Helper()
	list, err := files.List(t.Context(), dir, false)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Lines of files that were listed are those of TextFile; small files aren't cut.
func TestTextReader(t *testing.T) {
	gz, _ := packed(t, "x\ny\n")
	small := writeFiles(t, map[string]string{"a": "1\n2\n3", "b": "4\r\n", "c.gz": gz})
	large := writeFiles(t, map[string]string{"a": strings.Repeat("12345678\n", 300_000)})
	for _, c := range []struct {
		dir        string
		opts       []rdd.FileOption
		partitions int
		lines      int
	}{
		{small, nil, 3, 6},
		{small, []rdd.FileOption{rdd.MinPartitions(20)}, 6, 6},
		{small, []rdd.FileOption{rdd.SplitSize(1)}, 9, 6},
		{large, nil, 2, 300_000},
		{t.TempDir(), nil, 0, 0},
	} {
		sc := rddtest.NewContext(4)
		r := readWith(sc, rdd.TextReader(sc, "lines", c.opts...), found(t, c.dir))
		if got, want := flat(t, r), flat(t, rdd.TextFile(sc, c.dir)); !slices.Equal(got, want) || len(got) != c.lines || r.NumPartitions() != c.partitions {
			t.Errorf("%s: %d lines in %d partitions, want %d in %d", c.dir, len(got), r.NumPartitions(), c.lines, c.partitions)
		}
	}
}

// Wherever a file is cut, each of its records is in one partition, in order.
func TestBinaryRecordsReader(t *testing.T) {
	const text = "aaabbbcccddd"
	gz, zst := packed(t, text)
	dir := writeFiles(t, map[string]string{"a": text, "b.gz": gz, "c.zst": zst, "d": ""})
	for _, bytes := range []int{1, 2, 3, 4, 6, 12} {
		var want []string
		for range 3 {
			for r := range slices.Chunk([]byte(text), bytes) {
				want = append(want, string(r))
			}
		}
		for split := int64(1); split < 14; split++ {
			sc := rddtest.NewContext(1)
			var got []string
			for _, r := range flat(t, readWith(sc, rdd.BinaryRecordsReader(sc, "records", bytes, rdd.SplitSize(split)), found(t, dir))) {
				got = append(got, string(append(r, '!')[:len(r)])) // a record has nothing behind it to write to
			}
			if !slices.Equal(got, want) {
				t.Errorf("records of %d bytes in parts of %d: %q", bytes, split, got)
			}
		}
	}
}

// A whole file is an element, decompressed.
func TestWholeReader(t *testing.T) {
	gz, _ := packed(t, "x\ny\n")
	dir := writeFiles(t, map[string]string{"a": "1\n2\n3", "b.gz": gz, "c": ""})
	sc := rddtest.NewContext(2)
	r := readWith(sc, rdd.WholeReader(sc, "whole"), found(t, dir))
	var got []string
	for _, f := range flat(t, r) {
		got = append(got, filepath.Base(f.Key)+"="+string(f.Value))
	}
	if want := []string{"a=1\n2\n3", "b.gz=x\ny\n", "c="}; !slices.Equal(got, want) || r.NumPartitions() != 2 {
		t.Errorf("%q in %d partitions", got, r.NumPartitions())
	}
}

// What is wrong with files that were listed is an error that names the file.
func TestErrorsOfFileReaders(t *testing.T) {
	gz, _ := packed(t, "abcde")
	dir := writeFiles(t, map[string]string{"odd": "abcde", "odd.gz": gz, "gone": "abcd", "shrunk": "abcdef"})
	list := found(t, dir)
	if err := errors.Join(os.Remove(filepath.Join(dir, "gone")), os.Truncate(filepath.Join(dir, "shrunk"), 2)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"odd": files.ErrDamaged, "odd.gz": files.ErrDamaged, "gone": files.ErrMissing, "shrunk": files.ErrDamaged} {
		one := slices.Collect(func(yield func(files.File) bool) {
			for _, f := range list {
				if filepath.Base(f.Path) == name {
					yield(f)
				}
			}
		})
		sc := rddtest.NewContext(1)
		for reader, r := range map[string]func() error{
			"records": func() error {
				_, err := rdd.Collect(readWith(sc, rdd.BinaryRecordsReader(sc, "records", 2), one))
				return err
			},
			"lines": func() error { _, err := rdd.Collect(readWith(sc, rdd.TextReader(sc, "lines"), one)); return err },
			"whole": func() error { _, err := rdd.Collect(readWith(sc, rdd.WholeReader(sc, "whole"), one)); return err },
		} {
			err := r()
			if reader != "records" && strings.HasPrefix(name, "odd") {
				if err != nil {
					t.Errorf("%s of %s: %v", reader, name, err)
				}
				continue
			}
			if !errors.Is(err, want) || !strings.Contains(err.Error(), one[0].Path) || !strings.Contains(err.Error(), reader) {
				t.Errorf("%s of %s: %v", reader, name, err)
			}
		}
	}
	for name, build := range map[string]func(sc *rdd.Context){
		"records": func(sc *rdd.Context) { rdd.BinaryRecordsReader(sc, "records", 0) },
		"lines":   func(sc *rdd.Context) { rdd.TextReader(sc, "lines", rdd.Recursive()) },
		"whole":   func(sc *rdd.Context) { rdd.WholeReader(sc, "whole", rdd.MaxLine(5)) },
	} {
		sc := rddtest.NewContext(1)
		build(sc)
		if err := sc.Lineage().Err(); !errors.Is(err, rdd.ErrArgument) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

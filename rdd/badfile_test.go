package rdd_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// countingBad makes the RDD of what a reader reads, and counts what was left out.
func countingBad[T any](sc *rdd.Context, r *rdd.FileReader[T], list []files.File, bad *int64) *rdd.RDD[T] {
	n, read := r.Partitions(list)
	return rdd.Source(sc, "source", lineage.Site{}, n, func(tc *task.Context, p int) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			read(tc, p)(yield)
			*bad += tc.Metrics.BadRecords
		}
	})
}

// Files that can't be read are left out where they are at fault, and counted; the others are read.
func TestBadFilesAreLeftOut(t *testing.T) {
	whole, _ := packed(t, "g1\ng2\n")
	var lines strings.Builder
	for i := range 100_000 {
		fmt.Fprintln(&lines, i*i)
	}
	large, _ := packed(t, lines.String())
	dir := writeFiles(t, map[string]string{
		"a": "a1\na2\n", "b.gz": whole, "cut.gz": whole[:len(whole)-9], "flipped.gz": large[:200_000] + "????" + large[200_004:],
		"gone": "gone\n", "long": "l1\n" + strings.Repeat("x", 101) + "\nl2\n", "no.gz": "it is no gzip", "shrunk": "shrunk\n", "z": "z1\n",
	})
	list := found(t, dir)
	if err := errors.Join(os.Remove(filepath.Join(dir, "gone")), os.Truncate(filepath.Join(dir, "shrunk"), 2)); err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string][]rdd.FileOption{"one": {rdd.MinPartitions(1)}, "many": {rdd.MinPartitions(9)}} {
		sc := rddtest.NewContext(1)
		var bad int64
		got := flat(t, countingBad(sc, rdd.TextReader(sc, "lines", append(opts, rdd.MaxLine(100), rdd.OnBadFile(rdd.Skip()))...), list, &bad))
		begin := slices.IndexFunc(got, func(s string) bool { return s == "0" })
		end := slices.Index(got, "l1")
		if begin < 0 || end-begin < 10_000 || end-begin >= 100_000 || got[begin+9999] != fmt.Sprint(9999*9999) {
			t.Fatalf("%s: of the damaged file lines %d to %d were read", name, begin, end)
		}
		got = slices.Delete(got, begin, end)
		if want := []string{"a1", "a2", "g1", "g2", "l1", "z1"}; !slices.Equal(got, want) || bad != 6 {
			t.Errorf("%s: %q and %d left out", name, got, bad)
		}

		bad = 0
		var letters []string
		letter := rdd.DeadLetter(func(_ rdd.Part, f files.File, err error) error {
			letters = append(letters, filepath.Base(f.Path))
			return nil
		})
		var names []string
		for _, f := range flat(t, countingBad(sc, rdd.WholeReader(sc, "whole", append(opts, rdd.OnBadFile(letter))...), list, &bad)) {
			names = append(names, filepath.Base(f.Key))
		}
		if want := []string{"a", "b.gz", "long", "z"}; !slices.Equal(names, want) || bad != 5 {
			t.Errorf("%s: %q and %d left out", name, names, bad)
		}
		if want := []string{"cut.gz", "flipped.gz", "gone", "no.gz", "shrunk"}; !slices.Equal(letters, want) {
			t.Errorf("%s: letters about %q", name, letters)
		}

		records := flat(t, readWith(sc, rdd.BinaryRecordsReader(sc, "records", 2, rdd.OnBadFile(rdd.Skip())), list[:3]))
		if got := string(slices.Concat(records...)); got != "a1\na2\ng1\ng2\ng1\ng2\n" {
			t.Errorf("%s: records %q", name, got)
		}
	}
}

// The readers of programs leave files out, too, also those of which the header can't be read.
func TestBadFilesOfPrograms(t *testing.T) {
	type row struct{ N int }
	gz, _ := packed(t, "N\n1\n")
	dir := writeFiles(t, map[string]string{"a.csv": "N\n2\n", "b.csv.gz": gz[:5]})
	jsons := writeFiles(t, map[string]string{"a": `{"N": 2}`, "b.gz": gz[:5]})
	for name, r := range map[string]func(sc *rdd.Context, o rdd.FileOption) *rdd.RDD[row]{
		"lines": func(sc *rdd.Context, o rdd.FileOption) *rdd.RDD[row] { return rdd.CSV[row](sc, dir, o) },
		"multiline": func(sc *rdd.Context, o rdd.FileOption) *rdd.RDD[row] {
			return rdd.CSV[row](sc, dir, rdd.MultiLine(), o)
		},
		"json": func(sc *rdd.Context, o rdd.FileOption) *rdd.RDD[row] { return rdd.JSONLines[row](sc, jsons, o) },
	} {
		if got := flat(t, r(rddtest.NewContext(2), rdd.OnBadFile(rdd.Skip()))); !slices.Equal(got, []row{{2}}) {
			t.Errorf("%s: %v", name, got)
		}
		if _, err := rdd.Collect(r(rddtest.NewContext(2), rdd.OnBadFile(rdd.Fail()))); !errors.Is(err, files.ErrDamaged) || !strings.Contains(err.Error(), "use OnBadFile(Skip())") {
			t.Errorf("%s fails with %v", name, err)
		}
	}
	sc := rddtest.NewContext(1)
	if got := flat(t, rdd.WholeTextFiles(sc, jsons, rdd.OnBadFile(rdd.Skip()))); len(got) != 1 || got[0].Value != `{"N": 2}` {
		t.Errorf("whole files: %v", got)
	}
}

// Of files of objects what is cut short or damaged is left out, and told; partitions stay. Another type
// or version is no fault of the file's.
func TestBadFilesOfObjects(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if err := rdd.SaveAsObjectFile(ints(rddtest.NewContext(2), 8, 4), out); err != nil {
		t.Fatal(err)
	}
	list := found(t, out)
	var letters []string
	letter := rdd.OnBadFile(rdd.DeadLetter(func(_ rdd.Part, f files.File, err error) error {
		letters = append(letters, fmt.Sprint(slices.Index(list, f), " ", errors.Is(err, files.ErrDamaged)))
		return nil
	}))
	lenient, strict := rdd.ObjectFile[int](rddtest.NewContext(1), out, letter), rdd.ObjectFile[int](rddtest.NewContext(1), out)
	whole, err := os.ReadFile(list[1].Path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	flipped[len(whole)-9] ^= 4
	if err := errors.Join(os.WriteFile(list[1].Path, flipped, 0o600), os.Truncate(list[2].Path, 20)); err != nil {
		t.Fatal(err)
	}
	check(t, lenient, [][]int{{1, 2}, {}, {}, {7, 8}})
	if want := []string{"1 true", "2 true"}; !slices.Equal(letters, want) {
		t.Errorf("letters %q, want %q", letters, want)
	}
	if _, err := rdd.Collect(strict); !errors.Is(err, files.ErrDamaged) || !strings.Contains(err.Error(), "use OnBadFile(Skip())") || strings.Count(err.Error(), "objectFile") != 1 {
		t.Errorf("without the option: %v", err)
	}
	if _, err := rdd.Collect(rdd.ObjectFile[string](rddtest.NewContext(1), out, rdd.OnBadFile(rdd.Skip()))); !errors.Is(err, rdd.ErrEncoding) {
		t.Errorf("another type: %v", err)
	}
	var another bytes.Buffer
	w := s2.NewWriter(&another)
	if _, err := w.Write([]byte("hibana objects 2 int\n")); errors.Join(err, w.Close()) != nil {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(old, another.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rdd.Collect(rdd.ObjectFile[int](rddtest.NewContext(1), old, rdd.OnBadFile(rdd.Skip()))); err == nil || !strings.Contains(err.Error(), "it is of another version") {
		t.Errorf("another version: %v", err)
	}
}

// What may be no fault of a file's fails the task in spite of the policy.
func TestFilesThatArentLeftOut(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a": "1\n"})
	list := found(t, dir)
	taken := errors.New("it isn't taken")
	read := func(p rdd.BadRecords) error {
		sc := rddtest.NewContext(1)
		_, err := rdd.Collect(readWith(sc, rdd.TextReader(sc, "lines", rdd.OnBadFile(p)), list))
		return err
	}
	if err := os.Truncate(filepath.Join(dir, "a"), 1); err != nil {
		t.Fatal(err)
	}
	if err := read(rdd.DeadLetter(func(rdd.Part, files.File, error) error { return taken })); !errors.Is(err, taken) || !strings.Contains(err.Error(), "has 1 bytes and had 2") {
		t.Errorf("a letter that isn't taken: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the directory is empty, then gone
		if err := read(rdd.Skip()); !errors.Is(err, files.ErrMissing) || !strings.Contains(err.Error(), "its directory "+dir+" is empty or gone") {
			t.Errorf("a directory that may not be mounted: %v", err)
		}
		if err := os.Remove(dir); err != nil {
			break
		}
	}
	for _, p := range []rdd.BadRecords{
		rdd.DeadLetter(func(rdd.Part, string, error) error { return nil }),
		rdd.DeadLetter[files.File](nil),
	} {
		sc := rddtest.NewContext(1)
		rdd.TextReader(sc, "lines", rdd.OnBadFile(p))
		if err := sc.Lineage().Err(); !errors.Is(err, rdd.ErrArgument) && !errors.Is(err, rdd.ErrNilFunction) {
			t.Errorf("a function that can't be: %v", err)
		}
	}
}

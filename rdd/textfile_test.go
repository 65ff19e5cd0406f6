package rdd_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// writeFiles writes files into a new directory.
func writeFiles(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// packed returns bytes as gzip and as zstd have them.
func packed(t *testing.T, text string) (gz, zst string) {
	t.Helper()
	var g, z bytes.Buffer
	gw := gzip.NewWriter(&g)
	zw, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	_, err = gw.Write([]byte(text))
	_, err2 := zw.Write([]byte(text))
	if err := errors.Join(err, err2, gw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return g.String(), z.String()
}

// linesIn are the lines of a text.
func linesIn(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// Wherever a file is cut, each of its lines is in one partition, in order.
func TestLinesOfSplits(t *testing.T) {
	for _, text := range []string{"", "\n", "a", "a\n", "a\r\nb", "\r\n\r\n", "\n\na\n\nbc\r\ndefghij\n\n", "long line without an end, for many splits"} {
		gz, zst := packed(t, text)
		dir := writeFiles(t, map[string]string{"plain": text, "g.gz": gz, "z.zst": zst})
		for size := int64(1); size <= int64(len(text))+1; size++ {
			lines := flat(t, rdd.TextFile(rddtest.NewContext(2), dir+"/plain", rdd.SplitSize(size)))
			if !slices.Equal(lines, linesIn(text)) {
				t.Errorf("%q in parts of %d bytes: %q", text, size, lines)
			}
		}
		for _, name := range []string{"g.gz", "z.zst"} {
			r := rdd.TextFile(rddtest.NewContext(2), dir+"/"+name, rdd.SplitSize(1))
			if lines := flat(t, r); !slices.Equal(lines, linesIn(text)) || r.NumPartitions() != 1 {
				t.Errorf("%q in %s: %q in %d partitions", text, name, lines, r.NumPartitions())
			}
		}
	}
}

// Lines longer than the blocks that are read, and parts of any size.
func TestLongLines(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 8<<20 {
		n := rng.IntN(60)
		if rng.IntN(1000) == 0 {
			n = rng.IntN(1 << 20)
		}
		text.WriteString(strings.Repeat(string(rune('a'+rng.IntN(26))), n))
		text.WriteString([]string{"\n", "\n", "\r\n"}[rng.IntN(3)])
	}
	gz, zst := packed(t, text.String())
	dir := writeFiles(t, map[string]string{"plain": text.String(), "g.gz": gz, "z.zst": zst})
	want := linesIn(text.String())
	for _, c := range []struct {
		name string
		size int64
	}{{"plain", 64 << 20}, {"plain", 1 << 20}, {"plain", 300_001}, {"plain", 77_777}, {"g.gz", 1}, {"z.zst", 1}} {
		got := flat(t, rdd.TextFile(rddtest.NewContext(1), filepath.Join(dir, c.name), rdd.SplitSize(c.size)))
		if !slices.Equal(got, want) {
			t.Errorf("%s in parts of %d: %d lines, want %d", c.name, c.size, len(got), len(want))
		}
	}
}

func TestPartitionsOfFiles(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a": strings.Repeat("12345678\n", 100), "b": "one\ntwo\n", "c.gz": ""})
	for _, c := range []struct {
		pattern string
		opts    []rdd.FileOption
		want    int
	}{
		{"a", nil, 3},
		{"a", []rdd.FileOption{rdd.MinPartitions(1)}, 1},
		{"a", []rdd.FileOption{rdd.MinPartitions(7)}, 7},
		{"a", []rdd.FileOption{rdd.MinPartitions(1), rdd.SplitSize(90)}, 10},
		{"a", []rdd.FileOption{rdd.MinPartitions(1), rdd.SplitSize(850)}, 1}, // the rest isn't worth a task
		{"{b,a}", nil, 4},
		{"b", []rdd.FileOption{rdd.MinPartitions(100)}, 8},
	} {
		r := rdd.TextFile(rddtest.NewContext(3), filepath.Join(dir, c.pattern), c.opts...)
		if r.NumPartitions() != c.want {
			t.Errorf("%s: %d partitions, want %d", c.pattern, r.NumPartitions(), c.want)
		}
	}
	r := rdd.TextFile(rddtest.NewContext(3), dir+"/b,"+dir+"/a", rdd.MinPartitions(1))
	if lines := flat(t, r); len(lines) != 102 || lines[0] != "one" || r.NumPartitions() != 2 {
		t.Errorf("%d lines in %d partitions", len(lines), r.NumPartitions())
	}
}

// Bad input is an error that names the file and the place.
func TestErrorsOfTextFiles(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var text strings.Builder
	for range 1000 {
		fmt.Fprintln(&text, random.Uint64())
	}
	gz, zst := packed(t, text.String())
	dir := writeFiles(t, map[string]string{
		"short.gz": gz[:len(gz)/2], "short.zst": zst[:len(zst)/2], "empty.gz": "", "not.gz": "no gzip",
		"flipped.gz": gz[:99] + string(gz[99]^1) + gz[100:], "long": "short\n" + strings.Repeat("x", 1001) + "\nshort\n",
	})
	at := func(half string) string { return fmt.Sprintf("at byte %d", len(half)/2) }
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"short.gz":   {files.ErrDamaged, "short.gz is cut short " + at(gz)},
		"short.zst":  {files.ErrDamaged, "short.zst is cut short " + at(zst)},
		"empty.gz":   {files.ErrDamaged, "empty.gz is cut short at byte 0"},
		"not.gz":     {files.ErrDamaged, "not.gz is cut short"},
		"flipped.gz": {files.ErrDamaged, "flipped.gz"},
		"long":       {rdd.ErrLine, "the line of " + dir + "/long at byte 6 has more than 1000 bytes"},
		"none":       {nil, "there is no such file: nothing is at"},
		"a,,b":       {nil, "one of \"" + dir + "/a,,b\" is empty"},
	} {
		_, err := rdd.Count(rdd.TextFile(rddtest.NewContext(2), dir+"/"+name, rdd.MaxLine(1000)))
		if err == nil || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "textFile at rdd/textfile_test.go") {
			t.Errorf("%s: %v", name, err)
		}
	}

	r := rdd.TextFile(rddtest.NewContext(1), dir+"/long")
	if err := os.Truncate(dir+"/long", 6); err != nil {
		t.Fatal(err)
	}
	if _, err := rdd.Count(r); !errors.Is(err, files.ErrDamaged) || !strings.Contains(err.Error(), "long has 6 bytes and had 1014") {
		t.Errorf("a file that has shrunk: %v", err)
	}
	if err := os.Remove(dir + "/long"); err != nil {
		t.Fatal(err)
	}
	if _, err := rdd.Count(r); !errors.Is(err, files.ErrMissing) || !strings.Contains(err.Error(), "opening "+dir+"/long") {
		t.Errorf("a file that is gone: %v", err)
	}

	inTransform := rdd.NewContext(lineage.NewLineage(1, 2), nil)
	rdd.TextFile(inTransform, dir)
	if err := inTransform.Lineage().Err(); !errors.Is(err, rdd.ErrNoFiles) {
		t.Errorf("in Transform: %v", err)
	}
	for _, opt := range []rdd.FileOption{rdd.MinPartitions(0), rdd.SplitSize(0), rdd.MaxLine(0), rdd.OnBadRecord(rdd.Skip())} {
		sc := rddtest.NewContext(1)
		rdd.TextFile(sc, dir, opt, nil)
		if err := sc.Lineage().Err(); !errors.Is(err, rdd.ErrArgument) && !errors.Is(err, rdd.ErrPartitions) {
			t.Error(err)
		}
	}
}

package files_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/hibana-engine/hibana/connectors/files"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
	stored "github.com/hibana-engine/hibana/rdd/files"
)

// inMemory opens a bucket in memory, the same one each time.
type inMemory struct{ bucket *blob.Bucket }

func (m inMemory) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return blob.PrefixedBucket(m.bucket, ""), nil
}

var bucket = memblob.OpenBucket(nil)

func TestMain(m *testing.M) {
	blob.DefaultURLMux().RegisterBucket("watched", inMemory{bucket})
	goleak.VerifyTestMain(m)
}

// write writes a file that was modified so many seconds after 1970.
func write(t *testing.T, path, text string, seconds int64) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, time.Time{}, time.Unix(seconds, 0))); err != nil {
		t.Fatal(err)
	}
}

// read is what a batch read.
type read struct {
	batch uint64
	rows  []string
}

// reads notes the batches that read anything, and calls then after each batch.
func reads(d *engine.DStream[string], into *[]read, then func(seq uint64)) {
	engine.ForEachBatch(d, func(b engine.Batch, rows []string) error {
		if len(rows) > 0 {
			*into = append(*into, read{b.Seq, rows})
		}
		then(b.Seq)
		return nil
	})
}

// check compares what batches read, without regard to their numbers.
func check(t *testing.T, got []read, want ...string) {
	t.Helper()
	var rows []string
	for _, r := range got {
		rows = append(rows, strings.Join(r.rows, " "))
	}
	if !slices.Equal(rows, want) {
		t.Errorf("batches read %q, want %q", rows, want)
	}
}

// What appears in a directory is read once, when it is whole and has the name of data.
func TestTextFileStream(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "in")
	var got []read
	var held []string
	at := func(name string) string { return filepath.Join(dir, name) }
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(completed(func(b engine.BatchInfo) { held = append(held, b.Held) }))
		reads(files.TextFileStream(ssc, dir, files.Recursive()), &got, func(seq uint64) {
			switch seq {
			case 1: // there is no directory yet
				write(t, at("a.txt"), "a1\na2\n", 10)
				write(t, at(".hidden"), "no", 10)
				write(t, at("_too"), "no", 10)
				write(t, at("b.tmp"), "no", 10)
				write(t, at("c.filepart"), "no", 10)
				write(t, at("half"), "h", 11)
			case 2:
				write(t, at("half"), "half\nwritten", 12)
			case 5:
				if err := os.Rename(at("b.tmp"), at("b.txt")); err != nil {
					t.Error(err)
				}
				write(t, at("sub/c"), "c", 12)
				write(t, at("a.txt"), "a1\na2\na3\n", 20) // isn't read again
			case 8:
				if err := os.Remove(at("a.txt")); err != nil {
					t.Error(err)
				}
			case 10:
				write(t, at("a.txt"), "again", 30)
			case 13:
				ssc.Stop()
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, "a1 a2", "half written", "no c", "again")
	if !strings.Contains(held[0], "there is no directory "+dir) || held[len(held)-1] != "" {
		t.Errorf("held up by %q", held)
	}
}

// completed is a listener.
type completed func(engine.BatchInfo)

func (f completed) OnBatchCompleted(b engine.BatchInfo) { f(b) }

// As soon as possible means when a look has found a file that is whole, not at the next tick. Where
// there is none no batch is made.
func TestAsSoonAsPossible(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "a", 1)
	var got []read
	var at []time.Duration
	batches := uint64(0)
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		began := time.Now()
		reads(files.TextFileStream(ssc, dir), &got, func(seq uint64) {
			if batches = seq; len(got) == len(at) {
				return
			}
			switch at = append(at, time.Since(began)); len(at) {
			case 1:
				write(t, filepath.Join(dir, "b"), "b", 2)
			case 2:
				ssc.Stop()
			}
		})
		return nil
	}, "--asap", "--batch-interval", "20s")
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, "a", "b")
	for i, most := range []time.Duration{3 * time.Second, 6 * time.Second} {
		if at[i] > most {
			t.Errorf("file %d was read after %s", i+1, at[i])
		}
	}
	if batches > 5 {
		t.Errorf("%d batches", batches)
	}
}

// In a bucket files are whole when they are there.
func TestBucket(t *testing.T) {
	put := func(key, text string) {
		t.Helper()
		if err := blob.PrefixedBucket(bucket, "").WriteAll(context.Background(), key, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // for the next run of this test
			if err := blob.PrefixedBucket(bucket, "").Delete(context.Background(), key); err != nil {
				t.Error(err)
			}
		})
	}
	var got []read
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		reads(files.TextFileStream(ssc, "watched://b/logs/in?x=1", files.Matching("*.log")), &got, func(seq uint64) {
			switch seq {
			case 1:
				put("logs/in/a.log", "1\n2\n")
				put("logs/in/a.txt", "no")
				put("logs/in/deep/a.log", "no")
				put("logs/inside.log", "no")
			case 2:
				put("logs/in/b.log", "3")
			case 4:
				ssc.Stop()
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, "1 2", "3")
	if got[0].batch != 2 || got[1].batch != 3 {
		t.Errorf("they were read in %v", got)
	}
}

// A batch takes the files that were modified first, and no more than it may; until the end is
// what the first look finds, also what isn't whole yet.
func TestUntilEnd(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"e", "d", "c", "b", "a"} {
		write(t, filepath.Join(dir, name), name, int64(i))
	}
	program := func(got *[]read, opts ...files.Option) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			reads(files.TextFileStream(ssc, dir, opts...), got, func(seq uint64) {
				if seq == 1 {
					write(t, filepath.Join(dir, "late"), "late", 0)
				}
			})
			return nil
		}
	}
	checkpoint := t.TempDir()
	var got []read
	if err := enginetest.Stream(t, program(&got, files.MaxFiles(2)), "--until-end", "--batch-interval", "1h", "--checkpoint", checkpoint); err != nil {
		t.Fatal(err)
	}
	check(t, got, "e d", "c b", "a")
	got = nil
	if err := enginetest.Stream(t, program(&got, files.MaxFiles(2)), "--until-end", "--checkpoint", checkpoint); err != nil {
		t.Fatal(err)
	}
	check(t, got, "late")
	got = nil
	budget := []string{"--until-end", "--conf", "streaming.backpressure.initialRate=2.1"}
	if err := enginetest.Stream(t, program(&got, files.Reading(rdd.MinPartitions(1))), budget...); err != nil {
		t.Fatal(err)
	}
	if check(t, got[:1], "e late"); len(got) < 2 {
		t.Error("the rate's limit didn't count")
	}
	got = nil
	if err := enginetest.Stream(t, program(&got, files.NewOnly()), "--until-end"); err != nil || len(got) > 0 {
		t.Errorf("only new ones: %v, %v", got, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Stream(t, program(&got), "--until-end"); !errors.Is(err, stored.ErrMissing) || !strings.Contains(err.Error(), dir) {
		t.Errorf("without the directory: %v", err)
	}
}

// A batch that fails is read again after a restart: the same files, whatever came meanwhile.
// The batches behind it go on from there.
func TestRestart(t *testing.T) {
	dir, checkpoint := t.TempDir(), t.TempDir()
	broken := errors.New("the output is broken")
	var got []read
	var list [][]files.File
	program := func(failAt, last uint64, begin func()) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			ssc.OnDriver(func(context.Context) error { begin(); return nil })
			lines := files.TextFileStream(ssc, dir, files.Remember(2))
			engine.ForEachBatch(lines.Window(2*time.Second, time.Second), func(b engine.Batch, _ []string) error { return nil })
			engine.ForEachBatch(lines, func(b engine.Batch, rows []string) error {
				if len(rows) > 0 {
					these, err := files.Of(b, lines)
					if err != nil {
						return err
					}
					got, list = append(got, read{b.Seq, rows}), append(list, these)
					if b.Seq == failAt {
						return broken
					}
				}
				if b.Seq == last {
					ssc.Stop()
				}
				return nil
			})
			return nil
		}
	}
	err := enginetest.Stream(t, program(2, 0, func() {
		for i, name := range []string{"a", "b", "c"} {
			write(t, filepath.Join(dir, name), name, int64(i))
		}
	}), "--checkpoint", checkpoint)
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	err = enginetest.Stream(t, program(0, 6, func() {
		write(t, filepath.Join(dir, "d"), "d", 5)
		write(t, filepath.Join(dir, "e"), "e", 0) // older than what is known by name
	}), "--checkpoint", checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, "a b c", "a b c", "d")
	if len(list) != 3 || !slices.Equal(list[0], list[1]) || list[0][2] != (files.File{Path: filepath.Join(dir, "c"), Size: 1}) || got[0].batch != got[1].batch {
		t.Errorf("batches of %v: %v", got, list)
	}
}

// A file that goes after it was planned fails the batch with its name, and is read when it is
// back.
func TestVanished(t *testing.T) {
	dir, checkpoint := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "a")
	write(t, path, "a", 1)
	var got []read
	program := func(ssc *engine.StreamingContext) error {
		lines := files.TextFileStream(ssc, dir)
		engine.PerBatch(ssc, "thief", func(_ context.Context, b engine.Batch) (int, error) { // it is computed when the files are planned
			list, err := files.Of(b, lines)
			for _, f := range list {
				err = errors.Join(err, os.Remove(f.Path))
			}
			return 0, err
		})
		reads(lines, &got, func(seq uint64) {
			if seq == 3 {
				ssc.Stop()
			}
		})
		return nil
	}
	err := enginetest.Stream(t, program, "--checkpoint", checkpoint, "--conf", "task.maxFailures=1")
	if !errors.Is(err, stored.ErrMissing) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "put it back") ||
		!strings.Contains(err.Error(), "files.TextFileStream("+dir+") at files/stream_test.go:") {
		t.Errorf("it says %v", err)
	}
	write(t, path, "a", 1)
	if err := enginetest.Stream(t, program, "--checkpoint", checkpoint); err != nil {
		t.Fatal(err)
	}
	check(t, got, "a")
}

// A damaged file fails the batch at each start, until the program leaves out what can't be read.
func TestDamaged(t *testing.T) {
	dir, checkpoint := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "a.gz"), "it is no gzip", 1)
	write(t, filepath.Join(dir, "b"), "b", 2)
	var got []read
	var bad int64
	program := func(opts ...files.Option) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			ssc.AddListener(completed(func(b engine.BatchInfo) { bad += b.Metrics.BadRecords }))
			reads(files.TextFileStream(ssc, dir, opts...), &got, func(uint64) {})
			return nil
		}
	}
	args := []string{"--until-end", "--checkpoint", checkpoint, "--conf", "task.maxFailures=1"}
	for range 2 {
		err := enginetest.Stream(t, program(files.OnBadFile(files.Fail())), args...)
		if !errors.Is(err, stored.ErrDamaged) || !strings.Contains(err.Error(), filepath.Join(dir, "a.gz")) || !strings.Contains(err.Error(), "OnBadFile(Skip())") {
			t.Fatalf("a damaged file: %v", err)
		}
	}
	if err := enginetest.Stream(t, program(files.OnBadFile(files.Skip())), args...); err != nil {
		t.Fatal(err)
	}
	if check(t, got, "b"); bad != 1 {
		t.Errorf("%d bad records", bad)
	}
}

// An object of a bucket that was replaced by a larger one isn't read, as it isn't what was planned.
func TestReplacedObject(t *testing.T) {
	put := func(text string) error {
		return blob.PrefixedBucket(bucket, "replaced/").WriteAll(context.Background(), "a", []byte(text), nil)
	}
	if err := put("1\n"); err != nil {
		t.Fatal(err)
	}
	err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
		lines := files.TextFileStream(ssc, "watched://b/replaced")
		engine.PerBatch(ssc, "replaces", func(context.Context, engine.Batch) (int, error) { return 0, put("12\n") }) // it is computed when the files are planned
		reads(lines, new([]read), func(uint64) {})
		return nil
	}, "--until-end", "--conf", "task.maxFailures=1")
	if !errors.Is(err, stored.ErrDamaged) || !strings.Contains(err.Error(), "has 3 bytes and had 2") {
		t.Errorf("it says %v", err)
	}
}

// Records of one length are bytes; files of which a function makes elements are whole.
func TestRecordsAndFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.bin"), "abcdefgh", 1)
	write(t, filepath.Join(dir, "b.bin"), "ijkl", 2)
	write(t, filepath.Join(dir, "c.words"), "x y", 3)
	write(t, filepath.Join(dir, "d.words"), "bad", 4)
	var records, words []read
	decode := func(path string, data []byte) ([]string, error) {
		if string(data) == "bad" {
			return nil, errors.New("it is bad")
		}
		return strings.Fields(filepath.Base(path) + " " + string(data)), nil
	}
	program := func(opts ...rdd.FileOption) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			text := engine.Map(files.BinaryRecordsStream(ssc, dir, 4, files.Matching("*.bin"), files.Reading(rdd.SplitSize(3))), func(b []byte) string { return string(b) })
			reads(text, &records, func(uint64) {})
			reads(files.FileStream(ssc, dir, decode, files.Matching("*.words"), files.Reading(opts...)), &words, func(uint64) {})
			return nil
		}
	}
	if err := enginetest.Stream(t, program(rdd.OnBadRecord(rdd.Skip())), "--until-end"); err != nil {
		t.Fatal(err)
	}
	check(t, records, "abcd efgh ijkl")
	check(t, words, "c.words x y")
	err := enginetest.Stream(t, program(), "--until-end", "--conf", "task.maxFailures=1")
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "d.words")+": it is bad") {
		t.Errorf("a bad file: %v", err)
	}
	write(t, filepath.Join(dir, "odd.bin"), "abc", 5)
	err = enginetest.Stream(t, program(rdd.OnBadRecord(rdd.Skip())), "--until-end", "--conf", "task.maxFailures=1")
	if !errors.Is(err, stored.ErrDamaged) || !strings.Contains(err.Error(), "odd.bin ends within a record of 4 bytes") {
		t.Errorf("a file that ends within a record: %v", err)
	}
}

// On executor processes each reads what the driver has listed.
func TestOnCluster(t *testing.T) {
	var got []read
	err := enginetest.OnCluster(t, func(ssc *engine.StreamingContext) error {
		dir := engine.Value(ssc, "dir", func(context.Context) (string, error) {
			dir, err := os.MkdirTemp("", "hibana-files-")
			for i := range 4 {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(fmt.Sprint(i)), 0o600))
			}
			return dir, err
		})
		reads(files.TextFileStream(ssc, dir, files.Every(50*time.Millisecond)), &got, func(uint64) {
			if len(got) > 0 {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
				ssc.Stop()
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got[0].rows)
	check(t, got, "0 1 2 3")
}

// What can't be meant fails the program before it begins.
func TestErrorsOfStreams(t *testing.T) {
	dir := t.TempDir()
	whole := func(string, []byte) ([]int, error) { return nil, nil }
	for name, c := range map[string]struct {
		build func(ssc *engine.StreamingContext)
		says  string
	}{
		"no address":      {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, "") }, "it is empty"},
		"no driver":       {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, "s3://b/c") }, "gocloud.dev/blob/s3blob"},
		"no interval":     {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, dir, files.Every(0)) }, "files.Every(0s)"},
		"no files":        {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, dir, files.MaxFiles(0)) }, "files.MaxFiles(0)"},
		"no memory":       {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, dir, files.Remember(1e6)) }, "files.Remember(1000000)"},
		"no pattern":      {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, dir, files.Matching("[")) }, `files.Matching("[")`},
		"no option":       {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, dir, nil) }, "an option is nil"},
		"another option":  {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, dir, files.Reading(rdd.NoHeader())) }, "rdd.NoHeader"},
		"no record":       {func(ssc *engine.StreamingContext) { files.BinaryRecordsStream(ssc, dir, 0) }, "records of 0 bytes"},
		"no function":     {func(ssc *engine.StreamingContext) { files.FileStream[int](ssc, dir, nil) }, rdd.ErrNilFunction.Error()},
		"a line's option": {func(ssc *engine.StreamingContext) { files.FileStream(ssc, dir, whole, files.Reading(rdd.MaxLine(1))) }, "rdd.MaxLine"},
		"a relative path": {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, "in") }, "it is a relative path"},
		"no directory":    {func(ssc *engine.StreamingContext) { files.TextFileStream(ssc, dir+"/file") }, "not a directory"},
	} {
		write(t, filepath.Join(dir, "file"), "x", 1)
		err := enginetest.Stream(t, func(ssc *engine.StreamingContext) error {
			c.build(ssc)
			engine.ForEachBatch(enginetest.Queue(ssc, [][]int{{1}}, 1), func(engine.Batch, []int) error { ssc.Stop(); return nil })
			return nil
		}, "--checkpoint", filepath.Join(t.TempDir(), "c"))
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "files/stream_test.go:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

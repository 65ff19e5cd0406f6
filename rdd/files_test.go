package rdd_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

func TestWholeFiles(t *testing.T) {
	gz, zst := packed(t, "packed\ntext")
	contents := map[string]string{"a": "one\r\ntwo", "b": "", "c.gz": gz, "d.zst": zst, "e": strings.Repeat("x", 1<<20), "f": "1", "g": "2"}
	dir := writeFiles(t, contents)
	for _, n := range []int{1, 2, 7, 100} {
		sc := rddtest.NewContext(1)
		texts := rdd.WholeTextFiles(sc, dir, rdd.MinPartitions(n))
		got := make(map[string]string)
		for _, f := range flat(t, texts) {
			got[filepath.Base(f.Key)] = f.Value
		}
		want := maps.Clone(contents)
		want["c.gz"], want["d.zst"] = "packed\ntext", "packed\ntext"
		if !maps.Equal(got, want) || texts.NumPartitions() > n || n == 1 && texts.NumPartitions() != 1 {
			t.Errorf("%d partitions: %.200q", texts.NumPartitions(), got)
		}
		clear(got)
		for _, f := range flat(t, rdd.BinaryFiles(sc, dir, rdd.MinPartitions(n))) {
			got[filepath.Base(f.Key)] = string(f.Value)
		}
		if !maps.Equal(got, contents) {
			t.Errorf("bytes: %.200q", got)
		}
	}
}

// saved is what one of the tests saves.
type saved struct {
	Name string
	N    int
}

// What is saved is read back, in its partitions where these are kept.
func TestSave(t *testing.T) {
	for _, partitions := range []int{0, 1, 3, 12} {
		sc := rddtest.NewContext(2)
		numbers := noPartitions[int](sc)
		if partitions > 0 {
			numbers = ints(sc, 10, partitions)
		}
		dir := t.TempDir()
		for _, opt := range []rdd.FileOption{nil, rdd.Gzip(), rdd.Zstd()} {
			out := filepath.Join(dir, fmt.Sprint("text", opt != nil, partitions, len(dirEntries(t, dir))))
			if err := rdd.SaveAsTextFile(numbers, out, opt); err != nil {
				t.Fatal(err)
			}
			if n := len(dirEntries(t, out)); n != partitions+1 {
				t.Errorf("%d partitions are %d files", partitions, n)
			}
			var want []string
			for _, n := range flat(t, numbers) {
				want = append(want, fmt.Sprint(n))
			}
			if got := flat(t, rdd.TextFile(sc, out)); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		structs := rdd.Map(numbers, func(n int) saved { return saved{fmt.Sprint("number ", n), n} })
		out := filepath.Join(dir, "objects")
		if err := rdd.SaveAsObjectFile(structs, out); err != nil {
			t.Fatal(err)
		}
		back := rdd.ObjectFile[saved](sc, out)
		got, err := rddtest.Glom(back)
		want, err2 := rddtest.Glom(structs)
		if errors.Join(err, err2) != nil || fmt.Sprint(got) != fmt.Sprint(want) || back.NumPartitions() != partitions {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
}

func dirEntries(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A directory that is there is an error, what fails leaves none that looks whole, and what
// is replaced counts until then.
func TestErrorsOfSaving(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	save := func(fail bool, opts ...rdd.FileOption) error {
		return rdd.SaveAsTextFile(rdd.TryMap(ints(rddtest.NewContext(2), 4, 2), func(n int) (int, error) {
			if fail && n == 4 {
				return 0, errors.New("four")
			}
			return n, nil
		}), out, opts...)
	}
	read := func() (int64, error) { return rdd.Count(rdd.TextFile(rddtest.NewContext(2), out)) }
	if err := save(true); err == nil || !strings.Contains(err.Error(), "four") {
		t.Errorf("a task that fails: %v", err)
	}
	if n, err := read(); err == nil && n > 0 {
		t.Errorf("%d lines of an action that failed", n)
	}
	if err := save(false); err != nil {
		t.Fatal(err)
	}
	if err := save(false); !errors.Is(err, files.ErrExists) || !strings.Contains(err.Error(), "rdd.Overwrite()") || !strings.Contains(err.Error(), "saveAsTextFile at rdd/files_test.go") {
		t.Errorf("a directory that is there: %v", err)
	}
	if err := save(true, rdd.Overwrite()); err == nil {
		t.Error("a task that fails")
	}
	if n, err := read(); n != 4 || err != nil {
		t.Errorf("%d lines of what wasn't replaced, %v", n, err)
	}
	if err := save(false, rdd.Overwrite()); err != nil {
		t.Fatal(err)
	}
	if n, err := read(); n != 4 || err != nil || len(dirEntries(t, out)) != 3 {
		t.Errorf("%d lines of what was replaced, %v, %v", n, err, dirEntries(t, out))
	}
	if err := rdd.SaveAsObjectFile(ints(rddtest.NewContext(2), 4, 2), t.TempDir(), rdd.Gzip()); !errors.Is(err, rdd.ErrArgument) {
		t.Errorf("an option that means nothing: %v", err)
	}
	if err := rdd.SaveAsObjectFile(rdd.Map(ints(rddtest.NewContext(2), 4, 2), func(int) chan int { return nil }), t.TempDir()); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("a type that can't be encoded: %v", err)
	}
	if err := save(false, rdd.Overwrite()); err != nil {
		t.Fatal(err)
	}
	if _, err := rdd.Count(rdd.ObjectFile[int](rddtest.NewContext(1), out)); !errors.Is(err, files.ErrDamaged) {
		t.Errorf("a text file as one of objects: %v", err)
	}
}

// Files of objects that aren't whole, or of another type, aren't read.
func TestErrorsOfObjectFiles(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	sc := rddtest.NewContext(2)
	if err := rdd.SaveAsObjectFile(ints(sc, 100_000, 1), out); err != nil {
		t.Fatal(err)
	}
	if _, err := rdd.Count(rdd.ObjectFile[string](sc, out)); !errors.Is(err, rdd.ErrEncoding) || !strings.Contains(err.Error(), "of type int, not string") {
		t.Errorf("another type: %v", err)
	}
	part := rdd.ObjectFile[int](sc, out)
	name, err := filepath.Glob(out + "/part-*")
	if err != nil || len(name) != 1 {
		t.Fatal(name, err)
	}
	whole, err := os.ReadFile(name[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 5, 30, len(whole) / 2, len(whole) - 20, len(whole) - 1} {
		flipped := slices.Clone(whole)
		flipped[at] ^= 4
		for what, b := range map[string][]byte{"cut short": whole[:at], "flipped": flipped} {
			if err := os.WriteFile(name[0], b, 0o600); err != nil {
				t.Fatal(err)
			}
			if n, err := rdd.Count(part); !errors.Is(err, files.ErrDamaged) || !strings.Contains(err.Error(), name[0]) {
				t.Errorf("%s at %d of %d: %d elements, %v", what, at, len(whole), n, err)
			}
			if n, err := rdd.Count(rdd.ObjectFile[int](sc, name[0])); err == nil {
				t.Errorf("%s at %d of %d: %d elements", what, at, len(whole), n)
			}
		}
	}
}

// row is a record of CSV and of JSON.
type row struct {
	Name string    `csv:"name" json:"name"`
	Age  *int      `csv:"age" json:"age"`
	At   time.Time `csv:"at" json:"at"`
	Own  int       `csv:"-" json:"-"`
}

func (r row) String() string {
	age := "-"
	if r.Age != nil {
		age = fmt.Sprint(*r.Age)
	}
	return fmt.Sprintf("%s %s %s", r.Name, age, r.At.Format(time.DateOnly))
}

const (
	csvText  = "\ufeffat,other,name,age\n2026-11-29T00:00:00Z,x,Ada,36\r\n\n2026-11-30T00:00:00Z,\"x, y\",\"Bo \"\"B\"\"\",\n2026-12-01T00:00:00Z,,Cy,7\n"
	jsonText = "\ufeff{\"name\":\"Ada\",\"age\":36,\"at\":\"2026-11-29T00:00:00Z\"}\r\n\n {\"name\":\"Bo \\\"B\\\"\",\"at\":\"2026-11-30T00:00:00Z\"}\n{\"name\":\"Cy\",\"age\":7,\"at\":\"2026-12-01T00:00:00Z\"}"
	rowsText = `[Ada 36 2026-11-29 Bo "B" - 2026-11-30 Cy 7 2026-12-01]`
)

func TestStructsOfLines(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"csv": csvText, "json": jsonText, "empty": "",
		"plain.csv": "Ada;36;2026-11-29T00:00:00Z\n\"Bo \"\"B\"\"\";;2026-11-30T00:00:00Z\nCy;7;2026-12-01T00:00:00Z\n",
		"multi.csv": "name,at,age\nAda,2026-11-29T00:00:00Z,36\n\"Bo\nB\",2026-11-30T00:00:00Z,\nCy,2026-12-01T00:00:00Z,7\n",
	})
	for size := int64(1); size < 200; size += 7 {
		sc := rddtest.NewContext(1)
		for what, r := range map[string]*rdd.RDD[row]{
			"csv":       rdd.CSV[row](sc, dir+"/csv", rdd.SplitSize(size)),
			"json":      rdd.JSONLines[row](sc, dir+"/json", rdd.SplitSize(size)),
			"no header": rdd.CSV[row](sc, dir+"/plain.csv,"+dir+"/empty", rdd.SplitSize(size), rdd.NoHeader(), rdd.Comma(';')),
			"both":      rdd.CSV[row](sc, dir+"/plain.csv", rdd.MultiLine(), rdd.NoHeader(), rdd.Comma(';')),
			"whole csv": rdd.CSV[row](sc, dir+"/csv", rdd.SplitSize(size), rdd.MultiLine()),
		} {
			if got := fmt.Sprint(flat(t, r)); got != rowsText {
				t.Errorf("%s in parts of %d bytes: %s", what, size, got)
			}
		}
	}
	sc := rddtest.NewContext(1)
	if got := fmt.Sprint(flat(t, rdd.CSV[row](sc, dir+"/multi.csv", rdd.MultiLine(), rdd.SplitSize(1)))); got != strings.Replace(rowsText, `Bo "B"`, "Bo\nB", 1) {
		t.Error(got)
	}
}

// A bad line fails the task with its place, is left out, or goes to a function.
func TestBadLines(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"csv":   "name,age,at\nAda,36,2026-11-29T00:00:00Z\nBo,many,2026-11-30T00:00:00Z\nCy\n\"Di,1,2026-11-30T00:00:00Z\nEd,8,2026-12-01T00:00:00Z\n",
		"json":  "{\"name\":\"Ada\"}\n{\"name\":7}\n\n{\"name\":\n{}\n",
		"no":    "name,at\n",
		"multi": "name,age,at\nAda,36,2026-11-29T00:00:00Z\nBo,many,2026-11-30T00:00:00Z\n\"a\nb\",x,y\n",
		"quote": "name,age,at\n\"" + strings.Repeat("x", 200_000),
	})
	of := func(name string, opts ...rdd.FileOption) *rdd.RDD[row] {
		sc := rddtest.NewContext(1)
		if name == "json" {
			return rdd.JSONLines[row](sc, dir+"/"+name, opts...)
		}
		if name == "multi" || name == "quote" {
			opts = append(opts, rdd.MultiLine(), rdd.MaxLine(1000))
		}
		return rdd.CSV[row](sc, dir+"/"+name, opts...)
	}
	for name, c := range map[string]struct {
		says string
		good int64
	}{
		"csv":   {`line 3 of ` + dir + `/csv: column "age": "many" is no int: invalid syntax; to go on`, 2},
		"json":  {`line 2 of ` + dir + `/json: json: cannot unmarshal number`, 2},
		"multi": {`line 3 of ` + dir + `/multi: column "age": "many" is no int: invalid syntax; to go on`, 1},
		"no":    {`has no column "age"`, -1},
		"quote": {"before byte 65600 has more than 1000 bytes", -1},
	} {
		for _, split := range []rdd.FileOption{rdd.MinPartitions(1), rdd.SplitSize(30)} {
			if _, err := rdd.Count(of(name, split)); err == nil || c.good >= 0 && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
			n, err := rdd.Count(of(name, split, rdd.OnBadRecord(rdd.Skip())))
			if c.good < 0 && err == nil || c.good >= 0 && (n != c.good || err != nil) {
				t.Errorf("%s: %d good ones, %v", name, n, err)
			}
		}
	}
	var letters []string
	n, err := rdd.Count(of("csv", rdd.OnBadRecord(rdd.DeadLetter(func(_ rdd.Part, line string, err error) error {
		letters = append(letters, fmt.Sprintf("%s: %v", line, err))
		return nil
	}))))
	if err != nil || n != 2 || len(letters) != 3 || !strings.HasPrefix(letters[1], "Cy: bad record in partition 0 at index 2: line 4 of") || !strings.Contains(letters[2], "use rdd.MultiLine()") {
		t.Errorf("%d good ones, %v; %q", n, err, letters)
	}
	for what, build := range map[string]func(sc *rdd.Context){
		"no struct": func(sc *rdd.Context) { rdd.CSV[int](sc, dir) },
		"a field":   func(sc *rdd.Context) { rdd.CSV[struct{ C chan int }](sc, dir) },
		"no field":  func(sc *rdd.Context) { rdd.CSV[struct{ c int }](sc, dir) },
		"one column": func(sc *rdd.Context) {
			rdd.CSV[struct {
				A, B int `csv:"x"`
			}](sc, dir)
		},
		"comma":         func(sc *rdd.Context) { rdd.CSV[row](sc, dir, rdd.Comma('"')) },
		"option of CSV": func(sc *rdd.Context) { rdd.JSONLines[row](sc, dir, rdd.NoHeader()) },
		"letters' types": func(sc *rdd.Context) {
			rdd.JSONLines[row](sc, dir, rdd.OnBadRecord(rdd.DeadLetter(func(rdd.Part, row, error) error { return nil })))
		},
	} {
		sc := rddtest.NewContext(1)
		build(sc)
		if err := sc.Lineage().Err(); !errors.Is(err, rdd.ErrArgument) || !strings.Contains(err.Error(), "rdd/files_test.go") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A task counts the records that it reads, also those that it leaves out, and neither
// headers nor blank lines.
func TestRecordsOfFilesAreCounted(t *testing.T) {
	type row struct{ A, B int }
	dir := writeFiles(t, map[string]string{
		"csv":  "A,B\n1,2\n\nbad\n3,4\n5,six\n7,8\n",
		"json": "{\"A\": 1}\n\n{\"A\": \n{}\n",
		"text": "a\n\nb\n",
	})
	skip := rdd.OnBadRecord(rdd.Skip())
	sc := rddtest.NewContext(2)
	for name, c := range map[string]struct {
		read, bad int64
		counted   func() task.Metrics
	}{
		"csv":           {5, 2, tasksOf(t, rdd.CSV[row](sc, dir+"/csv", rdd.MinPartitions(1), skip))},
		"csv in parts":  {5, 2, tasksOf(t, rdd.CSV[row](sc, dir+"/csv", rdd.SplitSize(4), skip))},
		"csv in lines":  {5, 2, tasksOf(t, rdd.CSV[row](sc, dir+"/csv", rdd.MultiLine(), skip))},
		"json":          {3, 1, tasksOf(t, rdd.JSONLines[row](sc, dir+"/json", rdd.MinPartitions(1), skip))},
		"json in parts": {3, 1, tasksOf(t, rdd.JSONLines[row](sc, dir+"/json", rdd.SplitSize(3), skip))},
		"text":          {3, 0, tasksOf(t, rdd.TextFile(sc, dir+"/text"))},
	} {
		if m := c.counted(); m.RecordsRead != c.read || m.BadRecords != c.bad {
			t.Errorf("%s: %d records read, %d bad ones; want %d and %d", name, m.RecordsRead, m.BadRecords, c.read, c.bad)
		}
	}
}

// tasksOf returns what adds up what the tasks of an RDD count.
func tasksOf[T any](t *testing.T, r *rdd.RDD[T]) func() task.Metrics {
	return func() (all task.Metrics) {
		for p := range r.NumPartitions() {
			_, m := readCounting(t, r, p)
			all.Add(m)
		}
		return all
	}
}

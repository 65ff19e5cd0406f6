package rdd_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

func text(i int) string { return fmt.Sprintf("%c", 'a'+i-1) }

func TestZip(t *testing.T) {
	sc := rddtest.NewContext(2)
	for _, c := range []struct {
		n, partitions int
		want          string
	}{
		{0, 1, "[[]]"},
		{1, 3, "[[] [] [{1 a}]]"},
		{5, 2, "[[{1 a} {2 b}] [{3 c} {4 d} {5 e}]]"},
	} {
		in := ints(sc, c.n, c.partitions)
		got, err := rddtest.Glom(rdd.Zip(in, rdd.Map(in, text)))
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("got %v, want %s; %v", got, c.want, err)
		}
	}
	none := sourceOf[int](sc)
	check(t, rdd.Zip(none, none), [][]rdd.Tuple[int, int]{})
}

// Many elements, among them as many as are read ahead.
func TestLongZip(t *testing.T) {
	sc := rddtest.NewContext(1)
	for _, n := range []int{127, 128, 129, 1000} {
		in := ints(sc, n, 1)
		got := flat(t, rdd.Zip(in, rdd.Map(in, negate)))
		for i, kv := range got {
			if kv.First != i+1 || kv.Second != -i-1 {
				t.Fatalf("element %d of %d is %v", i, n, kv)
			}
		}
		if len(got) != n {
			t.Errorf("%d elements of %d", len(got), n)
		}
	}
}

func negate(i int) int { return -i }

// sourceOf makes an RDD of the given partitions.
func sourceOf[T any](sc *rdd.Context, partitions ...[]T) *rdd.RDD[T] {
	return rdd.Source(sc, "source", lineage.Site{File: "f.go", Line: 1}, len(partitions), func(tc *task.Context, p int) iter.Seq2[T, error] {
		return rdd.Elements(tc, partitions[p])
	})
}

func TestZipOfUnequalLengths(t *testing.T) {
	for _, c := range []struct {
		left, right int
		want        string
	}{
		{3, 2, "one of the partitions 1 has 2 elements, that of the RDD that was zipped with argument 1 has more"},
		{2, 3, "one of the partitions 1 has 2 elements, that of argument 1 has more"},
		{0, 1, "one of the partitions 1 has 0 elements, that of argument 1 has more"},
		{128, 129, "has 128 elements"},
		{129, 128, "has 128 elements"},
	} {
		sc := rddtest.NewContext(1)
		zipped := rdd.Zip(sourceOf(sc, nil, make([]int, c.left)), sourceOf(sc, nil, make([]int, c.right)))
		_, err := rddtest.Glom(zipped)
		of, ok := errors.AsType[*rdd.OpError](err)
		if !errors.Is(err, rdd.ErrUnequal) || !ok || of.Op != "zip" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d and %d: %v", c.left, c.right, err)
		}
	}
}

// Of two faults, that of the input is told, not that the other side is longer.
func TestZipTellsTheInputsError(t *testing.T) {
	sc := rddtest.NewContext(1)
	long, broken := ints(sc, 500, 1), brokenAfter(sc, 130)
	for name, r := range map[string]*rdd.RDD[rdd.Tuple[int, int]]{"left": rdd.Zip(broken, long), "right": rdd.Zip(long, broken)} {
		if n, err := readAll(r); !errors.Is(err, errDisk) || n != 130 {
			t.Errorf("%s: %d elements, then %v", name, n, err)
		}
	}
}

// errDisk is the error of sources that can't be read to their end.
var errDisk = errors.New("the disk is gone")

// brokenAfter makes an RDD of the numbers from 1 to n, after which it can't be read.
func brokenAfter(sc *rdd.Context, n int) *rdd.RDD[int] {
	return rdd.Source(sc, "broken", lineage.Site{File: "f.go", Line: 1}, 1, func(*task.Context, int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i+1, nil) {
					return
				}
			}
			yield(0, errDisk)
		}
	})
}

// readAll reads the first partition to its end.
func readAll[T any](r *rdd.RDD[T]) (n int, failed error) {
	e := rddtest.NewReference()
	if err := e.Prepare(r.Node()); err != nil {
		return 0, err
	}
	for _, err := range r.Compute(e.Task(r.Node(), 0), 0) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Who reads only the first elements is not told of what comes later.
func TestZipIsLazy(t *testing.T) {
	sc := rddtest.NewContext(1)
	zipped := rdd.Zip(ints(sc, 500, 1), ints(sc, 400, 1))
	codec, err := encoding.For[rdd.Tuple[int, int]]()
	if err != nil {
		t.Fatal(err)
	}
	a := rdd.CollectAction(zipped, "take", codec, 2, 1000)
	b, err := a.Run(rddtest.NewReference().Task(zipped.Node(), 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := rdd.DecodeRows(codec, [][]byte{b}); err != nil || fmt.Sprint(rows) != "[{1 1} {2 2}]" {
		t.Error(rows, err)
	}
}

// A panic on either side is blamed on the operator that it is from.
func TestBlameOfZip(t *testing.T) {
	boom := func(int) int { panic("boom") }
	after := func(rdd.Tuple[int, int]) int { panic("boom") }
	first := func(v rdd.Tuple[int, int]) int { return v.First }
	for name, build := range map[string]func(in *rdd.RDD[int]) *rdd.RDD[int]{
		"left":  func(in *rdd.RDD[int]) *rdd.RDD[int] { return rdd.Map(rdd.Zip(rdd.Map(in, boom), in), first) },
		"right": func(in *rdd.RDD[int]) *rdd.RDD[int] { return rdd.Map(rdd.Zip(in, rdd.Map(in, boom)), first) },
		"after": func(in *rdd.RDD[int]) *rdd.RDD[int] { return rdd.Map(rdd.Zip(in, in), after) },
	} {
		sc := rddtest.NewContext(1)
		err := runGuarded(sc, forEachPartition(build(ints(sc, 3, 1)), drained[int]))
		p, ok := errors.AsType[*rdd.PanicError](err)
		if !ok || p.Op != "map" || !strings.Contains(p.Stack, "TestBlameOfZip") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// drained reads a sequence to its end.
func drained[T any](_ *task.Context, rows iter.Seq2[T, error]) ([]byte, error) {
	for _, err := range rows {
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func TestZipPartitions(t *testing.T) {
	sc := rddtest.NewContext(1)
	both := func(p rdd.Part, left iter.Seq[int], right iter.Seq[string]) iter.Seq[string] {
		return func(yield func(string) bool) {
			yield(fmt.Sprint(p.Index, slices.Collect(left), slices.Collect(right)))
		}
	}
	left, right := sourceOf(sc, []int{1, 2}, nil, nil), sourceOf(sc, []string{"a"}, []string{"b"}, nil)
	check(t, rdd.ZipPartitions(left, right, both), [][]string{{"0 [1 2] [a]"}, {"1 [] [b]"}, {"2 [] []"}})

	greedy := func(_ rdd.Part, left, right iter.Seq[int]) iter.Seq[int] { return right }
	short := func(_ rdd.Part, left, right iter.Seq[int]) iter.Seq[int] {
		return func(yield func(int) bool) {
			for range left {
			}
			yield(1)
		}
	}
	broken, good := brokenAfter(sc, 3), ints(sc, 9, 1)
	for name, c := range map[string]struct {
		r    *rdd.RDD[int]
		rows int
	}{
		"the error of what is read":       {rdd.ZipPartitions(good, broken, greedy), 3},
		"nothing is taken after an error": {rdd.ZipPartitions(broken, good, short), 0},
	} {
		if n, err := readAll(c.r); !errors.Is(err, errDisk) || n != c.rows {
			t.Errorf("%s: %d elements, then %v", name, n, err)
		}
	}
	if n, err := readAll(rdd.ZipPartitions(broken, good, greedy)); err != nil || n != 9 {
		t.Errorf("what isn't read doesn't matter: %d, %v", n, err)
	}
}

func TestZipWithIndex(t *testing.T) {
	sc := rddtest.NewContext(3)
	type indexed = rdd.Pair[int64, string]
	in := sourceOf(sc, []string{"a", "b"}, nil, []string{"c"}, []string{"d", "e"})
	check(t, rdd.ZipWithIndex(in), [][]indexed{{{0, "a"}, {1, "b"}}, {}, {{2, "c"}}, {{3, "d"}, {4, "e"}}})
	check(t, rdd.ZipWithIndex(sourceOf(sc, []string{"a", "b"})), [][]indexed{{{0, "a"}, {1, "b"}}})
	check(t, rdd.ZipWithIndex(sourceOf[string](sc)), [][]indexed{})
	check(t, rdd.ZipWithIndex(sourceOf(sc, []string{}, nil)), [][]indexed{{}, {}})
}

// One partition needs no count; more are counted in one stage, and added up in one task.
func TestStagesOfZipWithIndex(t *testing.T) {
	for partitions, want := range map[int]int{1: 0, 2: 2} {
		sc := rddtest.NewContext(1)
		r := rdd.ZipWithIndex(ints(sc, 4, partitions))
		shuffles := 0
		for sc.Lineage().Shuffle(shuffles) != nil {
			shuffles++
		}
		if shuffles != want || r.NumPartitions() != partitions {
			t.Errorf("%d partitions: %d shuffles, %d partitions", partitions, shuffles, r.NumPartitions())
		}
	}
}

// Elements that were counted and aren't there would leave numbers out, or give them twice.
func TestZipWithIndexOfWhatChanges(t *testing.T) {
	sc := rddtest.NewContext(1)
	times := 0
	in := rdd.Source(sc, "source", lineage.Site{}, 2, func(tc *task.Context, p int) iter.Seq2[int, error] {
		times++
		return rdd.Elements(tc, make([]int, times))
	})
	_, err := rddtest.Glom(rdd.ZipWithIndex(in))
	if !errors.Is(err, rdd.ErrUnequal) || !strings.Contains(err.Error(), "partition 0 had 1 elements when they were counted and has 3 now") {
		t.Error(err)
	}
}

func TestZipWithUniqueID(t *testing.T) {
	sc := rddtest.NewContext(3)
	type indexed = rdd.Pair[int64, string]
	in := sourceOf(sc, []string{"a", "b"}, nil, []string{"c"})
	check(t, rdd.ZipWithUniqueID(in), [][]indexed{{{0, "a"}, {3, "b"}}, {}, {{2, "c"}}})
	check(t, rdd.ZipWithUniqueID(sourceOf[string](sc)), [][]indexed{})
}

func TestCartesian(t *testing.T) {
	sc := rddtest.NewContext(1)
	a, b := sourceOf(sc, []int{1, 2}, nil, []int{3}), sourceOf(sc, []string{"x", "y"}, []string{"z"})
	type both = rdd.Tuple[int, string]
	check(t, rdd.Cartesian(a, b), [][]both{{{1, "x"}, {1, "y"}, {2, "x"}, {2, "y"}}, {{1, "z"}, {2, "z"}}, {}, {}, {{3, "x"}, {3, "y"}}, {{3, "z"}}})
	check(t, rdd.Cartesian(sourceOf[int](sc), b), [][]both{})
	check(t, rdd.Cartesian(a, sourceOf[string](sc)), [][]both{})

	// More than is held at once.
	computed := 0
	left := rdd.Map(ints(sc, 3, 1), func(i int) int { computed++; return i })
	got := flat(t, rdd.Cartesian(left, rdd.Range(sc, 0, 10_000, 1, rdd.Partitions(1))))
	slices.SortStableFunc(got, func(a, b rdd.Tuple[int, int]) int { return a.First - b.First })
	for i, v := range got {
		if v.First != i/10_000+1 || v.Second != i%10_000 {
			t.Fatalf("tuple %d is %v", i, v)
		}
	}
	if len(got) != 30_000 || computed != 9 {
		t.Errorf("%d tuples, %d elements computed", len(got), computed)
	}
}

func TestTupleCodec(t *testing.T) {
	codec, err := encoding.For[rdd.Tuple[string, []int]]()
	if err != nil {
		t.Fatal(err)
	}
	want := rdd.Tuple[string, []int]{"a", []int{1, 2}}
	b, err := codec.Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	got, rest, err := codec.Decode(append(b, 7))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || len(rest) != 1 {
		t.Error(got, rest, err)
	}
	for i := range b {
		if _, _, err := codec.Decode(b[:i]); err == nil {
			t.Errorf("%d bytes of %d were read", i, len(b))
		}
	}
	if _, err := encoding.For[rdd.Tuple[int, func()]](); err == nil {
		t.Error("a function was thought encodable")
	}
}

func TestErrorsOfZip(t *testing.T) {
	foreign := ints(rddtest.NewContext(1), 1, 1)
	zips := func(_ rdd.Part, a, b iter.Seq[int]) iter.Seq[int] { return a }
	for name, c := range map[string]struct {
		build func(sc *rdd.Context)
		op    string
		want  error
	}{
		"zip of more":         {func(sc *rdd.Context) { rdd.Zip(ints(sc, 1, 1), ints(sc, 1, 2)) }, "zip", rdd.ErrUnequal},
		"zip of a zip":        {func(sc *rdd.Context) { rdd.Zip(ints(sc, 1, 1), rdd.Zip(ints(sc, 1, 2), ints(sc, 1, 2))) }, "zip", rdd.ErrUnequal},
		"zip of nil":          {func(sc *rdd.Context) { rdd.Zip[int, int](ints(sc, 1, 1), nil) }, "zip", rdd.ErrNil},
		"zip of another":      {func(sc *rdd.Context) { rdd.Zip(ints(sc, 1, 1), foreign) }, "zip", rdd.ErrForeign},
		"partitions of more":  {func(sc *rdd.Context) { rdd.ZipPartitions(ints(sc, 1, 1), ints(sc, 1, 2), zips) }, "zipPartitions", rdd.ErrUnequal},
		"partitions by nil":   {func(sc *rdd.Context) { rdd.ZipPartitions[int, int, int](ints(sc, 1, 1), ints(sc, 1, 1), nil) }, "zipPartitions", rdd.ErrNilFunction},
		"product with nil":    {func(sc *rdd.Context) { rdd.Cartesian[int, int](ints(sc, 1, 1), nil) }, "cartesian", rdd.ErrNil},
		"product of another":  {func(sc *rdd.Context) { rdd.Cartesian(ints(sc, 1, 1), foreign) }, "cartesian", rdd.ErrForeign},
		"product of too many": {func(sc *rdd.Context) { rdd.Cartesian(ints(sc, 1, 2000), ints(sc, 1, 2000)) }, "cartesian", rdd.ErrPartitions},
	} {
		checkRefused(t, name, c.op, c.build, c.want)
	}
}

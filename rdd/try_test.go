package rdd_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// errOdd is what picky says of what it refuses.
var errOdd = errors.New("it is odd")

func picky(i int) (int, error) {
	if i%2 == 1 {
		return -1, fmt.Errorf("refusing %d: %w", i, errOdd)
	}
	return i * 10, nil
}

// tries are the operators whose functions may fail, each refusing odd numbers.
func tries(in *rdd.RDD[int], opts ...rdd.TryOption) map[string]*rdd.RDD[int] {
	return map[string]*rdd.RDD[int]{
		"tryMap":    rdd.TryMap(in, picky, opts...),
		"tryFilter": in.TryFilter(func(i int) (bool, error) { _, err := picky(i); return i > 2, err }, opts...),
		"tryFlatMap": rdd.TryFlatMap(in, func(i int) ([]int, error) {
			_, err := picky(i)
			return []int{i, -i}, err
		}, opts...),
	}
}

func TestTry(t *testing.T) {
	sc := rddtest.NewContext(1)
	want := map[string]string{"tryMap": "[[20 40] [] [60]]", "tryFilter": "[[4] [] [6]]", "tryFlatMap": "[[2 -2 4 -4] [] [6 -6]]"}
	for op, r := range tries(sourceOf(sc, []int{2, 4}, nil, []int{6})) {
		got, err := rddtest.Glom(r)
		if err != nil || fmt.Sprint(got) != want[op] {
			t.Errorf("%s: %v, want %s; %v", op, got, want[op], err)
		}
	}
}

// By default a bad record fails the task with its coordinates.
func TestBadRecordFails(t *testing.T) {
	sc := rddtest.NewContext(1)
	in := sourceOf(sc, []int{2, 4}, []int{6, 8, 9, 11})
	for _, opts := range [][]rdd.TryOption{nil, {nil}, {rdd.OnBadRecord(rdd.Skip()), rdd.OnBadRecord(rdd.Fail())}} {
		for op, r := range tries(in, opts...) {
			_, err := rddtest.Glom(r)
			of, ok := errors.AsType[*rdd.OpError](err)
			bad, isBad := errors.AsType[*rdd.BadRecordError](err)
			if !ok || !isBad || of.Op != op || of.Site != r.Node().Site || bad.Partition != 1 || bad.Index != 2 || !errors.Is(err, errOdd) {
				t.Errorf("%s: %v", op, err)
				continue
			}
			want := op + " at rdd/try_test.go:" + strconv.Itoa(of.Site.Line) + ": bad record in partition 1 at index 2: refusing 9: it is odd; to go on without such records use rdd.OnBadRecord(rdd.Skip()) or rdd.DeadLetter"
			if err.Error() != want {
				t.Errorf("it says\n%v, want\n%s", err, want)
			}
		}
	}
}

// Records that are left out are counted, by the partition that had them.
func TestBadRecordsAreSkipped(t *testing.T) {
	sc := rddtest.NewContext(1)
	want := map[string]string{"tryMap": "[60 80]", "tryFilter": "[6 8]", "tryFlatMap": "[6 -6 8 -8]"}
	for op, r := range tries(sourceOf(sc, []int{1}, []int{6, 7, 8, 9}), rdd.OnBadRecord(rdd.Skip())) {
		got, m := readCounting(t, r.Union(sourceOf[int](sc)), 1)
		if fmt.Sprint(got) != want[op] || m.BadRecords != 2 {
			t.Errorf("%s: %v, %d bad records", op, got, m.BadRecords)
		}
		if _, m := readCounting(t, sourceOf(sc, []int{1}).Union(r), 1); m.BadRecords != 1 {
			t.Errorf("%s below a union: %d bad records", op, m.BadRecords)
		}
	}
}

// readCounting returns the elements of a partition and what its task counted.
func readCounting[T any](t *testing.T, r *rdd.RDD[T], partition int) (rows []T, m task.Metrics) {
	t.Helper()
	tc := rddtest.NewReference().Task(r.Node(), partition)
	for v, err := range r.Compute(tc, partition) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, v)
	}
	return rows, tc.Counted()
}

func TestDeadLetters(t *testing.T) {
	sc := rddtest.NewContext(1)
	in := sourceOf(sc, []int{1}, []int{6, 7, 8, 9})
	var letters []string
	write := func(p rdd.Part, record int, err error) error {
		bad, ok := errors.AsType[*rdd.BadRecordError](err)
		if !ok || !errors.Is(err, errOdd) || bad.Partition != p.Index {
			t.Errorf("the reason is %v", err)
		}
		letters = append(letters, fmt.Sprintf("%d in %d at %d", record, p.Index, bad.Index))
		return nil
	}
	for op, r := range tries(in, rdd.OnBadRecord(rdd.DeadLetter(write))) {
		letters = nil
		got, m := readCounting(t, r, 1)
		if len(got) == 0 || m.BadRecords != 2 || fmt.Sprint(letters) != "[7 in 1 at 1 9 in 1 at 3]" {
			t.Errorf("%s: %v, %d bad records, letters %v", op, got, m.BadRecords, letters)
		}
	}
	full := errors.New("the box is full")
	for op, r := range tries(in, rdd.OnBadRecord(rdd.DeadLetter(func(rdd.Part, int, error) error { return full }))) {
		_, err := rddtest.Glom(r)
		of, ok := errors.AsType[*rdd.OpError](err)
		if !ok || of.Op != op || !errors.Is(err, full) || !errors.Is(err, errOdd) || !strings.Contains(err.Error(), "bad record in partition 0 at index 0") {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// A function of dead letters that fails may do better at the next attempt, also where the
// record won't.
func TestFailedLetterIsTriedAgain(t *testing.T) {
	in := sourceOf(rddtest.NewContext(1), []int{1})
	refuse := func(int) (int, error) { return 0, rdd.Permanent(errOdd) }
	full := errors.New("the box is full")
	letter := rdd.OnBadRecord(rdd.DeadLetter(func(rdd.Part, int, error) error { return full }))
	if _, err := rddtest.Glom(rdd.TryMap(in, refuse, letter)); !errors.Is(err, full) || !errors.Is(err, errOdd) || task.IsPermanent(err) {
		t.Errorf("permanent: %t, %v", task.IsPermanent(err), err)
	}
	if _, err := rddtest.Glom(rdd.TryMap(in, refuse)); !task.IsPermanent(err) {
		t.Errorf("the record fails for this time: %v", err)
	}
	line := rdd.OnBadRecord(rdd.DeadLetter(func(rdd.Part, string, error) error { return full }))
	path := writeFiles(t, map[string]string{"json": "{"}) + "/json"
	if _, err := rddtest.Glom(rdd.JSONLines[row](rddtest.NewContext(1), path, line)); !errors.Is(err, full) || task.IsPermanent(err) {
		t.Errorf("a line, permanent: %t, %v", task.IsPermanent(err), err)
	}
}

// A panic is a refusal, too: left out if so asked, else it remains a panic, whose error
// is found.
func TestPanickedBadRecord(t *testing.T) {
	sc := rddtest.NewContext(1)
	in := sourceOf(sc, []int{6, 7})
	explode := func(i int) (int, error) {
		if i == 7 {
			panic(fmt.Errorf("exploding: %w", errOdd))
		}
		return i, nil
	}
	r := rdd.TryMap(in, explode)
	_, err := rddtest.Glom(r)
	p, ok := errors.AsType[*rdd.PanicError](err)
	if !ok || !errors.Is(err, errOdd) || p.Op != "tryMap" || p.Site != r.Node().Site || !strings.Contains(p.Stack, "TestPanickedBadRecord") ||
		!strings.Contains(p.Cause(), ": exploding: it is odd; it came of the record in partition 0 at index 1; to go on without") {
		t.Errorf("%v", err)
	}
	if got, m := readCounting(t, rdd.TryMap(in, explode, rdd.OnBadRecord(rdd.Skip())), 0); !slices.Equal(got, []int{6}) || m.BadRecords != 1 {
		t.Errorf("%v, %d bad records", got, m.BadRecords)
	}
	var reason error
	letter := func(_ rdd.Part, _ int, err error) error { reason = err; return nil }
	if _, m := readCounting(t, rdd.TryMap(in, explode, rdd.OnBadRecord(rdd.DeadLetter(letter))), 0); m.BadRecords != 1 || !errors.Is(reason, errOdd) {
		t.Errorf("%d bad records, %v", m.BadRecords, reason)
	}
}

// A panic after the function, or of the dead letters' function, isn't the record's fault.
func TestPanicsThatArentBadRecords(t *testing.T) {
	good := func(i int) (int, error) { return i, nil }
	skip := rdd.OnBadRecord(rdd.Skip())
	for name, c := range map[string]struct {
		build func(in *rdd.RDD[int]) *rdd.RDD[int]
		op    string
	}{
		"after": {func(in *rdd.RDD[int]) *rdd.RDD[int] {
			return rdd.Map(rdd.TryMap(in, good, skip), func(int) int { panic("boom") })
		}, "map"},
		"before": {func(in *rdd.RDD[int]) *rdd.RDD[int] {
			return rdd.TryMap(rdd.Map(in, func(int) int { panic("boom") }), good, skip)
		}, "map"},
		"letter": {func(in *rdd.RDD[int]) *rdd.RDD[int] {
			return rdd.TryMap(in, picky, rdd.OnBadRecord(rdd.DeadLetter(func(rdd.Part, int, error) error { panic("boom") })))
		}, "tryMap"},
	} {
		sc := rddtest.NewContext(1)
		err := runGuarded(sc, forEachPartition(c.build(ints(sc, 3, 1)), drained[int]))
		if p, ok := errors.AsType[*rdd.PanicError](err); !ok || p.Op != c.op || p.Value != "boom" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTryFilterKeepsPartitioner(t *testing.T) {
	keyed := rdd.CountedByValue(ints(rddtest.NewContext(2), 9, 2))
	all := func(rdd.Pair[int, int64]) (bool, error) { return true, nil }
	if p := keyed.TryFilter(all).Node().Partitioner; p == nil || !p.Equal(keyed.Node().Partitioner) {
		t.Errorf("the partitioner is %v", p)
	}
}

func TestErrorsOfTry(t *testing.T) {
	other := rdd.OnBadRecord(rdd.DeadLetter(func(rdd.Part, string, error) error { return nil }))
	none := rdd.OnBadRecord(rdd.DeadLetter[int](nil))
	for name, c := range map[string]struct {
		build func(sc *rdd.Context)
		op    string
		want  error
	}{
		"nil function":    {func(sc *rdd.Context) { rdd.TryMap[int, int](ints(sc, 1, 1), nil) }, "tryMap", rdd.ErrNilFunction},
		"nil filter":      {func(sc *rdd.Context) { ints(sc, 1, 1).TryFilter(nil) }, "tryFilter", rdd.ErrNilFunction},
		"nil flat map":    {func(sc *rdd.Context) { rdd.TryFlatMap[int, int](ints(sc, 1, 1), nil) }, "tryFlatMap", rdd.ErrNilFunction},
		"no letters":      {func(sc *rdd.Context) { rdd.TryMap(ints(sc, 1, 1), picky, none) }, "tryMap", rdd.ErrNilFunction},
		"others' letters": {func(sc *rdd.Context) { rdd.TryMap(ints(sc, 1, 1), picky, other) }, "tryMap", rdd.ErrArgument},
	} {
		checkRefused(t, name, c.op, c.build, c.want)
	}
	sc := rddtest.NewContext(1)
	rdd.TryMap(ints(sc, 1, 1), picky, other)
	if err := sc.Lineage().Err(); !strings.Contains(err.Error(), "is a func(rdd.Part, string, error) error and must be a func(rdd.Part, int, error) error") {
		t.Error(err)
	}
	// The letters' function is one of the operator's, as its own is.
	mine := func(rdd.Part, int, error) error { return nil }
	if fs := rdd.TryMap(ints(sc, 1, 1), picky, rdd.OnBadRecord(rdd.DeadLetter(mine))).Node().Functions; !slices.Equal(fs, []string{lineage.FuncName(picky), lineage.FuncName(mine)}) {
		t.Errorf("functions are %v", fs)
	}
}

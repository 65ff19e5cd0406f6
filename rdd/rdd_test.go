package rdd_test

import (
	"context"
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

type pair = rdd.Pair[string, int]

func sum(a, b int) int { return a + b }

func TestNarrowOperators(t *testing.T) {
	l := rddtest.NewBatch(1, 2)
	in := ints(l, 7, 3)
	check(t, in, [][]int{{1, 2}, {3, 4}, {5, 6, 7}})
	check(t, rdd.Map(in, func(i int) string { return fmt.Sprint(i * i) }), [][]string{{"1", "4"}, {"9", "16"}, {"25", "36", "49"}})
	check(t, in.Filter(func(i int) bool { return i%3 == 0 }), [][]int{{}, {3}, {6}})
	check(t, rdd.FlatMap(in, func(i int) []int { return make([]int, i%3) }), [][]int{{0, 0, 0}, {0}, {0, 0, 0}})
	check(t, in.Union(ints(l, 2, 1), ints(l, 1, 2)), [][]int{{1, 2}, {3, 4}, {5, 6, 7}, {1, 2}, {}, {1}})
	sums := rdd.TryMapPartitions(in, func(_ rdd.Part, in iter.Seq2[int, error]) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			n := 0
			for v, err := range in {
				if err != nil {
					yield(0, err)
					return
				}
				n += v
			}
			yield(n, nil)
		}
	})
	check(t, sums, [][]int{{3}, {7}, {18}})
}

func TestShuffles(t *testing.T) {
	l := rddtest.NewBatch(1, 3)
	words := rdd.Parallelize(l, strings.Fields("b a b c a b d"), rdd.Partitions(3))
	ones := rdd.Map(words, func(w string) pair { return pair{w, 1} })
	got := flat(t, rdd.ReduceByKey(ones, sum, rdd.Partitions(2)))
	slices.SortFunc(got, func(a, b pair) int { return strings.Compare(a.Key, b.Key) })
	if s := fmt.Sprint(got); s != "[{a 2} {b 3} {c 1} {d 1}]" {
		t.Error(s)
	}
	counts := flat(t, rdd.CountedByValue(words, rdd.Partitions(1)))
	if s := fmt.Sprint(counts); s != "[{b 3} {a 2} {c 1} {d 1}]" { // the order in which they came
		t.Error(s)
	}
	if n := rdd.CountedByValue(words).Node().Partitions; n != 3 {
		t.Errorf("default parallelism gave %d partitions", n)
	}
	lists := flat(t, rdd.CombineByKey(ones,
		func(v int) []int { return []int{v} },
		func(c []int, v int) []int { return append(c, v) },
		func(a, b []int) []int { return append(a, b...) }, rdd.Partitions(1)))
	if s := fmt.Sprint(lists); s != "[{b [1 1 1]} {a [1 1]} {c [1]} {d [1]}]" {
		t.Error(s)
	}
	check(t, rdd.Counted(words), [][]int64{{7}})
	check(t, rdd.Counted(words.Filter(func(string) bool { return false })), [][]int64{{0}})
	check(t, rdd.Reduced(ints(l, 4, 4), sum), [][]int{{10}})
	check(t, rdd.Reduced(ints(l, 0, 2), sum), [][]int{{}})
}

// Every attempt of a shuffle yields the same records in the same order.
func TestShuffleOrderIsDetermined(t *testing.T) {
	run := func() string {
		l := rddtest.NewBatch(1, 4)
		keyed := rdd.Map(ints(l, 5000, 7), func(i int) rdd.Pair[int, int] { return rdd.Pair[int, int]{Key: i * 7919 % 997, Value: i} })
		got, err := rddtest.Glom(rdd.ReduceByKey(keyed, func(a, b int) int { return a*31 + b }, rdd.Partitions(4)))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(got)
	}
	if first := run(); run() != first {
		t.Error("two runs differ")
	}
}

// The spread of keys must never change: other processes and versions rely on it.
func TestHashPartitionerIsStable(t *testing.T) {
	l := rddtest.NewBatch(1, 4)
	words := rdd.Parallelize(l, strings.Fields("spark fire flower hanabi hibana engine 0 1 2 3"), rdd.Partitions(2))
	got, err := rddtest.Glom(rdd.CountedByValue(words, rdd.Partitions(4)))
	if err != nil {
		t.Fatal(err)
	}
	var where []string
	for p, rows := range got {
		for _, kv := range rows {
			where = append(where, fmt.Sprintf("%s=%d", kv.Key, p))
		}
	}
	slices.Sort(where)
	if s := strings.Join(where, " "); s != stableSpread {
		t.Errorf("keys moved: %s", s)
	}
}

const stableSpread = "0=3 1=0 2=0 3=2 engine=1 fire=0 flower=1 hanabi=3 hibana=3 spark=1"

func TestErrorsOfOperators(t *testing.T) {
	broken := errors.New("the disk is gone")
	l := rddtest.NewBatch(1, 2)
	src := rdd.Source(l, "broken", lineage.Site{File: "f.go", Line: 1}, 1, func(*task.Context, int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			if yield(1, nil) {
				yield(0, broken)
			}
		}
	})
	swallow := rdd.TryMapPartitions(src, func(_ rdd.Part, in iter.Seq2[int, error]) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for v, err := range in {
				if err == nil && !yield(v, nil) {
					return
				}
			}
		}
	})
	for name, r := range map[string]*rdd.RDD[int]{
		"map": rdd.Map(src, func(i int) int { return i }), "filter": src.Filter(func(int) bool { return true }),
		"flatMap": rdd.FlatMap(src, func(i int) []int { return []int{i} }), "reduce": rdd.Reduced(src, sum),
		"cache": rdd.Map(src, func(i int) int { return i }).Cache(), "mapPartitions that drops errors": swallow,
	} {
		if _, err := rddtest.Glom(r); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ignore := rdd.PartitionAction(src, "forEachPartition", func(_ *task.Context, rows iter.Seq2[int, error]) ([]byte, error) {
		n := byte(0)
		for range rows {
			n++
		}
		return []byte{n}, nil
	})
	if _, err := ignore.Run(&task.Context{}, 0); !errors.Is(err, broken) {
		t.Errorf("an action that drops errors: %v", err)
	}
}

func TestErrorsOfBuilding(t *testing.T) {
	for name, c := range map[string]struct {
		build func(l *rdd.Context)
		want  error
	}{
		"nil function":    {func(l *rdd.Context) { rdd.Map[int, int](ints(l, 1, 1), nil) }, rdd.ErrNilFunction},
		"no partitions":   {func(l *rdd.Context) { rdd.CountedByValue(ints(l, 1, 1), rdd.Partitions(-1)) }, rdd.ErrPartitions},
		"none by number":  {func(l *rdd.Context) { rdd.CountedByValue(ints(l, 1, 1), rdd.Partitions(0)) }, rdd.ErrPartitions},
		"slices":          {func(l *rdd.Context) { rdd.Parallelize(l, []int{1}, rdd.Partitions(0)) }, rdd.ErrPartitions},
		"another context": {func(l *rdd.Context) { ints(l, 1, 1).Union(ints(rddtest.NewBatch(2, 1), 1, 1)) }, rdd.ErrForeign},
	} {
		l := rddtest.NewBatch(1, 1)
		c.build(l)
		err := l.Lineage().Err()
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "rdd_test.go:") {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := rddtest.NewBatch(1, 1)
	in := ints(l, 1, 1)
	l.Lineage().Freeze("it is too late")
	rdd.Map(in, func(i int) int { return i })
	var frozen *lineage.FrozenError
	if err := l.Lineage().Err(); !errors.As(err, &frozen) || frozen.Op != "map" || !strings.Contains(err.Error(), "it is too late") {
		t.Error(err)
	}
}

func TestPanicNamesTheOperator(t *testing.T) {
	l := rddtest.NewBatch(1, 1)
	r := rdd.Map(ints(l, 3, 1).Filter(func(int) bool { return true }), func(i int) int { return 6 / (i - 2) })
	r = r.Filter(func(int) bool { return true })
	err := lineage.Guard(r.Node(), func() error {
		_, err := rddtest.Glom(r)
		return err
	})
	var p *rdd.PanicError
	if !errors.As(err, &p) || p.Op != "map" || !strings.HasPrefix(p.Site.String(), "rdd/rdd_test.go:") || !strings.Contains(p.Stack, "TestPanicNames") {
		t.Errorf("%v", err)
	}
	if p.Place != "at "+p.Site.String() { // the function stands in the operator's line
		t.Errorf("the place is %q, the operator at %s", p.Place, p.Site)
	}
	library := rdd.Map(ints(l, 1, 1), func(int) string { return strings.Repeat("x", -1) })
	err = lineage.Guard(library.Node(), func() error {
		_, err := rddtest.Glom(library)
		return err
	})
	if !errors.As(err, &p) || !strings.HasPrefix(p.Place, "at strings/strings.go:") || !strings.HasSuffix(p.Place, ", called at "+p.Site.String()) {
		t.Errorf("%v", err)
	}
}

func TestCacheComputesOnce(t *testing.T) {
	l := rddtest.NewBatch(1, 1)
	calls := 0
	r := rdd.Map(ints(l, 3, 1), func(i int) int { calls++; return i }).Cache()
	tc := rddtest.NewReference().Task(&lineage.Node{}, 0)
	for range 2 {
		n := 0
		for _, err := range r.Compute(tc, 0) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 3 {
			t.Errorf("%d elements", n)
		}
	}
	kept := tc.Cache.(*task.Cache)
	if calls != 3 || kept.Len() != 1 {
		t.Errorf("%d calls, %d partitions kept", calls, kept.Len())
	}
	if kept.Forget(2); kept.Len() != 0 {
		t.Error("a forgotten batch is still there")
	}
}

// TestKilledTaskStops: wherever a task's records come from, it ends soon after it
// was killed.
func TestKilledTaskStops(t *testing.T) {
	const n = 100_000
	l := rddtest.NewBatch(1, 1)
	keyed := rdd.Map(ints(l, n, 1), func(i int) rdd.Pair[int, int] { return rdd.Pair[int, int]{Key: i, Value: i} })
	values := func(r *rdd.RDD[rdd.Pair[int, int]]) *rdd.RDD[int] {
		return rdd.Map(r, func(kv rdd.Pair[int, int]) int { return kv.Value })
	}
	dir := writeFiles(t, map[string]string{"lines": strings.Repeat("a line\n", n)})
	if err := rdd.SaveAsObjectFile(ints(l, n, 1), dir+"/objects"); err != nil {
		t.Fatal(err)
	}
	merged := 0 // the reading side's merges are watched in place of its records
	for name, c := range map[string]struct {
		in    *rdd.RDD[int]
		watch *int
	}{
		"source":  {in: ints(l, n, 1)},
		"cache":   {in: ints(l, n, 1).Cache()},
		"flatMap": {in: rdd.FlatMap(ints(l, 1, 1), func(int) []int { return make([]int, n) })},
		"lines":   {in: rdd.Map(rdd.TextFile(l, dir+"/lines", rdd.MinPartitions(1)), func(line string) int { return len(line) })},
		"objects": {in: rdd.ObjectFile[int](l, dir+"/objects")},
		"keys":    {in: values(rdd.ReduceByKey(keyed, sum, rdd.Partitions(1)))},
		"blocks": {
			in: rdd.Reduced(ints(l, n, n), func(a, b int) int { merged++; return a + b }), watch: &merged,
		},
	} {
		killed := errors.New("killed")
		ctx, kill := context.WithCancelCause(t.Context())
		seen := 0
		r := rdd.Map(c.in, func(i int) int { seen++; kill(killed); return i })
		e := rddtest.NewReference()
		if err := e.Prepare(r.Node()); err != nil {
			t.Fatal(err)
		}
		tc := e.Task(r.Node(), 0)
		for _, err := range c.in.Compute(tc, 0) { // fills the cache
			if err != nil {
				t.Fatal(err)
			}
		}
		tc.Context = ctx
		if merged = 0; c.watch != nil {
			kill(killed)
		} else {
			c.watch = &seen
		}
		var last error
		for _, err := range r.Compute(tc, 0) {
			last = err
		}
		if !errors.Is(last, killed) || *c.watch > 64 {
			t.Errorf("%s: %d records after the kill, then %v", name, *c.watch, last)
		}
	}
}

func TestLineageIdentity(t *testing.T) {
	build := func(extra bool) *rdd.Context {
		l := rddtest.NewBatch(7, 2)
		l.Lineage().In(7, 3, lineage.Site{File: "main.go", Line: 4}, func() {
			in := ints(l, 4, 2)
			if extra {
				in = in.Filter(func(int) bool { return true })
			}
			rdd.Counted(in)
		})
		return l
	}
	a, b, c := build(false), build(false), build(true)
	if a.Lineage().Hash() != b.Lineage().Hash() || lineage.Diff("a", a.Lineage().Describe(), "b", b.Lineage().Describe()) != "" {
		t.Error("equal programs have different lineages")
	}
	diff := lineage.Diff("driver", a.Lineage().Describe(), "executor", c.Lineage().Describe())
	if a.Lineage().Hash() == c.Lineage().Hash() || !strings.Contains(diff, "driver: 3.1 count at main.go:4") {
		t.Errorf("diff:\n%s", diff)
	}
}

func TestResultLimit(t *testing.T) {
	l := rddtest.NewBatch(1, 1)
	codec, err := encoding.For[int]()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rdd.CollectAction(ints(l, 1000, 1), "collect", codec, -1, 100).Run(rddtest.NewReference().Task(&lineage.Node{}, 0), 0); !errors.Is(err, rdd.ErrResultTooLarge) {
		t.Error(err)
	}
	b, err := rdd.CollectAction(ints(l, 1000, 1), "collect", codec, 3, 100).Run(rddtest.NewReference().Task(&lineage.Node{}, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rdd.DecodeRows(codec, [][]byte{b}); err != nil || len(got) != 3 {
		t.Error(got, err)
	}
}

func TestProcessResources(t *testing.T) {
	var p task.Process
	var closed []string
	opened := 0
	open := func(name string, fail error) func() (any, func() error, error) {
		return func() (any, func() error, error) {
			opened++
			return name, func() error { closed = append(closed, name); return nil }, fail
		}
	}
	failed := errors.New("no")
	if _, err := p.Resource("a", open("a", failed)); !errors.Is(err, failed) {
		t.Error(err)
	}
	for range 2 { // an error isn't kept, a value is
		if v, err := p.Resource("a", open("a", nil)); v != "a" || err != nil {
			t.Error(v, err)
		}
	}
	func() { // nor is an open that panicked
		defer func() { _ = recover() }()
		_, err := p.Resource("b", func() (any, func() error, error) { panic("no") })
		t.Errorf("a panic became %v", err)
	}()
	if _, err := p.Resource("b", open("b", nil)); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil || fmt.Sprint(closed) != "[b a]" || opened != 3 {
		t.Error(err, closed, opened)
	}
	if _, err := p.Resource("a", open("a", nil)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUnencodableTypes(t *testing.T) {
	type secret struct{ n int }
	l := rddtest.NewBatch(1, 1)
	rdd.Reduced(rdd.Map(ints(l, 1, 1), func(n int) secret { return secret{n} }), func(a, _ secret) secret { return a })
	if err := l.Lineage().Err(); err == nil || !strings.Contains(err.Error(), "field n of rdd_test.secret is not exported") {
		t.Error(err)
	}
	l = rddtest.NewBatch(1, 1)
	rdd.CountedByValue(rdd.Map(ints(l, 1, 1), func(n int) *int { return &n }), rdd.Partitions(1))
	if err := l.Lineage().Err(); err == nil || !strings.Contains(err.Error(), "pointers are compared by address") {
		t.Error(err)
	}
	if _, err := encoding.For[func()](); err == nil {
		t.Error("a function was thought encodable")
	}
}

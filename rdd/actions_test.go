package rdd_test

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// outcome is what an action returned, for comparing: its value, or the error that it says.
func outcome(v any, err error) string {
	for _, known := range []error{
		rdd.ErrEmpty, rdd.ErrLimit, rdd.ErrDepth, rdd.ErrBuckets, rdd.ErrNil, rdd.ErrNilFunction, rdd.ErrPartitions, rdd.ErrResultTooLarge,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprint(v)
}

// layouts are the partitions that actions of some elements are tried with: as many as
// said, with empty ones between them, in between and at the ends.
func layouts[T any](sc *rdd.Context, elements []T) map[string]*rdd.RDD[T] {
	all := make(map[string]*rdd.RDD[T])
	for _, n := range []int{1, 2, 3, 7, 50} {
		all[fmt.Sprintf("%d partitions", n)] = rdd.Parallelize(sc, elements, rdd.Partitions(n))
	}
	none := rdd.Parallelize(sc, []T{}, rdd.Partitions(2))
	half := len(elements) / 2
	all["empty partitions"] = none.Union(
		rdd.Parallelize(sc, elements[:half], rdd.Partitions(2)), none, rdd.Parallelize(sc, elements[half:], rdd.Partitions(3)), none)
	return all
}

// noPartitions returns an RDD that has none.
func noPartitions[T any](sc *rdd.Context) *rdd.RDD[T] {
	return rdd.Source[T](sc, "nothing", lineage.Site{}, 0, nil)
}

type ints64 = *rdd.RDD[int]

// Every action on numbers: what it returns of 5 3 8 1 9 2, however they are spread, and
// of no elements, in no partitions and in empty ones.
func TestActions(t *testing.T) {
	of := func(v any, err error) (any, error) { return v, err }
	for name, c := range map[string]struct {
		act   func(r ints64) (any, error)
		want  string
		empty string
	}{
		"first":           {func(r ints64) (any, error) { return of(rdd.First(r)) }, "5", rdd.ErrEmpty.Error()},
		"isEmpty":         {func(r ints64) (any, error) { return of(rdd.IsEmpty(r)) }, "false", "true"},
		"count":           {func(r ints64) (any, error) { return of(rdd.Count(r)) }, "6", "0"},
		"take 0":          {func(r ints64) (any, error) { return of(rdd.Take(r, 0)) }, "[]", "[]"},
		"take 4":          {func(r ints64) (any, error) { return of(rdd.Take(r, 4)) }, "[5 3 8 1]", "[]"},
		"take many":       {func(r ints64) (any, error) { return of(rdd.Take(r, math.MaxInt32)) }, "[5 3 8 1 9 2]", "[]"},
		"take all":        {func(r ints64) (any, error) { return of(rdd.Take(r, math.MaxInt)) }, "[5 3 8 1 9 2]", "[]"},
		"take -1":         {func(r ints64) (any, error) { return of(rdd.Take(r, -1)) }, rdd.ErrLimit.Error(), rdd.ErrLimit.Error()},
		"takeOrdered 2":   {func(r ints64) (any, error) { return of(rdd.TakeOrdered(r, 2)) }, "[1 2]", "[]"},
		"takeOrdered 0":   {func(r ints64) (any, error) { return of(rdd.TakeOrdered(r, 0)) }, "[]", "[]"},
		"takeOrdered all": {func(r ints64) (any, error) { return of(rdd.TakeOrdered(r, math.MaxInt)) }, "[1 2 3 5 8 9]", "[]"},
		"takeOrdered by the last bit": {func(r ints64) (any, error) {
			return of(rdd.TakeOrderedFunc(r, 4, func(a, b int) int { return cmp.Compare(a%2, b%2) }))
		}, "[8 2 5 3]", "[]"},
		"top 3":  {func(r ints64) (any, error) { return of(rdd.Top(r, 3)) }, "[9 8 5]", "[]"},
		"top -1": {func(r ints64) (any, error) { return of(rdd.Top(r, -1)) }, rdd.ErrLimit.Error(), rdd.ErrLimit.Error()},
		"top by the last bit": {func(r ints64) (any, error) {
			return of(rdd.TopFunc(r, 5, func(a, b int) int { return cmp.Compare(a%2, b%2) }))
		}, "[5 3 1 9 8]", "[]"},
		"max":                 {func(r ints64) (any, error) { return of(rdd.Max(r)) }, "9", rdd.ErrEmpty.Error()},
		"min":                 {func(r ints64) (any, error) { return of(rdd.Min(r)) }, "1", rdd.ErrEmpty.Error()},
		"max by the last bit": {func(r ints64) (any, error) { return of(rdd.MaxFunc(r, func(a, b int) int { return a%2 - b%2 })) }, "5", rdd.ErrEmpty.Error()},
		"min by the last bit": {func(r ints64) (any, error) { return of(rdd.MinFunc(r, func(a, b int) int { return a%2 - b%2 })) }, "8", rdd.ErrEmpty.Error()},
		"reduce":              {func(r ints64) (any, error) { return of(rdd.Reduce(r, sum)) }, "28", rdd.ErrEmpty.Error()},
		"reduce in order": {func(r ints64) (any, error) {
			return of(rdd.Reduce(rdd.Map(r, func(i int) string { return fmt.Sprint(i) }), func(a, b string) string { return a + b }))
		}, "538192", rdd.ErrEmpty.Error()},
		"fold": {func(r ints64) (any, error) { return of(rdd.Fold(r, 0, sum)) }, "28", "0"},
		"aggregate": {func(r ints64) (any, error) {
			return of(rdd.Aggregate(r, []string{}, func(a []string, i int) []string { return append(a, fmt.Sprint(i)) }, func(a, b []string) []string { return append(a, b...) }))
		}, "[5 3 8 1 9 2]", "[]"},
		"treeReduce": {func(r ints64) (any, error) {
			return of(rdd.TreeReduce(rdd.Map(r, func(i int) string { return fmt.Sprint(i) }), func(a, b string) string { return a + b }, 2))
		}, "538192", rdd.ErrEmpty.Error()},
		"treeReduce of depth 6": {func(r ints64) (any, error) { return of(rdd.TreeReduce(r, sum, 6)) }, "28", rdd.ErrEmpty.Error()},
		"treeReduce of depth 0": {func(r ints64) (any, error) { return of(rdd.TreeReduce(r, sum, 0)) }, rdd.ErrDepth.Error(), rdd.ErrDepth.Error()},
		"treeAggregate": {func(r ints64) (any, error) {
			return of(rdd.TreeAggregate(r, "", func(a string, i int) string { return a + fmt.Sprint(i) }, func(a, b string) string { return a + b }, 3))
		}, "538192", ""},
		"toLocalIterator": {func(r ints64) (any, error) { return of(collected(rdd.ToLocalIterator(r))) }, "[5 3 8 1 9 2]", "[]"},
		"sum":             {func(r ints64) (any, error) { return of(rdd.Sum(r)) }, "28", "0"},
		"mean": {func(r ints64) (any, error) {
			return of(rdd.Mean(rdd.Map(r, func(i int) float64 { return float64(3 * i) })))
		}, "14", rdd.ErrEmpty.Error()},
		"stats": {func(r ints64) (any, error) {
			s, err := rdd.Stats(r)
			return fmt.Sprintf("%d %.4f %.4f %g %g %.4f %.4f %.4f", s.Count, s.Mean, s.Sum(), s.Min, s.Max, s.Variance(), s.SampleVariance(), s.Stdev()), err
		}, "6 4.6667 28.0000 1 9 8.8889 10.6667 2.9814", "0 0.0000 0.0000 0 0 NaN NaN NaN"},
		"histogram of 2":        {func(r ints64) (any, error) { return of(rdd.Histogram(r, 2)) }, "{[1 5 9] [3 3]}", rdd.ErrEmpty.Error()},
		"histogram of 0":        {func(r ints64) (any, error) { return of(rdd.Histogram(r, 0)) }, rdd.ErrBuckets.Error(), rdd.ErrBuckets.Error()},
		"histogram within":      {func(r ints64) (any, error) { return of(rdd.HistogramWithin(r, 2, 5, 8)) }, "{[2 5 8] [2 2]}", "{[2 5 8] [0 0]}"},
		"histogram of no bound": {func(r ints64) (any, error) { return of(rdd.HistogramWithin(r, 2)) }, rdd.ErrBuckets.Error(), rdd.ErrBuckets.Error()},
		"histogram backwards":   {func(r ints64) (any, error) { return of(rdd.HistogramWithin(r, 2, 2)) }, rdd.ErrBuckets.Error(), rdd.ErrBuckets.Error()},
		"takeSample 0":          {func(r ints64) (any, error) { return of(rdd.TakeSample(r, 0, 1)) }, "[]", "[]"},
		"takeSample -1":         {func(r ints64) (any, error) { return of(rdd.TakeSample(r, -1, 1)) }, rdd.ErrLimit.Error(), rdd.ErrLimit.Error()},
		"takeSample all": {func(r ints64) (any, error) {
			got, err := rdd.TakeSample(r, math.MaxInt, 1)
			slices.Sort(got)
			return got, err
		}, "[1 2 3 5 8 9]", "[]"},
		"takeSample again and again": {func(r ints64) (any, error) {
			got, err := rdd.TakeSampleWithReplacement(r, 300, 1)
			return len(got), err
		}, "300", "0"},
		"takeSample too many": {func(r ints64) (any, error) { return of(rdd.TakeSampleWithReplacement(r, math.MaxInt, 1)) }, rdd.ErrResultTooLarge.Error(), "[]"},
	} {
		sc := rddtest.NewContext(3)
		for layout, r := range layouts(sc, []int{5, 3, 8, 1, 9, 2}) {
			if got := outcome(c.act(r)); got != c.want {
				t.Errorf("%s in %s: %s, want %s", name, layout, got, c.want)
			}
		}
		nothing := layouts(sc, []int{})
		nothing["no partitions"] = noPartitions[int](sc)
		for layout, r := range nothing {
			if got := outcome(c.act(r)); got != c.empty {
				t.Errorf("%s of nothing in %s: %s, want %s", name, layout, got, c.empty)
			}
		}
	}
}

// collected reads a sequence that is on the driver.
func collected[T any](seq func(yield func(T, error) bool)) (rows []T, err error) {
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		rows = append(rows, v)
	}
	return rows, nil
}

// Edge 1: functions may change what begins as the zero, which each partition and the
// driver have their own of; a zero that isn't neutral counts for each; what is kept stays.
func TestZerosAreFresh(t *testing.T) {
	sc := rddtest.NewContext(2)
	for name, fold := range map[string]func() (int, error){
		"fold":            func() (int, error) { return rdd.Fold(ints(sc, 3, 3), 10, sum) },
		"aggregate":       func() (int, error) { return rdd.Aggregate(ints(sc, 3, 3), 10, sum, sum) },
		"treeAggregate":   func() (int, error) { return rdd.TreeAggregate(ints(sc, 3, 3), 10, sum, sum, 2) },
		"tree of depth 1": func() (int, error) { return rdd.TreeAggregate(ints(sc, 3, 3), 10, sum, sum, 1) },
	} {
		if got, err := fold(); got != 46 || err != nil {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	if got, err := rdd.TreeAggregate(ints(sc, 100, 100), 1, sum, sum, 3); got != 5050+100+1 || err != nil {
		t.Errorf("in a tree with levels: %d, %v", got, err)
	}
	if got, err := rdd.Fold(noPartitions[int](sc), 10, sum); got != 10 || err != nil {
		t.Errorf("of no partitions: %d, %v", got, err)
	}

	zero := []byte{0, 0, 0, 0}
	mark := func(acc []byte, i int) []byte { acc[i-1]++; return acc }
	add := func(a, b []byte) []byte {
		for i := range a {
			a[i] += b[i]
		}
		return a
	}
	r := ints(sc, 4, 4)
	for range 2 { // a second action finds the zero as it was
		for name, aggregate := range map[string]func() ([]byte, error){
			"aggregate":     func() ([]byte, error) { return rdd.Aggregate(r, zero, mark, add) },
			"treeAggregate": func() ([]byte, error) { return rdd.TreeAggregate(r, zero, mark, add, 2) },
		} {
			if got, err := aggregate(); fmt.Sprint(got) != "[1 1 1 1]" || err != nil {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
	}
	if fmt.Sprint(zero) != "[0 0 0 0]" {
		t.Errorf("the program's zero is %v", zero)
	}

	vectors := rdd.Map(r, func(i int) []byte { return []byte{byte(i), 0, 0, 0} }).Cache()
	for range 2 {
		if got, err := rdd.Fold(vectors, zero, add); fmt.Sprint(got) != "[10 0 0 0]" || err != nil {
			t.Errorf("of cached elements: %v, %v", got, err)
		}
	}
}

// Edge 5: Take, First and IsEmpty compute partitions in growing rounds.
func TestScansGrow(t *testing.T) {
	const partitions = 1000
	for name, c := range map[string]struct {
		element int // the only one there is
		scan    func(r ints64) (any, error)
		want    string
		rounds  string
	}{
		"the first suffices": {1, func(r ints64) (any, error) { return rdd.Take(r, 1) }, "[1]", "[1]"},
		"the sixth":          {6, func(r ints64) (any, error) { return rdd.Take(r, 1) }, "[6]", "[1 4 20]"},
		"only the last":      {1000, func(r ints64) (any, error) { return rdd.Take(r, 1) }, "[1000]", "[1 4 20 100 500 375]"},
		"there aren't two":   {1, func(r ints64) (any, error) { return rdd.Take(r, 2) }, "[1]", "[1 4 20 100 500 375]"},
		"near 2^31":          {1000, func(r ints64) (any, error) { return rdd.Take(r, math.MaxInt32) }, "[1000]", "[1 4 20 100 500 375]"},
		"first":              {3, func(r ints64) (any, error) { return rdd.First(r) }, "3", "[1 4]"},
		"isEmpty":            {2, func(r ints64) (any, error) { return rdd.IsEmpty(r) }, "false", "[1 4]"},
		"it is empty":        {0, func(r ints64) (any, error) { return rdd.IsEmpty(r) }, "true", "[1 4 20 100 500 375]"},
		"none is wanted":     {1, func(r ints64) (any, error) { return rdd.Take(r, 0) }, "[]", "[]"},
	} {
		jobs := &counting{Reference: rddtest.NewReference()}
		sc := rdd.NewContext(lineage.NewLineage(0, 2), jobs)
		r := ints(sc, partitions, partitions).Filter(func(i int) bool { return i == c.element })
		if got := outcome(c.scan(r)); got != c.want || fmt.Sprint(jobs.partitions) != c.rounds {
			t.Errorf("%s: %s after rounds of %v", name, got, jobs.partitions)
		}
	}
}

// counting notes of how many partitions each action is, and how much it brings.
type counting struct {
	*rddtest.Reference
	partitions []int
	results    []int
	limit      int
}

func (c *counting) RunAccumulating(a lineage.Action) ([][]byte, []task.Update, error) {
	n := len(a.Partitions)
	if a.Partitions == nil {
		n = a.Final.Partitions
	}
	results, updates, err := c.Reference.RunAccumulating(a)
	c.partitions, c.results = append(c.partitions, n), append(c.results, len(results))
	size := 0
	for _, b := range results {
		size += len(b)
	}
	if size > c.MaxResultBytes() {
		err = rdd.ErrResultTooLarge
	}
	return results, updates, err
}

func (c *counting) MaxResultBytes() int { return cmp.Or(c.limit, rddtest.MaxResultBytes) }

// What all rounds bring together is limited.
func TestTakeIsLimited(t *testing.T) {
	for limit, want := range map[int]string{1_000_000: "250", 200: rdd.ErrResultTooLarge.Error(), 30: rdd.ErrResultTooLarge.Error()} {
		sc := rdd.NewContext(lineage.NewLineage(0, 2), &counting{Reference: rddtest.NewReference(), limit: limit})
		rows, err := rdd.Take(rdd.Map(ints(sc, 1000, 100), func(i int) bool { return i > 3 }), 250)
		if got := outcome(len(rows), err); got != want {
			t.Errorf("limit %d: %s", limit, got)
		}
	}
	sc := rdd.NewContext(lineage.NewLineage(0, 2), &counting{Reference: rddtest.NewReference(), limit: 30})
	r := ints(sc, 1000, 2)
	for name, act := range map[string]func() (any, error){
		"collect":     func() (any, error) { return rdd.Collect(r) },
		"top":         func() (any, error) { return rdd.Top(r, 100) },
		"takeSample":  func() (any, error) { return rdd.TakeSample(r, 31, 1) },
		"sample":      func() (any, error) { return rdd.TakeSample(r, 29, 1) },
		"countBy":     func() (any, error) { return rdd.CountByValue(r) },
		"histogram":   func() (any, error) { return rdd.Histogram(r, 50) },
		"toLocalIter": func() (any, error) { return collected(rdd.ToLocalIterator(r)) },
		"aggregate": func() (any, error) {
			return rdd.Aggregate(r, nil, func(a []int, i int) []int { return append(a, i) }, func(a, b []int) []int { return append(a, b...) })
		},
	} {
		if _, err := act(); !errors.Is(err, rdd.ErrResultTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is scanned in vain doesn't count, nor does what comes with it.
func TestTakeCountsWhatItReturns(t *testing.T) {
	jobs := &counting{Reference: rddtest.NewReference(), limit: 60}
	sc := rdd.NewContext(lineage.NewLineage(0, 2), jobs)
	late := rdd.Map(ints(sc, 1000, 100).Filter(func(i int) bool { return i > 10 }), func(i int) int { return i % 100 })
	rows, err := rdd.Take(late, 50)
	if err != nil || len(rows) != 50 || rows[0] != 11 || rows[49] != 60 {
		t.Errorf("%v, %v", rows, err)
	}
	if want := []int{1, 4, 20, 10, 5}; !slices.Equal(jobs.partitions, want) {
		t.Errorf("%v partitions were computed, want %v", jobs.partitions, want)
	}
	if _, err := rdd.Take(late, 61); !errors.Is(err, rdd.ErrResultTooLarge) {
		t.Errorf("more than the limit: %v", err)
	}
}

// What a tree leaves to the driver is little, whatever the depth; it adds no shuffle where
// that would save nothing.
func TestTrees(t *testing.T) {
	for _, c := range []struct{ partitions, depth, shuffles, driver int }{
		{1000, 1, 0, 1000}, {1000, 2, 1, 31}, {1000, 3, 2, 10}, {1000, 20, 8, 3}, {4, 2, 0, 4}, {5, 2, 0, 5}, {7, 2, 1, 2}, {1, 5, 0, 1}, {0, 2, 0, 0},
	} {
		jobs := &counting{Reference: rddtest.NewReference()}
		sc := rdd.NewContext(lineage.NewLineage(0, 2), jobs)
		r := noPartitions[int](sc)
		if c.partitions > 0 {
			r = ints(sc, 2000, c.partitions)
		}
		want := 2000 * 2001 / 2
		if c.partitions == 0 {
			want = 0
		}
		got, err := rdd.TreeAggregate(r, 0, sum, sum, c.depth)
		shuffles := 0
		for sc.Lineage().Shuffle(shuffles) != nil {
			shuffles++
		}
		if got != want || err != nil || shuffles != c.shuffles || fmt.Sprint(jobs.results) != fmt.Sprint([]int{c.driver}) {
			t.Errorf("%+v: %d, %v; %d shuffles, %v results", c, got, err, shuffles, jobs.results)
		}
	}
}

// An action that is called wrongly says which and where, and computes nothing.
func TestErrorsOfActions(t *testing.T) {
	type secret struct{ n int }
	secrets := func(sc *rdd.Context) *rdd.RDD[secret] {
		return rdd.Map(ints(sc, 1, 1), func(i int) secret { return secret{i} })
	}
	var none *rdd.RDD[int]
	for name, c := range map[string]struct {
		act func(sc *rdd.Context) error
		op  string
		say error
	}{
		"first of none":    {func(*rdd.Context) error { _, err := rdd.First(none); return err }, "first", rdd.ErrNil},
		"collect of none":  {func(*rdd.Context) error { _, err := rdd.Collect(none); return err }, "collect", rdd.ErrNil},
		"iterator of none": {func(*rdd.Context) error { _, err := collected(rdd.ToLocalIterator(none)); return err }, "toLocalIterator", rdd.ErrNil},
		"first of nothing": {func(sc *rdd.Context) error { _, err := rdd.First(ints(sc, 0, 1)); return err }, "first", rdd.ErrEmpty},
		"mean of nothing":  {func(sc *rdd.Context) error { _, err := rdd.Mean(ints(sc, 0, 1)); return err }, "mean", rdd.ErrEmpty},
		"take":             {func(sc *rdd.Context) error { _, err := rdd.Take(ints(sc, 1, 1), -1); return err }, "take", rdd.ErrLimit},
		"top":              {func(sc *rdd.Context) error { _, err := rdd.TopFunc(ints(sc, 1, 1), 1, nil); return err }, "top", rdd.ErrNilFunction},
		"takeOrdered":      {func(sc *rdd.Context) error { _, err := rdd.TakeOrderedFunc(ints(sc, 1, 1), 1, nil); return err }, "takeOrdered", rdd.ErrNilFunction},
		"max":              {func(sc *rdd.Context) error { _, err := rdd.MaxFunc(ints(sc, 1, 1), nil); return err }, "max", rdd.ErrNilFunction},
		"reduce":           {func(sc *rdd.Context) error { _, err := rdd.Reduce(ints(sc, 1, 1), nil); return err }, "reduce", rdd.ErrNilFunction},
		"fold":             {func(sc *rdd.Context) error { _, err := rdd.Fold(ints(sc, 1, 1), 0, nil); return err }, "fold", rdd.ErrNilFunction},
		"aggregate":        {func(sc *rdd.Context) error { _, err := rdd.Aggregate(ints(sc, 1, 1), 0, sum, nil); return err }, "aggregate", rdd.ErrNilFunction},
		"treeReduce":       {func(sc *rdd.Context) error { _, err := rdd.TreeReduce(ints(sc, 1, 1), nil, 2); return err }, "treeReduce", rdd.ErrNilFunction},
		"treeAggregate":    {func(sc *rdd.Context) error { _, err := rdd.TreeAggregate(ints(sc, 1, 1), 0, nil, sum, 2); return err }, "treeAggregate", rdd.ErrNilFunction},
		"depth":            {func(sc *rdd.Context) error { _, err := rdd.TreeReduce(ints(sc, 1, 1), sum, -1); return err }, "treeReduce", rdd.ErrDepth},
		"countByValue":     {func(sc *rdd.Context) error { _, err := rdd.CountByValue(ints(sc, 1, 1), rdd.Partitions(0)); return err }, "countByValue", rdd.ErrPartitions},
		"forEach":          {func(sc *rdd.Context) error { return rdd.ForEach(ints(sc, 1, 1), nil) }, "forEach", rdd.ErrNilFunction},
		"too many buckets": {func(sc *rdd.Context) error { _, err := rdd.Histogram(ints(sc, 1, 1), 1<<40); return err }, "histogram", rdd.ErrBuckets},
		"buckets of infinity": {func(sc *rdd.Context) error {
			_, err := rdd.Histogram(rdd.Map(ints(sc, 2, 1), func(i int) float64 { return 1 / float64(i-1) }), 3)
			return err
		}, "histogram", rdd.ErrBuckets},
		"a bound of NaN":             {func(sc *rdd.Context) error { _, err := rdd.HistogramWithin(ints(sc, 1, 1), 1, math.NaN()); return err }, "histogram", rdd.ErrBuckets},
		"takeSample":                 {func(sc *rdd.Context) error { _, err := rdd.TakeSample(ints(sc, 1, 1), -2, 1); return err }, "takeSample", rdd.ErrLimit},
		"first of secrets":           {func(sc *rdd.Context) error { _, err := rdd.First(secrets(sc)); return err }, "first", encoding.ErrUnencodable},
		"sample of secrets":          {func(sc *rdd.Context) error { _, err := rdd.TakeSample(secrets(sc), 1, 1); return err }, "takeSample", encoding.ErrUnencodable},
		"localCheckpoint of none":    {func(*rdd.Context) error { _, err := none.LocalCheckpoint(); return err }, "localCheckpoint", rdd.ErrNil},
		"localCheckpoint of secrets": {func(sc *rdd.Context) error { _, err := secrets(sc).LocalCheckpoint(); return err }, "localCheckpoint", encoding.ErrUnencodable},
		"localCheckpoint of what varies": {func(sc *rdd.Context) error {
			_, err := ints(sc, 1, 1).Indeterminate().LocalCheckpoint()
			return err
		}, "localCheckpoint", rdd.ErrCheckpoint},
		"fold of secrets": {func(sc *rdd.Context) error {
			_, err := rdd.Fold(secrets(sc), secret{}, func(a, _ secret) secret { return a })
			return err
		}, "fold", encoding.ErrUnencodable},
		"tree of secrets": {func(sc *rdd.Context) error {
			_, err := rdd.TreeReduce(secrets(sc), func(a, _ secret) secret { return a }, 1)
			return err
		}, "treeReduce", encoding.ErrUnencodable},
		"reduce of secrets": {func(sc *rdd.Context) error {
			_, err := rdd.Reduce(secrets(sc), func(a, _ secret) secret { return a })
			return err
		}, "reduce", encoding.ErrUnencodable},
		"top of secrets": {func(sc *rdd.Context) error {
			_, err := rdd.TopFunc(secrets(sc), 1, func(_, _ secret) int { return 0 })
			return err
		}, "top", encoding.ErrUnencodable},
		"in a stream": {func(*rdd.Context) error {
			_, err := rdd.Max(ints(rdd.NewContext(lineage.NewLineage(1, 1), nil), 1, 1))
			return err
		}, "max", rdd.ErrNoActions},
		"a panic on the driver": {func(sc *rdd.Context) error {
			_, err := rdd.Reduce(ints(sc, 2, 2), func(int, int) int { panic(errBroken) })
			return err
		}, "reduce", errBroken},
		"a panic in a task": {func(sc *rdd.Context) error {
			_, err := rdd.Aggregate(ints(sc, 2, 2), 0, func(int, int) int { panic(errBroken) }, sum)
			return err
		}, "aggregate", errBroken},
		"a panic in a tree": {func(sc *rdd.Context) error {
			_, err := rdd.TreeAggregate(ints(sc, 20, 20), 0, sum, func(int, int) int { panic(errBroken) }, 2)
			return err
		}, "treeAggregate", errBroken},
		"a panic in an order": {func(sc *rdd.Context) error {
			_, err := rdd.TopFunc(ints(sc, 2, 1), 1, func(int, int) int { panic(errBroken) })
			return err
		}, "top", errBroken},
		"a panic in the driver's order": {func(sc *rdd.Context) error {
			_, err := rdd.TopFunc(ints(sc, 2, 2), 1, func(int, int) int { panic(errBroken) })
			return err
		}, "top", errBroken},
	} {
		err := c.act(rddtest.NewContext(1))
		if !errors.Is(err, c.say) || !strings.Contains(err.Error(), c.op+" at rdd/actions_test.go:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var errBroken = errors.New("it is broken")

// An error in the middle of a partition reaches the program, whatever reads it.
func TestActionsOfWhatCantBeRead(t *testing.T) {
	for name, act := range map[string]func(r ints64) error{
		"take":       func(r ints64) error { _, err := rdd.Take(r, 5); return err },
		"isEmpty":    func(r ints64) error { _, err := rdd.IsEmpty(r.Filter(func(int) bool { return false })); return err },
		"reduce":     func(r ints64) error { _, err := rdd.Reduce(r, sum); return err },
		"fold":       func(r ints64) error { _, err := rdd.Fold(r, 0, sum); return err },
		"treeReduce": func(r ints64) error { _, err := rdd.TreeReduce(r.Union(ints(r.Context(), 20, 20)), sum, 2); return err },
		"treeAggregate": func(r ints64) error {
			_, err := rdd.TreeAggregate(r.Union(ints(r.Context(), 20, 20)), 0, sum, sum, 2)
			return err
		},
		"top":             func(r ints64) error { _, err := rdd.Top(r, 1); return err },
		"max":             func(r ints64) error { _, err := rdd.Max(r); return err },
		"sum":             func(r ints64) error { _, err := rdd.Sum(r); return err },
		"stats":           func(r ints64) error { _, err := rdd.Stats(r); return err },
		"histogram":       func(r ints64) error { _, err := rdd.HistogramWithin(r, 0, 9); return err },
		"countByValue":    func(r ints64) error { _, err := rdd.CountByValue(r); return err },
		"count":           func(r ints64) error { _, err := rdd.Count(r); return err },
		"takeSample":      func(r ints64) error { _, err := rdd.TakeSample(r, 1, 1); return err },
		"toLocalIterator": func(r ints64) error { _, err := collected(rdd.ToLocalIterator(r)); return err },
	} {
		sc := rddtest.NewContext(2)
		r := rdd.Source(sc, "broken", lineage.Site{File: "f.go", Line: 1}, 1, func(*task.Context, int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				if yield(1, nil) && yield(2, nil) {
					yield(0, errBroken)
				}
			}
		})
		if err := act(r); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCountByValue(t *testing.T) {
	sc := rddtest.NewContext(2)
	words := rdd.Parallelize(sc, strings.Fields("b a b c a b d"), rdd.Partitions(3))
	got, err := rdd.CountByValue(words, rdd.Partitions(1))
	if s := fmt.Sprint(got); s != "[{b 3} {a 2} {c 1} {d 1}]" || err != nil {
		t.Error(s, err)
	}
	nans, err := rdd.CountByValue(rdd.Parallelize(sc, []float64{math.NaN(), 1, otherNaN, math.NaN()}, rdd.Partitions(4)), rdd.Partitions(1))
	if s := fmt.Sprint(nans); s != "[{NaN 3} {1 1}]" || err != nil {
		t.Error(s, err)
	}
	none, err := rdd.CountByValue(noPartitions[string](sc))
	if len(none) != 0 || err != nil {
		t.Error(none, err)
	}
}

// NaN goes through as Go's own max, min and sorting have it.
func TestNaNInActions(t *testing.T) {
	sc := rddtest.NewContext(2)
	r := rdd.Parallelize(sc, []float64{2, math.NaN(), 1}, rdd.Partitions(3))
	for name, c := range map[string]struct {
		act  func() (any, error)
		want string
	}{
		"max":         {func() (any, error) { return rdd.Max(r) }, "NaN"},
		"min":         {func() (any, error) { return rdd.Min(r) }, "NaN"},
		"top":         {func() (any, error) { return rdd.Top(r, 3) }, "[2 1 NaN]"},
		"takeOrdered": {func() (any, error) { return rdd.TakeOrdered(r, 2) }, "[NaN 1]"},
		"stats":       {func() (any, error) { s, err := rdd.Stats(r); return []float64{s.Min, s.Max, s.Mean}, err }, "[NaN NaN NaN]"},
		"histogram":   {func() (any, error) { return rdd.Histogram(r, 2) }, rdd.ErrBuckets.Error()},
		"within":      {func() (any, error) { return rdd.HistogramWithin(r, math.Inf(-1), 2, math.Inf(1)) }, "{[-Inf 2 +Inf] [1 1]}"},
	} {
		if got := outcome(c.act()); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The statistics of large numbers that lie close together don't cancel out, whatever the
// partitions.
func TestStatsOfCloseNumbers(t *testing.T) {
	for _, partitions := range []int{1, 2, 7, 1000} {
		sc := rddtest.NewContext(2)
		r := rdd.Map(ints(sc, 1000, partitions), func(i int) float64 { return 1e9 + float64(i%2) })
		s, err := rdd.Stats(r)
		if math.Abs(s.Variance()-0.25) > 1e-6 || math.Abs(s.Mean-1e9-0.5) > 1e-6 || s.Count != 1000 || err != nil {
			t.Errorf("%d partitions: %+v, variance %v, %v", partitions, s, s.Variance(), err)
		}
	}
}

// Merging with nothing changes nothing.
func TestStatsOfNothing(t *testing.T) {
	var some rdd.StatCounter
	some.Add(-3)
	some.Add(-5)
	left, right := some, rdd.StatCounter{}
	left.Merge(rdd.StatCounter{})
	right.Merge(some)
	if left != some || right != some || some.Max != -3 || some.Variance() != 1 {
		t.Errorf("%+v and %+v of %+v", left, right, some)
	}
}

// Of many equal elements those that come first are taken, in their order, also where more
// come than are held.
func TestTakeOrderedIsStable(t *testing.T) {
	byLastDigit := func(a, b int) int { return cmp.Compare(a%10, b%10) }
	rows := make([]int, 1000)
	for i := range rows {
		rows[i] = i + 1
	}
	slices.SortStableFunc(rows, byLastDigit)
	for _, partitions := range []int{1, 3} {
		for _, n := range []int{1, 50, 150, 999, 1000} {
			r := ints(rddtest.NewContext(2), 1000, partitions)
			got, err := rdd.TakeOrderedFunc(r, n, byLastDigit)
			if !slices.Equal(got, rows[:n]) || err != nil {
				t.Errorf("%d of %d partitions: %v, %v", n, partitions, got, err)
			}
			top, err := rdd.TopFunc(r, n, func(a, b int) int { return byLastDigit(b, a) })
			if !slices.Equal(top, rows[:n]) || err != nil {
				t.Errorf("the top %d of %d partitions: %v, %v", n, partitions, top, err)
			}
		}
	}
}

func TestHistograms(t *testing.T) {
	sc := rddtest.NewContext(2)
	floats := func(v ...float64) *rdd.RDD[float64] { return rdd.Parallelize(sc, v, rdd.Partitions(3)) }
	for name, c := range map[string]struct {
		r    *rdd.RDD[float64]
		n    int
		want string
	}{
		"the largest is in the last":    {floats(0, 1, 2, 3, 4), 4, "{[0 1 2 3 4] [1 1 1 2]}"},
		"all equal":                     {floats(7, 7, 7), 5, "{[7 7] [3]}"},
		"below zero":                    {floats(-3, -1, 1, 3), 3, "{[-3 -1 1 3] [1 1 2]}"},
		"the widest":                    {floats(-math.MaxFloat64, 0, math.MaxFloat64), 2, "{[-1.7976931348623157e+308 0 1.7976931348623157e+308] [1 2]}"},
		"narrower than floats":          {floats(1, math.Nextafter(1, 2)), 4, ""},
		"bounds that rounding moves by": {floats(0.1, 0.2, 0.3), 2, ""},
	} {
		got, err := rdd.Histogram(c.r, c.n)
		if s := fmt.Sprint(got); c.want != "" && s != c.want || err != nil {
			t.Errorf("%s: %s, %v", name, s, err)
		}
		var total int64
		for _, n := range got.Counts {
			total += n
		}
		if n, err := rdd.Count(c.r); n != total || err != nil {
			t.Errorf("%s: %d of %d elements are in buckets, %v", name, total, n, err)
		}
		if !slices.IsSorted(got.Bounds) {
			t.Errorf("%s: bounds %v", name, got.Bounds)
		}
	}
}

// Every set of elements is as likely as another, and so is every order; the seed alone
// decides which comes.
func TestTakeSampleIsUniform(t *testing.T) {
	sc := rddtest.NewContext(2)
	r := ints(sc, 5, 3)
	count := make(map[string]int)
	const rounds = 6000 // of each of 60 ordered triples: 100
	for seed := range uint64(rounds) {
		got, err := rdd.TakeSample(r, 3, seed)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got[0] == got[1] || got[0] == got[2] || got[1] == got[2] {
			t.Fatalf("seed %d chose %v", seed, got)
		}
		count[fmt.Sprint(got)]++
	}
	for triple, n := range count {
		if n < 50 || n > 150 {
			t.Errorf("%s came %d times", triple, n)
		}
	}
	if len(count) != 60 {
		t.Errorf("%d triples came: %v", len(count), count)
	}
	values := make(map[int]int)
	got, err := rdd.TakeSampleWithReplacement(r, rounds, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		values[v]++
	}
	for v := range 5 {
		if n := values[v+1]; n < 1000 || n > 1400 {
			t.Errorf("%d came %d times", v+1, n)
		}
	}
	again, err := rdd.TakeSampleWithReplacement(r, rounds, 7)
	if !slices.Equal(got, again) || err != nil {
		t.Error("the same seed chose others")
	}
}

// A sample of an RDD that isn't the same twice is an error, not a smaller sample.
func TestTakeSampleOfWhatChanges(t *testing.T) {
	sc := rddtest.NewContext(2)
	calls := 0
	r := ints(sc, 6, 1).Filter(func(int) bool { calls++; return calls <= 6 })
	if _, err := rdd.TakeSample(r, 2, 1); !errors.Is(err, rdd.ErrChanged) || !strings.Contains(err.Error(), "takeSample at") {
		t.Error(err)
	}
}

// The iterator computes a partition when it is wanted, and no sooner.
func TestToLocalIteratorIsLazy(t *testing.T) {
	jobs := &counting{Reference: rddtest.NewReference()}
	sc := rdd.NewContext(lineage.NewLineage(0, 2), jobs)
	r := ints(sc, 10, 5)
	seq := rdd.ToLocalIterator(r)
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if want := (v + 1) / 2; len(jobs.partitions) != want {
			t.Errorf("%d was read after %d jobs", v, len(jobs.partitions))
		}
		if v == 5 {
			break
		}
	}
	if n := len(jobs.partitions); n != 3 {
		t.Errorf("%d jobs", n)
	}
	if all, err := collected(seq); len(all) != 10 || err != nil { // it can be read again
		t.Error(all, err)
	}
}

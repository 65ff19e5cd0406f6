package rdd_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// adding passes numbers on and adds them to an accumulator.
func adding(r ints64, to *rdd.Accumulator[int]) ints64 {
	return rdd.MapPartitions(r, func(p rdd.Part, in iter.Seq[int]) iter.Seq[int] {
		return func(yield func(int) bool) {
			for v := range in {
				to.Add(p, v)
				if !yield(v) {
					return
				}
			}
		}
	})
}

// An accumulator holds what the tasks of the actions so far have added, and of what an
// action found in a shuffle nothing.
func TestAccumulators(t *testing.T) {
	sc := rddtest.NewContext(2)
	narrow, wide, list := rdd.NewSum[int](sc, "narrow"), rdd.NewSum[int](sc, "wide"), rdd.NewAccumulator(sc, "list", []string{}, func(a, b []string) []string { return append(a, b...) })
	is := func(step, want string) {
		t.Helper()
		if got := fmt.Sprint(narrow.Value(), wide.Value(), list.Value()); got != want {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
	}
	act := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	in := ints(sc, 10, 4)
	r := adding(in.Union(adding(in, narrow)), narrow) // another partition's context in the task
	is("before", "0 0 []")
	act(rdd.Count(r))
	is("an action", "165 0 []")
	act(rdd.First(r))
	is("one partition, up to its first element", "166 0 []")
	shuffled := adding(rdd.Reduced(adding(in, wide), sum), narrow)
	act(rdd.Count(shuffled))
	is("a shuffle", "221 55 []")
	act(rdd.Count(shuffled))
	is("the shuffle is there", "276 55 []")
	act(nil, rdd.ForEachPartition(in, func(p rdd.Part, rows iter.Seq2[int, error]) error {
		list.Add(p, []string{fmt.Sprint("partition ", p.Index)})
		list.Add(p, []string{"!"})
		return nil
	}))
	is("in the action", "276 55 [partition 0 ! partition 1 ! partition 2 ! partition 3 !]")
}

// An action that fails adds nothing.
func TestFailedActionAddsNothing(t *testing.T) {
	sc := rddtest.NewContext(2)
	a := rdd.NewSum[int](sc, "sum")
	r := rdd.Map(adding(ints(sc, 10, 5), a), func(i int) int { return 1 / (i - 9) })
	if _, err := rdd.Collect(r); err == nil || a.Value() != 0 {
		t.Errorf("%d, %v", a.Value(), err)
	}
}

// Each task begins with a zero of its own, and so does the program.
func TestAccumulatorsZeroIsFresh(t *testing.T) {
	sc := rddtest.NewContext(2)
	zero := []byte{0, 0, 0}
	a := rdd.NewAccumulator(sc, "marks", zero, func(a, b []byte) []byte {
		for i := range a {
			a[i] += b[i]
		}
		return a
	})
	for range 2 {
		if err := rdd.ForEachPartition(ints(sc, 3, 3), func(p rdd.Part, _ iter.Seq2[int, error]) error {
			mark := make([]byte, 3)
			mark[p.Index] = 1
			a.Add(p, mark)
			a.Add(p, mark)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(a.Value(), zero) != "[4 4 4] [0 0 0]" {
		t.Errorf("%v of zero %v", a.Value(), zero)
	}
}

// Where an accumulator can't be used it says so.
func TestErrorsOfAccumulators(t *testing.T) {
	each := func(r ints64, f func(p rdd.Part)) error {
		return rdd.ForEachPartition(r, func(p rdd.Part, _ iter.Seq2[int, error]) error { f(p); return nil })
	}
	reading := func(sc *rdd.Context) ints64 {
		a := rdd.NewSum[int](sc, "a")
		return rdd.Map(ints(sc, 2, 2), func(int) int { return a.Value() })
	}
	for name, c := range map[string]struct {
		act  func(sc *rdd.Context) error
		err  error
		says string
	}{
		"read in a task": {func(sc *rdd.Context) error { _, err := rdd.Count(reading(sc)); return err }, rdd.ErrAccumulator,
			`accumulator at rdd/accumulator_test.go:`},
		"read before a shuffle": {func(sc *rdd.Context) error { _, err := rdd.CountByValue(reading(sc)); return err }, rdd.ErrAccumulator, `"a": `},
		"read behind a pull": {func(sc *rdd.Context) error {
			_, err := rdd.Count(rdd.TryMapPartitions(reading(sc), pulling[int]))
			return err
		}, rdd.ErrAccumulator, "tasks can only Add"},
		"of another context": {func(sc *rdd.Context) error {
			a := rdd.NewSum[int](rddtest.NewContext(1), "foreign")
			return each(ints(sc, 1, 1), func(p rdd.Part) { a.Add(p, 1) })
		}, rdd.ErrAccumulator, `"foreign"`},
		"of another context beside one of this": {func(sc *rdd.Context) error {
			a, own := rdd.NewSum[int](rddtest.NewContext(1), "same"), rdd.NewSum[int](sc, "same")
			return each(ints(sc, 1, 1), func(p rdd.Part) { own.Add(p, 1); a.Add(p, 1) })
		}, rdd.ErrAccumulator, "another context"},
		"no part": {func(sc *rdd.Context) error {
			a := rdd.NewSum[int](sc, "a")
			return each(ints(sc, 1, 1), func(rdd.Part) { a.Add(rdd.Part{}, 1) })
		}, rdd.ErrAccumulator, "needs the Part"},
		"too much": {func(sc *rdd.Context) error {
			a := rdd.NewAccumulator(sc, "lines", "", func(a, b string) string { return a + b })
			return each(ints(sc, 1, 1), func(p rdd.Part) { a.Add(p, strings.Repeat("x", task.MaxUpdateBytes)) })
		}, nil, `accumulators, the last of them to "lines"`},
		"no function": {func(sc *rdd.Context) error {
			rdd.NewAccumulator(sc, "a", 0, nil)
			_, err := rdd.Count(ints(sc, 1, 1))
			return err
		}, rdd.ErrNilFunction, "accumulator at rdd/accumulator_test.go:"},
		"no encoding": {func(sc *rdd.Context) error {
			rdd.NewAccumulator(sc, "a", func() {}, func(a, _ func()) func() { return a })
			_, err := rdd.Count(ints(sc, 1, 1))
			return err
		}, encoding.ErrUnencodable, "accumulator at rdd/accumulator_test.go:"},
		"in a stream": {func(*rdd.Context) error {
			sc := rdd.NewContext(lineage.NewLineage(1, 1), nil)
			rdd.NewSum[int](sc, "a")
			return sc.Lineage().Err()
		}, rdd.ErrAccumulator, "accumulator at rdd/accumulator_test.go:"},
		"made in a task": {func(sc *rdd.Context) error {
			r := ints(sc, 1, 1)
			sc.Lineage().Freeze("it is too late")
			return each(r, func(p rdd.Part) { rdd.NewSum[int](sc, "a").Add(p, 1) })
		}, nil, "it was made in a task"},
		"a panic of its own on the driver": {func(sc *rdd.Context) error {
			a := rdd.NewAccumulator(sc, "a", 0, func(a, b int) int {
				if a+b == 3 {
					panic(errBroken)
				}
				return a + b
			})
			return each(ints(sc, 3, 3), func(p rdd.Part) { a.Add(p, 1) })
		}, errBroken, "accumulator at rdd/accumulator_test.go:"},
	} {
		err := c.act(rddtest.NewContext(1))
		if err == nil || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A runner that brings back nothing of accumulators has none.
func TestAccumulatorsNeedARunner(t *testing.T) {
	sc := rdd.NewContext(lineage.NewLineage(0, 1), struct{ rdd.Runner }{rddtest.NewReference()})
	rdd.NewSum[int](sc, "a")
	if _, err := rdd.Count(ints(sc, 1, 1)); !errors.Is(err, rdd.ErrAccumulator) {
		t.Error(err)
	}
}

func ExampleNewAccumulator() {
	sc := rddtest.NewContext(2)
	longest := rdd.NewAccumulator(sc, "longest", "", func(a, b string) string {
		if len(b) > len(a) {
			return b
		}
		return a
	})
	words := rdd.Parallelize(sc, strings.Fields("to be or not to be"))
	err := rdd.ForEachPartition(words, func(p rdd.Part, rows iter.Seq2[string, error]) error {
		for word, err := range rows {
			if err != nil {
				return err
			}
			longest.Add(p, word)
		}
		return nil
	})
	fmt.Println(longest.Value(), err)
	// Output: not <nil>
}

func ExampleNewSum() {
	sc := rddtest.NewContext(2)
	odd := rdd.NewSum[int64](sc, "odd numbers")
	numbers := rdd.MapPartitions(rdd.Parallelize(sc, []int{1, 2, 3, 4, 5}), func(p rdd.Part, in iter.Seq[int]) iter.Seq[int] {
		return func(yield func(int) bool) {
			for i := range in {
				odd.Add(p, int64(i%2))
				if !yield(i) {
					return
				}
			}
		}
	})
	sum, err := rdd.Sum(numbers)
	fmt.Println(sum, odd.Value(), err)
	// Output: 15 3 <nil>
}

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

func double(i int) int { return 2 * i }
func negate(i int) int { return -i }

// inOrder is a range over a map that two processes go through in another order:
// every second time it is reversed.
func inOrder(builds *int, keys ...string) []string {
	if *builds++; *builds%2 == 0 {
		slices.Reverse(keys)
	}
	return keys
}

// times returns functions that share their code and differ in what they captured.
func times(n int) func(int) int { return func(i int) int { return n * i } }

// Operators that processes would take for one another are refused: by the
// comparison of the graphs if their functions differ, at once if nothing does.
func TestMixedUpOperatorsAreRefused(t *testing.T) {
	functions := map[string]func(int) int{"a": double, "b": negate}
	factors := map[string]int{"a": 2, "b": -1}
	none := func(engine.Batch, []int) error { return nil }
	for name, c := range map[string]struct {
		loop func(ssc *engine.StreamingContext, in *engine.DStream[int], keys []string)
		want error
		says []string
	}{
		"functions of a map": {func(_ *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			for _, k := range keys {
				engine.Map(in, functions[k]).Print(1)
			}
		}, engine.ErrDiverged, []string{"map of 1 at engine/identity_test.go:", "engine_test.double", "engine_test.negate"}},
		"helpers of a map": {func(_ *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			one := func() { helped(in, 1) }
			two := func() { helped(in, 2) }
			for _, k := range keys {
				if k == "a" {
					one()
				} else {
					two()
				}
			}
		}, engine.ErrDiverged, []string{"called by engine/identity_test.go:"}},
		"one function that captures": {func(_ *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			for _, k := range keys {
				engine.Map(in, times(factors[k])).Print(1)
			}
		}, engine.ErrAmbiguous, []string{"map at engine/identity_test.go:", "2 are declared here with one function (", "times", "write .Named(name) after it, another name each time"}},
		"a chain": {func(_ *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			for _, k := range keys {
				in = engine.Map(in, times(factors[k]))
				in = in.Union(in)
			}
			in.Print(1)
		}, engine.ErrAmbiguous, []string{"map at engine/identity_test.go:"}},
		"outputs": {func(_ *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			for range keys {
				engine.ForEachBatch(in, none)
			}
		}, engine.ErrAmbiguous, []string{"forEachBatch at engine/identity_test.go:", "engine.ForEachBatch(s.Named(name), f)"}},
		"transforms": {func(_ *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			for range keys {
				engine.Transform(in, func(_ engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] { return r }).Print(1)
			}
		}, engine.ErrAmbiguous, []string{"transform at"}},
		"values": {func(ssc *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			for range keys {
				engine.Value(ssc, "v", func(context.Context) (int, error) { return 1, nil })
			}
			in.Print(1)
		}, engine.ErrAmbiguous, []string{"value v at", "give each a name of its own"}},
		"values of batches": {func(ssc *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			for range keys {
				engine.PerBatch(ssc, "v", func(context.Context, engine.Batch) (int, error) { return 1, nil })
			}
			in.Print(1)
		}, engine.ErrAmbiguous, []string{"perBatch v at", "give each a name of its own"}},
		"names in another order": {func(_ *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			for _, k := range keys {
				engine.Map(in, times(factors[k])).Named(k).Print(1)
			}
		}, engine.ErrDiverged, []string{`named "a"`, `named "b"`}},
		"an RDD's functions in another order": {func(_ *engine.StreamingContext, in *engine.DStream[int], keys []string) {
			keys = slices.Clone(keys)
			engine.Transform(in, func(_ engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] {
				for _, k := range keys {
					r = rdd.Map(r, functions[k])
				}
				return r
			}).Print(1)
		}, engine.ErrDiverged, []string{"generates other RDDs for batch 1", "engine_test.double"}},
		"an empty name": {func(_ *engine.StreamingContext, in *engine.DStream[int], _ []string) {
			in.Named("").Print(1)
		}, engine.ErrBuild, []string{"named at engine/identity_test.go:", "the name is empty"}},
	} {
		builds := 0
		err := run(t, func(ssc *engine.StreamingContext) error {
			c.loop(ssc, numbers(ssc), inOrder(&builds, "a", "b"))
			return nil
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q is missing in\n%v", name, s, err)
			}
		}
	}
}

// helped declares the same operator wherever it is called.
func helped(in *engine.DStream[int], n int) *engine.DStream[int] {
	out := engine.Map(in, func(i int) int { return n * i })
	out.Print(1)
	return out
}

// Operators that something tells apart need no names; what a loop names runs with
// its own functions.
func TestOperatorsToldApart(t *testing.T) {
	got := map[string]string{}
	note := func(name string) func(engine.Batch, []int) error {
		return func(b engine.Batch, rows []int) error {
			if b.Seq == 1 {
				got[name] = fmt.Sprint(rows)
			}
			return nil
		}
	}
	err := run(t, func(ssc *engine.StreamingContext) error {
		in := numbers(ssc)
		for k, n := range []int{10, 20} { // named streams
			name := fmt.Sprint("map ", k)
			engine.ForEachBatch(engine.Map(in, times(n)).Named(name), note(name))
		}
		for _, name := range []string{"out 1", "out 2"} { // one stream under two names
			engine.ForEachBatch(in.Named(name), note(name))
		}
		helped(in, 1) // one place in a helper, two that call it
		helped(in, 2)
		engine.Map(engine.Map(in, double), double).Print(1) // two on one line
		for range 2 {                                       // no functions
			engine.Count(in).Print(1)
		}
		engine.ForEachBatch(in, func(b engine.Batch, _ []int) error { ssc.Stop(); return nil })
		return nil
	})
	want := map[string]string{"map 0": "[10 20]", "map 1": "[20 40]", "out 1": "[1 2]", "out 2": "[1 2]"}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v; %v", got, want, err)
	}
}

// A checkpoint is good for a program whose streams were given names, or other
// functions, since.
func TestNamesAreNoPartOfTheShape(t *testing.T) {
	dir := t.TempDir()
	var seen []string
	for _, build := range []engine.BuildFunc{
		func(ssc *engine.StreamingContext) error {
			engine.ForEachBatch(engine.Map(numbers(ssc), double), stopAfter(ssc, 1, &seen))
			return nil
		},
		func(ssc *engine.StreamingContext) error {
			engine.ForEachBatch(engine.Map(numbers(ssc).Named("in at | the door"), negate).Named("negated"), stopAfter(ssc, 2, &seen))
			return nil
		},
	} {
		if err := run(t, build, "--checkpoint", dir); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Contains(seen, "2 [-3]") {
		t.Error(seen)
	}
}

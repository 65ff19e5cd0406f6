package rdd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func TestValue(t *testing.T) {
	sc := rddtest.NewContext(1)
	type point struct{ X, Y float64 }
	if v := rdd.Value(sc, func() []point { return []point{{1, 2}} }); len(v) != 1 || v[0] != (point{1, 2}) {
		t.Error(v)
	}
	boom := errors.New("boom")
	if _, err := rdd.TryValue(sc, func() (int, error) { return 0, boom }); !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "value at rdd/program_test.go:") {
		t.Error(err)
	}
	if err := sc.Lineage().Err(); err != nil {
		t.Errorf("an error that the program was given fails it: %v", err)
	}
	ran := false
	sc.OnDriver(func() error { ran = true; return nil })
	if !ran {
		t.Error("OnDriver's function didn't run")
	}
}

// What can't be a value fails the program once, and what follows isn't called.
func TestErrorsOfValues(t *testing.T) {
	never := func() int { t.Error("it was called in a program that can't run"); return 0 }
	for name, c := range map[string]struct {
		of   *rdd.Context
		use  func(sc *rdd.Context)
		want error
	}{
		"no function":           {rddtest.NewContext(1), func(sc *rdd.Context) { rdd.Value[int](sc, nil) }, rdd.ErrNilFunction},
		"no function that may":  {rddtest.NewContext(1), func(sc *rdd.Context) { _, _ = rdd.TryValue[int](sc, nil) }, rdd.ErrNilFunction},
		"no effect":             {rddtest.NewContext(1), func(sc *rdd.Context) { sc.OnDriver(nil) }, rdd.ErrNilFunction},
		"a function as a value": {rddtest.NewContext(1), func(sc *rdd.Context) { rdd.Value(sc, func() func() { return nil }) }, nil},
		"an effect that fails":  {rddtest.NewContext(1), func(sc *rdd.Context) { sc.OnDriver(func() error { return rdd.ErrEmpty }) }, rdd.ErrEmpty},
		"of a stream's batch":   {rdd.NewContext(lineage.NewLineage(1, 1), nil), func(sc *rdd.Context) { rdd.Value(sc, never) }, rdd.ErrNoActions},
		"an effect there":       {rdd.NewContext(lineage.NewLineage(1, 1), nil), func(sc *rdd.Context) { sc.OnDriver(func() error { never(); return nil }) }, rdd.ErrNoActions},
	} {
		t.Run(name, func(t *testing.T) {
			c.use(c.of)
			errs := c.of.Lineage().Errs()
			if len(errs) != 1 || c.want != nil && !errors.Is(errs[0], c.want) || !strings.Contains(errs[0].Error(), " at rdd/program_test.go:") {
				t.Fatal(errs)
			}
			rdd.Value(c.of, never)
			c.of.OnDriver(func() error { never(); return nil })
			if n := len(c.of.Lineage().Errs()); n != 1 {
				t.Errorf("%d errors: %v", n, c.of.Lineage().Err())
			}
		})
	}
}

// A lineage that is drained goes on with its numbers; one that is thawed grows again.
func TestDrain(t *testing.T) {
	sc := rddtest.NewContext(2)
	double := func(i int) int { return 2 * i }
	counted := rdd.CountedByValue(ints(sc, 4, 2))
	first := sc.Lineage().Drain()
	if n := len(first.Nodes()); n == 0 || first.Shuffle(0) == nil || sc.Lineage().Shuffle(0) != nil || len(sc.Lineage().Nodes()) != 0 {
		t.Fatalf("drained %d nodes: %q", n, first.Describe())
	}
	next := rdd.CountedByValue(rdd.Map(rdd.Map(counted, func(p rdd.Pair[int, int64]) int { return p.Key }), double))
	rest := sc.Lineage().Drain()
	if got, want := rest.Nodes()[0].ID.Ordinal, int32(len(first.Nodes())); got != want {
		t.Errorf("the next RDD has number %d, want %d", got, want)
	}
	if rest.Shuffle(1) == nil || rest.Shuffle(0) != nil || rest.Shuffle(2) != nil {
		t.Error("the shuffles have other numbers")
	}
	if n, err := rdd.Count(next); n != 4 || err != nil {
		t.Error(n, err)
	}

	sc.Lineage().Freeze("not now")
	sc.Lineage().Thaw()
	rdd.Map(counted, func(p rdd.Pair[int, int64]) int { return p.Key })
	if err := sc.Lineage().Err(); err != nil {
		t.Error(err)
	}
}

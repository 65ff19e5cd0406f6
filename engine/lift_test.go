package engine_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// keyed returns the numbers under one key.
func keyed(in *engine.DStream[int]) *engine.DStream[rdd.Pair[string, int]] {
	return engine.Map(in, func(i int) rdd.Pair[string, int] { return rdd.Pair[string, int]{Key: "k", Value: i} })
}

// show declares an output that shows the first batch's elements in order and stops
// the stream.
func show[T any](d *engine.DStream[T], shown *string) {
	ssc := d.Context()
	engine.ForEachBatch(d, func(b engine.Batch, rows []T) error {
		if b.Seq == 1 {
			texts := make([]string, len(rows))
			for i, r := range rows {
				texts[i] = fmt.Sprint(r)
			}
			slices.Sort(texts)
			*shown = strings.Join(texts, " ")
		}
		ssc.Stop()
		return nil
	})
}

// Every operator: what it makes of a batch of 1 and 2, and what is said, once, of one
// that is declared wrongly.
func TestOperators(t *testing.T) {
	type stream = engine.DStream[int]
	plus := func(a, b int) int { return a + b }
	for op, c := range map[string]struct {
		good func(in *stream, shown *string)
		want string
		bad  func(in *stream)
		says error
	}{
		"map": {
			func(in *stream, shown *string) { show(engine.Map(in, double), shown) }, "2 4",
			func(in *stream) { engine.Map[int, int](in, nil) }, rdd.ErrNilFunction,
		},
		"filter": {
			func(in *stream, shown *string) { show(in.Filter(func(i int) bool { return i > 1 }), shown) }, "2",
			func(in *stream) { in.Filter(nil) }, rdd.ErrNilFunction,
		},
		"flatMap": {
			func(in *stream, shown *string) {
				show(engine.FlatMap(in, func(i int) []int { return make([]int, i) }), shown)
			}, "0 0 0",
			func(in *stream) { engine.FlatMap[int, int](in, nil) }, rdd.ErrNilFunction,
		},
		"mapPartitions": {
			func(in *stream, shown *string) {
				show(engine.TryMapPartitions(in, func(_ rdd.Part, in iter.Seq2[int, error]) iter.Seq2[int, error] { return in }), shown)
			}, "1 2",
			func(in *stream) { engine.MapPartitions[int, int](in, nil) }, rdd.ErrNilFunction,
		},
		"union": {
			func(in *stream, shown *string) { show(in.Union(engine.Map(in, negate), in), shown) }, "-1 -2 1 1 2 2",
			func(in *stream) { in.Union(in, nil) }, rdd.ErrNil,
		},
		"reduceByKey": {
			func(in *stream, shown *string) { show(engine.ReduceByKey(keyed(in), plus, rdd.Partitions(3)), shown) }, "{k 3}",
			func(in *stream) { engine.ReduceByKey(keyed(in), plus, rdd.Partitions(0)) }, rdd.ErrPartitions,
		},
		"countByValue": {
			func(in *stream, shown *string) { show(engine.CountByValue(in), shown) }, "{1 1} {2 1}",
			func(in *stream) { engine.CountByValue(in, rdd.Partitions(-1)) }, rdd.ErrPartitions,
		},
		"count": {
			func(in *stream, shown *string) { show(engine.Count(in), shown) }, "2", nil, nil,
		},
		"reduce": {
			func(in *stream, shown *string) { show(engine.Reduce(in, plus), shown) }, "3",
			func(in *stream) { engine.Reduce(in, nil) }, rdd.ErrNilFunction,
		},
	} {
		var shown string
		err := run(t, func(ssc *engine.StreamingContext) error { c.good(numbers(ssc), &shown); return nil })
		if err != nil || shown != c.want {
			t.Errorf("%s: %q, want %q; %v", op, shown, c.want, err)
		}
		if c.bad == nil {
			continue
		}
		err = run(t, func(ssc *engine.StreamingContext) error {
			in := numbers(ssc)
			c.bad(in)
			in.Print(1)
			return nil
		})
		if !errors.Is(err, engine.ErrBuild) || !errors.Is(err, c.says) {
			t.Errorf("%s: %v", op, err)
			continue
		}
		if n := strings.Count(err.Error(), op+" at engine/lift_test.go:"); n != 1 || strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("%s: it is said %d times:\n%v", op, n, err)
		}
	}
}

// Which argument is wrong is said.
func TestUnionWithNoStream(t *testing.T) {
	err := run(t, func(ssc *engine.StreamingContext) error {
		numbers(ssc).Union(numbers(ssc), nil).Print(1)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "argument 2: nil in place of an RDD or stream") {
		t.Error(err)
	}
}

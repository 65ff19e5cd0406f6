package engine_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// keyed returns the numbers under one key.
func keyed(in *engine.DStream[int]) *engine.DStream[rdd.Pair[string, int]] {
	return engine.Map(in, func(i int) rdd.Pair[string, int] { return rdd.Pair[string, int]{Key: "k", Value: i} })
}

// renamed returns, for each number, the name under itself.
func renamed(in *engine.DStream[int], name string) *engine.DStream[rdd.Pair[string, string]] {
	return engine.Map(in, func(int) rdd.Pair[string, string] { return rdd.KV(name, name) })
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
	all := func(rdd.Pair[string, string]) bool { return true }
	max := func(a, b string) string { return max(a, b) }
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
		"mapValues": {
			func(in *stream, shown *string) { show(engine.MapValues(keyed(in), double), shown) }, "{k 2} {k 4}",
			func(in *stream) { engine.MapValues[string, int, int](keyed(in), nil) }, rdd.ErrNilFunction,
		},
		"flatMapValues": {
			func(in *stream, shown *string) {
				show(engine.FlatMapValues(keyed(in), func(i int) []int { return make([]int, i) }), shown)
			}, "{k 0} {k 0} {k 0}",
			func(in *stream) { engine.FlatMapValues[string, int, int](keyed(in), nil) }, rdd.ErrNilFunction,
		},
		"keys": {
			func(in *stream, shown *string) { show(engine.Keys(keyed(in)), shown) }, "k k", nil, nil,
		},
		"values": {
			func(in *stream, shown *string) { show(engine.Values(keyed(in)), shown) }, "1 2", nil, nil,
		},
		"combineByKey": {
			func(in *stream, shown *string) {
				show(engine.CombineByKey(keyed(in), double, plus, plus, rdd.Partitions(1)), shown)
			}, "{k 6}",
			func(in *stream) { engine.CombineByKey(keyed(in), double, plus, nil) }, rdd.ErrNilFunction,
		},
		"aggregateByKey": {
			func(in *stream, shown *string) { show(engine.AggregateByKey(keyed(in), 0, plus, plus), shown) }, "{k 3}",
			func(in *stream) { engine.AggregateByKey(keyed(in), 0, nil, plus) }, rdd.ErrNilFunction,
		},
		"foldByKey": {
			func(in *stream, shown *string) { show(engine.FoldByKey(keyed(in), 0, plus), shown) }, "{k 3}",
			func(in *stream) { engine.FoldByKey(keyed(in), 0, nil) }, rdd.ErrNilFunction,
		},
		"groupByKey": {
			func(in *stream, shown *string) { show(engine.GroupByKey(keyed(in), rdd.Partitions(2)), shown) }, "{k [1 2]}",
			func(in *stream) { engine.GroupByKey(keyed(in), rdd.Partitions(0)) }, rdd.ErrPartitions,
		},
		"partitionBy": {
			func(in *stream, shown *string) { show(engine.PartitionBy(keyed(in), rdd.Partitions(2)), shown) }, "{k 1} {k 2}",
			func(in *stream) { engine.PartitionBy(keyed(in), rdd.Partitions(0)) }, rdd.ErrPartitions,
		},
		"cogroup": {
			func(in *stream, shown *string) {
				show(engine.Cogroup4(keyed(in), renamed(in, "k"), renamed(in, "x"), keyed(in)), shown)
			}, "{k {[1 2] [k k] [] [1 2]}} {x {[] [] [x x] []}}",
			func(in *stream) { engine.Cogroup3[string, int, int, int](keyed(in), keyed(in), nil) }, rdd.ErrNil,
		},
		"join": {
			func(in *stream, shown *string) { show(engine.Join(keyed(in), renamed(in, "k").Filter(all)), shown) }, "{k {1 k}} {k {1 k}} {k {2 k}} {k {2 k}}",
			func(in *stream) { engine.Join[string, int, int](keyed(in), nil) }, rdd.ErrNil,
		},
		"leftOuterJoin": {
			func(in *stream, shown *string) { show(engine.LeftOuterJoin(keyed(in), renamed(in, "x")), shown) }, "{k {1 None}} {k {2 None}}",
			func(in *stream) { engine.LeftOuterJoin(keyed(in), keyed(in), rdd.Partitions(0)) }, rdd.ErrPartitions,
		},
		"rightOuterJoin": {
			func(in *stream, shown *string) { show(engine.RightOuterJoin(renamed(in, "x"), keyed(in)), shown) }, "{k {None 1}} {k {None 2}}",
			func(in *stream) { engine.RightOuterJoin[string, int, int](keyed(in), nil) }, rdd.ErrNil,
		},
		"fullOuterJoin": {
			func(in *stream, shown *string) {
				show(engine.FullOuterJoin(engine.ReduceByKey(keyed(in), plus), engine.ReduceByKey(renamed(in, "x"), max)), shown)
			}, "{k {Some(3) None}} {x {None Some(x)}}",
			func(in *stream) { engine.FullOuterJoin[string, int, int](keyed(in), nil) }, rdd.ErrNil,
		},
		"subtractByKey": {
			func(in *stream, shown *string) { show(engine.SubtractByKey(keyed(in), renamed(in, "x")), shown) }, "{k 1} {k 2}",
			func(in *stream) { engine.SubtractByKey[string, int, int](keyed(in), nil) }, rdd.ErrNil,
		},
		"countByValue": {
			func(in *stream, shown *string) { show(engine.CountByValue(in), shown) }, "{1 1} {2 1}",
			func(in *stream) { engine.CountByValue(in, rdd.Partitions(-1)) }, rdd.ErrPartitions,
		},
		"count": {
			func(in *stream, shown *string) { show(engine.Count(in), shown) }, "2", nil, nil,
		},
		"coalesce": {
			func(in *stream, shown *string) { show(engine.Glom(in.Coalesce(1)), shown) }, "[1 2]",
			func(in *stream) { in.Coalesce(0) }, rdd.ErrPartitions,
		},
		"repartition": {
			func(in *stream, shown *string) { show(engine.Glom(in.Repartition(1)), shown) }, "[1 2]",
			func(in *stream) { in.Repartition(-1) }, rdd.ErrPartitions,
		},
		"glom": {
			func(in *stream, shown *string) { show(engine.Glom(in), shown) }, "[1] [2]", nil, nil,
		},
		"sample": {
			func(in *stream, shown *string) { show(in.Sample(false, 1, 7).Union(in.Sample(true, 0, 7)), shown) }, "1 2",
			func(in *stream) { in.Sample(false, 2, 7) }, rdd.ErrArgument,
		},
		"distinct": {
			func(in *stream, shown *string) { show(engine.Distinct(in.Union(in)), shown) }, "1 2",
			func(in *stream) { engine.Distinct(in, rdd.Partitions(0)) }, rdd.ErrPartitions,
		},
		"keyBy": {
			func(in *stream, shown *string) { show(engine.KeyBy(in, negate), shown) }, "{-1 1} {-2 2}",
			func(in *stream) { engine.KeyBy[int](in, nil) }, rdd.ErrNilFunction,
		},
		"groupBy": {
			func(in *stream, shown *string) {
				show(engine.GroupBy(in, func(int) string { return "k" }), shown)
			}, "{k [1 2]}",
			func(in *stream) { engine.GroupBy[int](in, nil) }, rdd.ErrNilFunction,
		},
		"pipe": {
			func(in *stream, shown *string) {
				show(engine.Pipe(engine.Map(in, strconv.Itoa), []string{"sed", "s/$/!/"}), shown)
			}, "1! 2!",
			func(in *stream) { engine.Pipe(engine.Map(in, strconv.Itoa), nil) }, rdd.ErrArgument,
		},
		"tryMap": {
			func(in *stream, shown *string) { show(engine.TryMap(in, notOne, rdd.OnBadRecord(rdd.Skip())), shown) }, "4",
			func(in *stream) {
				engine.TryMap(in, notOne, rdd.OnBadRecord(rdd.DeadLetter(func(rdd.Part, string, error) error { return nil })))
			}, rdd.ErrArgument,
		},
		"tryFilter": {
			func(in *stream, shown *string) {
				show(in.TryFilter(func(i int) (bool, error) { _, err := notOne(i); return true, err }, rdd.OnBadRecord(rdd.Skip())), shown)
			}, "2",
			func(in *stream) { in.TryFilter(nil) }, rdd.ErrNilFunction,
		},
		"tryFlatMap": {
			func(in *stream, shown *string) {
				show(engine.TryFlatMap(in, func(i int) ([]int, error) { _, err := notOne(i); return make([]int, i), err }, rdd.OnBadRecord(rdd.Skip())), shown)
			}, "0 0",
			func(in *stream) { engine.TryFlatMap[int, int](in, nil) }, rdd.ErrNilFunction,
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

// notOne doubles and refuses 1.
func notOne(i int) (int, error) {
	if i == 1 {
		return 0, errors.New("it is 1")
	}
	return 2 * i, nil
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

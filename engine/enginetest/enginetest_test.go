package enginetest_test

import (
	"iter"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

type pair = rdd.Pair[string, int64]

func kv(k string, n int64) pair { return pair{Key: k, Value: n} }

// operation runs an operator in virtual time and on executor processes.
func operation[T, U any](t *testing.T, input [][]T, op func(*engine.DStream[T]) *engine.DStream[U], expected [][]U) {
	t.Run("local", func(t *testing.T) { enginetest.Operation(t, input, op, expected) })
	t.Run("cluster", func(t *testing.T) { enginetest.ClusterOperation(t, input, op, expected) })
}

func TestOperators(t *testing.T) {
	words := [][]string{{"a b", "a"}, {"b"}, {}, {"c c c"}}
	split := func(d *engine.DStream[string]) *engine.DStream[string] { return engine.FlatMap(d, strings.Fields) }
	t.Run("flatMap", func(t *testing.T) {
		operation(t, words, split, [][]string{{"a", "b", "a"}, {"b"}, {}, {"c", "c", "c"}})
	})
	t.Run("map", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[int] {
			return engine.Map(d, func(s string) int { return len(s) })
		}, [][]int{{3, 1}, {1}, {}, {5}})
	})
	t.Run("filter", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[string] {
			return d.Filter(func(s string) bool { return len(s) > 1 })
		}, [][]string{{"a b"}, {}, {}, {"c c c"}})
	})
	t.Run("mapPartitions", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[int] {
			return engine.TryMapPartitions(d, func(part rdd.Part, in iter.Seq2[string, error]) iter.Seq2[int, error] {
				tc := part.Task()
				return func(yield func(int, error) bool) {
					n := 0
					for _, err := range in {
						if err != nil {
							yield(0, err)
							return
						}
						n++
					}
					yield(10*tc.Partition+n, nil)
				}
			})
		}, [][]int{{1, 11}, {0, 11}, {0, 10}, {0, 11}})
	})
	t.Run("union", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[string] {
			return d.Union(d.Filter(func(s string) bool { return s == "b" }))
		}, [][]string{{"a b", "a"}, {"b", "b"}, {}, {"c c c"}})
	})
	t.Run("countByValue", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[pair] {
			return engine.CountByValue(split(d), rdd.Partitions(3))
		}, [][]pair{{kv("a", 2), kv("b", 1)}, {kv("b", 1)}, {}, {kv("c", 3)}})
	})
	t.Run("reduceByKey", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[pair] {
			ones := engine.Map(split(d), func(w string) pair { return pair{Key: w, Value: 1} })
			return engine.ReduceByKey(ones, func(a, b int64) int64 { return a + b })
		}, [][]pair{{kv("a", 2), kv("b", 1)}, {kv("b", 1)}, {}, {kv("c", 3)}})
	})
	t.Run("count", func(t *testing.T) {
		operation(t, words, engine.Count[string], [][]int64{{2}, {1}, {0}, {1}})
	})
	t.Run("reduce", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[string] {
			return engine.Reduce(d, func(a, b string) string { return a + "+" + b })
		}, [][]string{{"a b+a"}, {"b"}, {}, {"c c c"}})
	})
	t.Run("transform", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[uint64] {
			return engine.Transform(d, func(b engine.Batch, r *rdd.RDD[string]) *rdd.RDD[uint64] {
				return rdd.Map(r, func(string) uint64 { return b.Seq })
			})
		}, [][]uint64{{1, 1}, {2}, {}, {4}})
	})
	t.Run("cache", func(t *testing.T) {
		operation(t, words, func(d *engine.DStream[string]) *engine.DStream[string] {
			s := split(d).Cache()
			return s.Union(s)
		}, [][]string{{"a", "b", "a", "a", "b", "a"}, {"b", "b"}, {}, {"c", "c", "c", "c", "c", "c"}})
	})
}

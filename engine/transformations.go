package engine

import (
	"iter"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Map applies f to every element, on executors.
func Map[T, U any](d *DStream[T], f func(T) U) *DStream[U] {
	require(d.ssc, "map", f != nil)
	return derive(d, "map", func(_ *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.Map(r, f) }, f)
}

// Filter keeps the elements for which keep is true, on executors.
func (d *DStream[T]) Filter(keep func(T) bool) *DStream[T] {
	require(d.ssc, "filter", keep != nil)
	return derive(d, "filter", func(_ *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[T] { return r.Filter(keep) }, keep)
}

// FlatMap applies f to every element and yields what it returns one by one, on
// executors.
func FlatMap[T, U any](d *DStream[T], f func(T) []U) *DStream[U] {
	require(d.ssc, "flatMap", f != nil)
	return derive(d, "flatMap", func(_ *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.FlatMap(r, f) }, f)
}

// MapPartitions applies f to the sequence of each partition of each batch, on
// executors; f is called for an empty partition too. The sequence yields an
// error as its last element if the partition can't be read; f passes it on.
func MapPartitions[T, U any](d *DStream[T], f func(tc *rdd.TaskContext, in iter.Seq2[T, error]) iter.Seq2[U, error]) *DStream[U] {
	require(d.ssc, "mapPartitions", f != nil)
	return derive(d, "mapPartitions", func(_ *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.MapPartitions(r, f) }, f)
}

// Union yields the elements of d and of the others.
func (d *DStream[T]) Union(others ...*DStream[T]) *DStream[T] {
	parents := []plan.Parent{d.asParent()}
	for _, o := range others {
		if o == nil {
			d.ssc.fail("union", errNoStream)
			continue
		}
		if o.ssc != d.ssc {
			d.ssc.fail("union", rdd.ErrForeign)
			continue
		}
		parents = append(parents, o.asParent())
	}
	return &DStream[T]{ssc: d.ssc, node: d.ssc.program.Graph.AddStream(plan.Declared("union"), parents...), make: func(g *plan.Generation) *rdd.RDD[T] {
		rest := make([]*rdd.RDD[T], len(others))
		for i, o := range others {
			rest[i] = o.at(g)
		}
		return d.at(g).Union(rest...)
	}}
}

// Cache keeps each batch's computed partitions in the executors' memory until
// the batch is complete. A stream with more than one output wants it, or each
// output computes it anew.
func (d *DStream[T]) Cache() *DStream[T] {
	if d.ssc.program.Open("cache") {
		d.node.Cached = true
	}
	return d
}

// ReduceByKey combines the values of each key within a batch with f, which must
// be associative, on executors. partitions, if given, is the number of
// partitions of the result; else it is the job's default parallelism.
func ReduceByKey[K comparable, V any](d *DStream[rdd.Pair[K, V]], f func(V, V) V, partitions ...int) *DStream[rdd.Pair[K, V]] {
	require(d.ssc, "reduceByKey", f != nil)
	n := optionalPartitions(d.ssc, "reduceByKey", partitions)
	requireKey[K](d.ssc, "reduceByKey")
	requireCodec[V](d.ssc, "reduceByKey")
	return derive(d, "reduceByKey", func(_ *plan.Generation, r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, V]] {
		return rdd.ReduceByKey(r, f, n)
	}, f)
}

// CountByValue counts how often each value occurs in a batch, on executors.
// partitions, if given, is the number of partitions of the result; else it is
// the job's default parallelism.
func CountByValue[T comparable](d *DStream[T], partitions ...int) *DStream[rdd.Pair[T, int64]] {
	n := optionalPartitions(d.ssc, "countByValue", partitions)
	requireKey[T](d.ssc, "countByValue")
	return derive(d, "countByValue", func(_ *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[rdd.Pair[T, int64]] {
		return rdd.CountByValue(r, n)
	})
}

// Count yields the number of elements of each batch, 0 for an empty one.
func Count[T any](d *DStream[T]) *DStream[int64] {
	return derive(d, "count", func(_ *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[int64] { return rdd.Count(r) })
}

// Reduce combines all elements of a batch with f, which must be associative, on
// executors; an empty batch yields nothing.
func Reduce[T any](d *DStream[T], f func(T, T) T) *DStream[T] {
	require(d.ssc, "reduce", f != nil)
	requireCodec[T](d.ssc, "reduce")
	return derive(d, "reduce", func(_ *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[T] { return rdd.Reduce(r, f) }, f)
}

// require records an error of an operator whose argument is missing.
func require(ssc *StreamingContext, op string, ok bool) {
	if !ok {
		ssc.fail(op, rdd.ErrNilFunction)
	}
}

// requireKey records an error of an operator whose keys can't be grouped by.
func requireKey[K comparable](ssc *StreamingContext, op string) {
	if _, err := encoding.ForKey[K](); err != nil {
		ssc.fail(op, err)
	}
}

// requireCodec records an error of an operator whose elements can't go through
// a shuffle.
func requireCodec[T any](ssc *StreamingContext, op string) {
	if _, err := encoding.For[T](); err != nil {
		ssc.fail(op, err)
	}
}

// optionalPartitions returns a trailing partition count, 0 if there is none.
func optionalPartitions(ssc *StreamingContext, op string, n []int) int {
	if len(n) == 0 {
		return 0
	}
	if n[0] < 1 {
		ssc.fail(op, rdd.ErrPartitions)
		return 1
	}
	return n[0]
}

package rdd

import (
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// GroupByKey collects the values of each key, on executors: those of one partition of r
// in their order, the partitions one after the other. All values are moved as they are,
// and those of one key must fit into a task's memory; [ReduceByKey] and
// [AggregateByKey], which combine values before they are moved, are cheaper where they
// do. An RDD that is spread as the result is to be isn't moved at all.
func GroupByKey[K comparable, V any](r *RDD[Pair[K, V]], opts ...ShuffleOption) *RDD[Pair[K, []V]] {
	o := r.sc.op("groupByKey")
	return groupByKey(o, r, opts)
}

func groupByKey[K comparable, V any](o op, r *RDD[Pair[K, V]], opts []ShuffleOption) *RDD[Pair[K, []V]] {
	return combineByKey(o, r, o.partitioner(opts, r.node), false, aggregator[V, []V]{
		create: func(v V) []V { return []V{v} },
		merge:  func(c []V, v V) []V { return append(c, v) },
		join:   joinedValues[V],
	})
}

// joinedValues joins the values of a key, of which the second came later.
func joinedValues[V any](a, b []V) []V { return append(a, b...) }

// AggregateByKey combines the values of each key into one C: merge adds a value to what
// there is, which is zero at first, and mergeCombiners joins what two partitions made, in
// the order of the partitions. Both run on executors and may change and return their first
// argument: each key begins with a copy of zero of its own in each partition, made by
// encoding zero once and decoding it. A zero that isn't neutral counts once for each
// partition that the key is in, and, as in Spark, once more each time that a task's table
// of keys is full and it begins anew: don't rely on how often.
func AggregateByKey[K comparable, V, C any](r *RDD[Pair[K, V]], zero C, merge func(C, V) C, mergeCombiners func(C, C) C, opts ...ShuffleOption) *RDD[Pair[K, C]] {
	o := r.sc.op("aggregateByKey", merge, mergeCombiners)
	return aggregateByKey(o, r, o.partitioner(opts, r.node), zero, merge, mergeCombiners)
}

// FoldByKey combines the values of each key with f, on executors, beginning with zero in
// each partition; then it combines what the partitions made, in their order. f may change
// and return its first argument, see [AggregateByKey].
func FoldByKey[K comparable, V any](r *RDD[Pair[K, V]], zero V, f func(V, V) V, opts ...ShuffleOption) *RDD[Pair[K, V]] {
	o := r.sc.op("foldByKey", f)
	return aggregateByKey(o, r, o.partitioner(opts, r.node), zero, f, f)
}

func aggregateByKey[K comparable, V, C any](o op, r *RDD[Pair[K, V]], p Partitioner, zero C, merge func(C, V) C, join func(C, C) C) *RDD[Pair[K, C]] {
	codec := keyedCodec[K, C](o)
	next, err := copiesOf(zero)
	if codec.value != nil { // else it has been said
		o.fail(err)
	}
	values, _ := encoding.For[V]() // to measure them by, if there is one: they stay where they are
	return combineFirst(o, r.node, p, codec, join, func(tc *task.Context, part int) func(*combineTable[K, C]) error {
		return combining(values, r.Compute(tc, part), func(c *C, isNew bool, v V) (err error) {
			if isNew {
				if *c, err = next(); err != nil {
					return o.error(err)
				}
			}
			*c = merge(*c, v)
			return nil
		})
	})
}

// PartitionBy moves every pair to the partition of its key, as the options say: the pairs
// of one partition of r in their order, the partitions one after the other. What joins or
// combines the result by its keys moves it no more; [RDD.Cache] it if more than one does.
// An RDD that is spread so already isn't moved.
func PartitionBy[K comparable, V any](r *RDD[Pair[K, V]], opts ...ShuffleOption) *RDD[Pair[K, V]] {
	o := r.sc.op("partitionBy")
	p := o.partitioner(opts, r.node)
	dep, read := spreadBy(o, r.node, p, keyedCodec[K, V](o), r.Compute)
	return madeBy(o, p, []lineage.Dependency{dep}, read)
}

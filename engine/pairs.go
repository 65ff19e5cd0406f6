package engine

import "github.com/hibana-engine/hibana/rdd"

// MapValues applies f to the value of every pair, on executors. The keys stay where they
// are.
func MapValues[K comparable, V, W any](d *DStream[rdd.Pair[K, V]], f func(V) W) *DStream[rdd.Pair[K, W]] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, W]] { return rdd.MapValues(r, f) })
}

// FlatMapValues applies f to the value of every pair and yields a pair for each value that
// it returns, on executors.
func FlatMapValues[K comparable, V, W any](d *DStream[rdd.Pair[K, V]], f func(V) []W) *DStream[rdd.Pair[K, W]] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, W]] { return rdd.FlatMapValues(r, f) })
}

// Keys yields the key of every pair, on executors.
func Keys[K comparable, V any](d *DStream[rdd.Pair[K, V]]) *DStream[K] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[K] { return rdd.Keys(r) })
}

// Values yields the value of every pair, on executors.
func Values[K comparable, V any](d *DStream[rdd.Pair[K, V]]) *DStream[V] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[V] { return rdd.Values(r) })
}

// CombineByKey combines the values of each key within a batch into one C, on executors.
// See [rdd.CombineByKey].
func CombineByKey[K comparable, V, C any](d *DStream[rdd.Pair[K, V]], create func(V) C, merge func(C, V) C, mergeCombiners func(C, C) C, opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, C]] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, C]] {
		return rdd.CombineByKey(r, create, merge, mergeCombiners, opts...)
	})
}

// AggregateByKey combines the values of each key within a batch into one C, beginning
// with a copy of zero in each partition, on executors. See [rdd.AggregateByKey].
func AggregateByKey[K comparable, V, C any](d *DStream[rdd.Pair[K, V]], zero C, merge func(C, V) C, mergeCombiners func(C, C) C, opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, C]] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, C]] {
		return rdd.AggregateByKey(r, zero, merge, mergeCombiners, opts...)
	})
}

// FoldByKey combines the values of each key within a batch with f, beginning with a copy
// of zero in each partition, on executors. See [rdd.FoldByKey].
func FoldByKey[K comparable, V any](d *DStream[rdd.Pair[K, V]], zero V, f func(V, V) V, opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, V]] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, V]] { return rdd.FoldByKey(r, zero, f, opts...) })
}

// GroupByKey collects the values of each key within a batch, on executors. See
// [rdd.GroupByKey].
func GroupByKey[K comparable, V any](d *DStream[rdd.Pair[K, V]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, []V]] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, []V]] { return rdd.GroupByKey(r, opts...) })
}

// PartitionBy moves every pair to the partition of its key. See [rdd.PartitionBy].
func PartitionBy[K comparable, V any](d *DStream[rdd.Pair[K, V]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, V]] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, V]] { return rdd.PartitionBy(r, opts...) })
}

// Cogroup yields for each key of a batch all its values in a and all in b, on executors.
// See [rdd.Cogroup].
func Cogroup[K comparable, V, W any](a *DStream[rdd.Pair[K, V]], b *DStream[rdd.Pair[K, W]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, rdd.Grouped2[V, W]]] {
	return liftTwo(a, b, func(a *rdd.RDD[rdd.Pair[K, V]], b *rdd.RDD[rdd.Pair[K, W]]) *rdd.RDD[rdd.Pair[K, rdd.Grouped2[V, W]]] {
		return rdd.Cogroup(a, b, opts...)
	})
}

// Cogroup3 is [Cogroup] of three streams.
func Cogroup3[K comparable, A, B, C any](a *DStream[rdd.Pair[K, A]], b *DStream[rdd.Pair[K, B]], c *DStream[rdd.Pair[K, C]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, rdd.Grouped3[A, B, C]]] {
	return liftOf(a.ssc, func(in rdds) *rdd.RDD[rdd.Pair[K, rdd.Grouped3[A, B, C]]] {
		return rdd.Cogroup3(of(in, a), of(in, b), of(in, c), opts...)
	})
}

// Cogroup4 is [Cogroup] of four streams.
func Cogroup4[K comparable, A, B, C, D any](a *DStream[rdd.Pair[K, A]], b *DStream[rdd.Pair[K, B]], c *DStream[rdd.Pair[K, C]], d *DStream[rdd.Pair[K, D]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, rdd.Grouped4[A, B, C, D]]] {
	return liftOf(a.ssc, func(in rdds) *rdd.RDD[rdd.Pair[K, rdd.Grouped4[A, B, C, D]]] {
		return rdd.Cogroup4(of(in, a), of(in, b), of(in, c), of(in, d), opts...)
	})
}

// Join yields, for each key that both streams have in a batch, each value in a with each
// value in b, on executors. See [rdd.Join].
func Join[K comparable, V, W any](a *DStream[rdd.Pair[K, V]], b *DStream[rdd.Pair[K, W]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, rdd.Joined[V, W]]] {
	return liftTwo(a, b, func(a *rdd.RDD[rdd.Pair[K, V]], b *rdd.RDD[rdd.Pair[K, W]]) *rdd.RDD[rdd.Pair[K, rdd.Joined[V, W]]] {
		return rdd.Join(a, b, opts...)
	})
}

// LeftOuterJoin is [Join] that has the values of keys that only a has, too: with no value
// on the right.
func LeftOuterJoin[K comparable, V, W any](a *DStream[rdd.Pair[K, V]], b *DStream[rdd.Pair[K, W]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, rdd.Joined[V, rdd.Option[W]]]] {
	return liftTwo(a, b, func(a *rdd.RDD[rdd.Pair[K, V]], b *rdd.RDD[rdd.Pair[K, W]]) *rdd.RDD[rdd.Pair[K, rdd.Joined[V, rdd.Option[W]]]] {
		return rdd.LeftOuterJoin(a, b, opts...)
	})
}

// RightOuterJoin is [Join] that has the values of keys that only b has, too: with no value
// on the left.
func RightOuterJoin[K comparable, V, W any](a *DStream[rdd.Pair[K, V]], b *DStream[rdd.Pair[K, W]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, rdd.Joined[rdd.Option[V], W]]] {
	return liftTwo(a, b, func(a *rdd.RDD[rdd.Pair[K, V]], b *rdd.RDD[rdd.Pair[K, W]]) *rdd.RDD[rdd.Pair[K, rdd.Joined[rdd.Option[V], W]]] {
		return rdd.RightOuterJoin(a, b, opts...)
	})
}

// FullOuterJoin is [Join] that has the values of keys that only one of the streams has,
// too.
func FullOuterJoin[K comparable, V, W any](a *DStream[rdd.Pair[K, V]], b *DStream[rdd.Pair[K, W]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, rdd.Joined[rdd.Option[V], rdd.Option[W]]]] {
	return liftTwo(a, b, func(a *rdd.RDD[rdd.Pair[K, V]], b *rdd.RDD[rdd.Pair[K, W]]) *rdd.RDD[rdd.Pair[K, rdd.Joined[rdd.Option[V], rdd.Option[W]]]] {
		return rdd.FullOuterJoin(a, b, opts...)
	})
}

// SubtractByKey yields the pairs of a whose keys b hasn't in the batch, on executors.
func SubtractByKey[K comparable, V, W any](a *DStream[rdd.Pair[K, V]], b *DStream[rdd.Pair[K, W]], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, V]] {
	return liftTwo(a, b, func(a *rdd.RDD[rdd.Pair[K, V]], b *rdd.RDD[rdd.Pair[K, W]]) *rdd.RDD[rdd.Pair[K, V]] {
		return rdd.SubtractByKey(a, b, opts...)
	})
}

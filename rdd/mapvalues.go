package rdd

import (
	"context"
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// MapValues applies f to the value of every pair, on executors. The keys stay what and
// where they are, so the partitioner is kept, unlike with [Map].
func MapValues[K comparable, V, W any](r *RDD[Pair[K, V]], f func(V) W) *RDD[Pair[K, W]] {
	out := narrow(r.sc.op("mapValues", f), r, func(tc *task.Context, p int) iter.Seq2[Pair[K, W], error] {
		in := r.Compute(tc, p)
		return func(yield func(Pair[K, W], error) bool) {
			in(func(kv Pair[K, V], err error) bool {
				return !ends(yield, err) && yield(Pair[K, W]{kv.Key, f(kv.Value)}, nil)
			})
		}
	})
	return keepingPartitioner(out, r)
}

// FlatMapValues applies f to the value of every pair and yields a pair for each value
// that it returns, on executors; none if it returns none. The partitioner is kept.
func FlatMapValues[K comparable, V, W any](r *RDD[Pair[K, V]], f func(V) []W) *RDD[Pair[K, W]] {
	out := narrow(r.sc.op("flatMapValues", f), r, func(tc *task.Context, p int) iter.Seq2[Pair[K, W], error] {
		in := r.Compute(tc, p)
		return func(yield func(Pair[K, W], error) bool) {
			in(func(kv Pair[K, V], err error) bool {
				return !ends(yield, err) && eachValue(tc, kv.Key, f(kv.Value), yield)
			})
		}
	})
	return keepingPartitioner(out, r)
}

// eachValue hands a pair of the key and each value to yield and reports whether it wants
// more.
func eachValue[K comparable, V any](tc *task.Context, key K, values []V, yield func(Pair[K, V], error) bool) bool {
	for _, v := range values {
		if tc.Killed() {
			return !ends(yield, context.Cause(tc))
		}
		if !yield(Pair[K, V]{key, v}, nil) {
			return false
		}
	}
	return true
}

// Keys yields the key of every pair, on executors, as often as it comes.
func Keys[K comparable, V any](r *RDD[Pair[K, V]]) *RDD[K] {
	return keysOf(r.sc.op("keys"), r)
}

func keysOf[K comparable, V any](o op, r *RDD[Pair[K, V]]) *RDD[K] {
	return narrow(o, r, func(tc *task.Context, p int) iter.Seq2[K, error] {
		in := r.Compute(tc, p)
		return func(yield func(K, error) bool) {
			in(func(kv Pair[K, V], err error) bool { return !ends(yield, err) && yield(kv.Key, nil) })
		}
	})
}

// Values yields the value of every pair, on executors.
func Values[K comparable, V any](r *RDD[Pair[K, V]]) *RDD[V] {
	return narrow(r.sc.op("values"), r, func(tc *task.Context, p int) iter.Seq2[V, error] {
		in := r.Compute(tc, p)
		return func(yield func(V, error) bool) {
			in(func(kv Pair[K, V], err error) bool { return !ends(yield, err) && yield(kv.Value, nil) })
		}
	})
}

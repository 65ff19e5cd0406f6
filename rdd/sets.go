package rdd

import (
	"context"
	"iter"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Distinct yields each value once, in the order in which the values came, by a shuffle of
// what is distinct in each partition. NaN is one value. Without an option the result has
// as many partitions as r (Spark, too, doesn't take the default parallelism here). If r
// has a partitioner and the result as many partitions, equal elements are in one
// partition already: nothing is moved and the partitioner is kept.
func Distinct[T comparable](r *RDD[T], opts ...ShuffleOption) *RDD[T] {
	o := r.sc.op("distinct")
	type none = struct{}
	first := aggregator[none, none]{func(n none) none { return n }, func(n, _ none) none { return n }, func(n, _ none) none { return n }}
	values := narrow(o, r, func(tc *task.Context, p int) iter.Seq2[Pair[T, none], error] {
		in := r.Compute(tc, p)
		return func(yield func(Pair[T, none], error) bool) {
			in(func(v T, err error) bool { return !ends(yield, err) && yield(Pair[T, none]{Key: v}, nil) })
		}
	})
	p := o.setPartitioner(opts, r.node)
	if _, hashed := p.(HashPartitioner); hashed && r.node.Partitioner != nil && p.Partitions() == r.node.Partitions {
		codec := keyedCodec[T, none](o)
		return keepingPartitioner(keysOf(o, narrow(o, values, func(tc *task.Context, p int) iter.Seq2[Pair[T, none], error] {
			return combined(tc, codec, codec.value, first, values.Compute(tc, p))
		})), r)
	}
	return keysOf(o, combineByKey(o, values, p, true, first))
}

// setPartitioner returns how an operator spreads the elements of an RDD as if they were
// keys: without an option by a hash over as many partitions as the RDD has. The
// partitioner of an RDD of pairs is for their keys and of no use here.
func (o op) setPartitioner(opts []ShuffleOption, n *lineage.Node) Partitioner {
	if !spreadOf(opts).given {
		return HashPartitioner{max(1, n.Partitions)}
	}
	return o.partitioner(opts)
}

// Intersection yields the values that are in r and in other, each once, in the order in
// which they came in r, by a shuffle of what is distinct in each partition. Without an
// option the result has as many partitions as the default parallelism. It has no
// partitioner.
func Intersection[T comparable](r, other *RDD[T], opts ...ShuffleOption) *RDD[T] {
	o := r.sc.op("intersection")
	both := compared(o, r, other, func(sides *RDD[Pair[T, int64]]) Partitioner { return o.partitioner(opts, sides.node) })
	return repeatedly(o, both, func(where int64) int64 {
		if where > onlyRight && where&onlyRight != 0 {
			return 1
		}
		return 0
	})
}

// Subtract yields the elements of r that aren't in other, all of them, equal ones one
// after the other in the place of the first, by a shuffle of what is distinct in each
// partition. Without an option the result has as many partitions as r. It has no
// partitioner.
func Subtract[T comparable](r, other *RDD[T], opts ...ShuffleOption) *RDD[T] {
	o := r.sc.op("subtract")
	both := compared(o, r, other, func(*RDD[Pair[T, int64]]) Partitioner { return o.setPartitioner(opts, r.node) })
	return repeatedly(o, both, func(where int64) int64 {
		if where&onlyRight != 0 {
			return 0
		}
		return where / onlyLeft
	})
}

// repeatedly yields each key as often as times says of its value.
func repeatedly[T comparable](o op, r *RDD[Pair[T, int64]], times func(int64) int64) *RDD[T] {
	return narrow(o, r, func(tc *task.Context, p int) iter.Seq2[T, error] {
		in := r.Compute(tc, p)
		return func(yield func(T, error) bool) {
			in(func(kv Pair[T, int64], err error) bool {
				if ends(yield, err) {
					return false
				}
				for range times(kv.Value) {
					if tc.Killed() {
						return !ends(yield, context.Cause(tc))
					}
					if !yield(kv.Key, nil) {
						return false
					}
				}
				return true
			})
		}
	})
}

// What compared says of a value: twice how often it is on the left, and one more if it is
// on the right.
const (
	onlyRight int64 = 1
	onlyLeft  int64 = 2
)

// compared brings equal elements of two RDDs together and says of each value where it is.
//
//go:noinline
func compared[T comparable](o op, r, other *RDD[T], by func(*RDD[Pair[T, int64]]) Partitioner) *RDD[Pair[T, int64]] {
	other = within(o, 1, other)
	n := r.node.Partitions
	deps := []lineage.Dependency{
		lineage.NarrowDependency{Parent: r.node, Map: lineage.Shifted{Count: n}},
		lineage.NarrowDependency{Parent: other.node, Map: lineage.Shifted{First: n, Count: other.node.Partitions}},
	}
	sides := made(o, n+other.node.Partitions, deps, func(tc *task.Context, p int) iter.Seq2[Pair[T, int64], error] {
		if p < n {
			return on(onlyLeft, r.Compute(tc, p))
		}
		return on(onlyRight, other.Compute(tc, p-n))
	})
	join := func(a, b int64) int64 { return (a|b)&onlyRight + (a&^onlyRight + b&^onlyRight) }
	return combineByKey(o, sides, by(sides), true, aggregator[int64, int64]{func(side int64) int64 { return side }, join, join})
}

// on yields elements with the side that they are on.
func on[T comparable](side int64, in iter.Seq2[T, error]) iter.Seq2[Pair[T, int64], error] {
	return func(yield func(Pair[T, int64], error) bool) {
		in(func(v T, err error) bool { return !ends(yield, err) && yield(Pair[T, int64]{v, side}, nil) })
	}
}

package rdd

import (
	"context"
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Joined holds the values of a key in the two RDDs that were joined.
type Joined[V, W any] struct {
	Left  V
	Right W
}

// Join yields, for each key that both RDDs have, each value in r with each value in other,
// on executors. Keys follow each other within a partition in the order in which they come,
// in r first; a key's values do as in nested loops, those of other in the inner one. An
// argument that is spread as the result is to be isn't moved, so that joining two RDDs
// with equal partitioners moves nothing. The values of a key must fit into a task's
// memory.
func Join[K comparable, V, W any](r *RDD[Pair[K, V]], other *RDD[Pair[K, W]], opts ...ShuffleOption) *RDD[Pair[K, Joined[V, W]]] {
	return join(r.sc.op("join"), r, other, opts, required[V](), required[W]())
}

// LeftOuterJoin is [Join] that has the values of keys that only r has, too: with no value.
func LeftOuterJoin[K comparable, V, W any](r *RDD[Pair[K, V]], other *RDD[Pair[K, W]], opts ...ShuffleOption) *RDD[Pair[K, Joined[V, Option[W]]]] {
	return join(r.sc.op("leftOuterJoin"), r, other, opts, required[V](), optional[W]())
}

// RightOuterJoin is [Join] that has the values of keys that only other has, too: with no
// value on the left.
func RightOuterJoin[K comparable, V, W any](r *RDD[Pair[K, V]], other *RDD[Pair[K, W]], opts ...ShuffleOption) *RDD[Pair[K, Joined[Option[V], W]]] {
	return join(r.sc.op("rightOuterJoin"), r, other, opts, optional[V](), required[W]())
}

// FullOuterJoin is [Join] that has the values of keys that only one of the RDDs has, too.
func FullOuterJoin[K comparable, V, W any](r *RDD[Pair[K, V]], other *RDD[Pair[K, W]], opts ...ShuffleOption) *RDD[Pair[K, Joined[Option[V], Option[W]]]] {
	return join(r.sc.op("fullOuterJoin"), r, other, opts, optional[V](), optional[W]())
}

// side is one of the two RDDs of a join: its values of type V are yielded as L.
type side[V, L any] struct {
	of    func(V) L
	outer bool // a key without values has the zero L
}

func required[V any]() side[V, V]         { return side[V, V]{of: func(v V) V { return v }} }
func optional[V any]() side[V, Option[V]] { return side[V, Option[V]]{of: Some[V], outer: true} }

// count returns how many values are yielded for a key's.
func (s side[V, L]) count(values []V) int {
	if len(values) == 0 && s.outer {
		return 1
	}
	return len(values)
}

// at returns one of them.
func (s side[V, L]) at(values []V, i int) (l L) {
	if i < len(values) {
		l = s.of(values[i])
	}
	return l
}

//go:noinline
func join[K comparable, V, W, L, R any](o op, r *RDD[Pair[K, V]], other *RDD[Pair[K, W]], opts []ShuffleOption, left side[V, L], right side[W, R]) *RDD[Pair[K, Joined[L, R]]] {
	c := cogroup2(o, r, other, opts)
	return madeBy(o, c.partitioner, c.deps, func(tc *task.Context, p int) iter.Seq2[Pair[K, Joined[L, R]], error] {
		groups := c.compute(tc, p)
		return func(yield func(Pair[K, Joined[L, R]], error) bool) {
			groups(func(kv Pair[K, Grouped2[V, W]], err error) bool {
				if ends(yield, err) {
					return false
				}
				first, second := kv.Value.First, kv.Value.Second
				for i := range left.count(first) {
					l := left.at(first, i)
					for j := range right.count(second) {
						if tc.Killed() {
							return !ends(yield, context.Cause(tc))
						}
						if !yield(Pair[K, Joined[L, R]]{kv.Key, Joined[L, R]{l, right.at(second, j)}}, nil) {
							return false
						}
					}
				}
				return true
			})
		}
	})
}

// NewCodec returns the codec of the type. It implements encoding.SelfCodec.
func (Joined[V, W]) NewCodec() (any, error) {
	two, err := newTwoCodec[V, W]()
	return joinedCodec[V, W]{two}, err
}

type joinedCodec[V, W any] struct{ twoCodec[V, W] }

func (c joinedCodec[V, W]) Append(dst []byte, j Joined[V, W]) ([]byte, error) {
	return c.append(dst, j.Left, j.Right)
}

func (c joinedCodec[V, W]) Decode(src []byte) (j Joined[V, W], rest []byte, err error) {
	j.Left, j.Right, rest, err = c.decode(src)
	return j, rest, err
}

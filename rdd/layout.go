package rdd

import (
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Coalesce makes n partitions of r's by reading neighbours one after the other, without
// a shuffle: 10 become 3 of 3, 3 and 4. It never makes more, for which there is
// [RDD.Repartition]. The order is kept. The partitioner is kept only if nothing changes,
// since r has no more than n partitions.
func (r *RDD[T]) Coalesce(n int) *RDD[T] {
	o := r.sc.op("coalesce")
	n = o.partitions(n)
	if r.node.Partitions <= n {
		return keepingPartitioner(narrow(o, r, r.Compute), r)
	}
	groups := lineage.Grouped{Of: r.node.Partitions, Into: n}
	return chained(o, n, []lineage.Dependency{lineage.NarrowDependency{Parent: r.node, Map: groups}}, []*RDD[T]{r}, func(p int) []piece {
		from, until := groups.Range(p)
		of := make([]piece, until-from)
		for i := range of {
			of[i].partition = from + i
		}
		return of
	})
}

// Repartition spreads the elements evenly over n partitions, whatever they are, by a
// shuffle: those of each partition go to one after the other, beginning at a random one
// that is the same at every attempt. The result has no partitioner.
//
// Where an element goes depends on its place, so an RDD whose order may differ from one
// attempt to the next must be declared [RDD.Indeterminate].
func (r *RDD[T]) Repartition(n int) *RDD[T] {
	o := r.sc.op("repartition")
	n = o.partitions(n)
	codec, err := encoding.For[T]()
	o.fail(err)
	e := shuffle(o, r.node, roundRobin{n}, codec, lineage.ShuffleDependency{}, func(tc *task.Context, p int, to *blocks[T]) error {
		next := randomOf(0, 0, p).IntN(n)
		var failed error
		r.Compute(tc, p)(func(v T, err error) bool {
			if err != nil {
				failed = err
				return false
			}
			if err := to.add(next, v); err != nil {
				failed = o.error(err)
				return false
			}
			if next++; next == n {
				next = 0
			}
			return true
		})
		return failed
	})
	return made(o, n, []lineage.Dependency{e.dep}, e.read)
}

// roundRobin spreads records by their places. No two spread keys alike.
type roundRobin struct{ n int }

func (p roundRobin) Partitions() int      { return p.n }
func (p roundRobin) String() string       { return fmt.Sprintf("round robin over %d", p.n) }
func (roundRobin) Equal(Partitioner) bool { return false }

// Glom makes of each partition one element, the slice of its elements: nil for an empty
// partition. It runs on executors, which must have room for it.
func Glom[T any](r *RDD[T]) *RDD[[]T] {
	return narrow(r.sc.op("glom"), r, func(tc *task.Context, p int) iter.Seq2[[]T, error] {
		return func(yield func([]T, error) bool) {
			rows, err := collect(r.Compute(tc, p))
			_ = ends(yield, err) || yield(rows, nil)
		}
	})
}

// Batch makes slices of n elements, in order, on executors. The last of each partition
// may be shorter; an empty partition has none. A function may keep and change them.
func Batch[T any](r *RDD[T], n int) *RDD[[]T] {
	o := r.sc.op("batch")
	if n < 1 {
		o.fail(fmt.Errorf("%w: a batch must have 1 element or more, not %d", ErrArgument, n))
	}
	const most = 1024 // elements for which there is room before they come
	return narrow(o, r, func(tc *task.Context, p int) iter.Seq2[[]T, error] {
		return func(yield func([]T, error) bool) {
			var rows []T
			more := true
			r.Compute(tc, p)(func(v T, err error) bool {
				if more = !ends(yield, err); !more {
					return false
				}
				if rows == nil {
					rows = make([]T, 0, min(n, most))
				}
				if rows = append(rows, v); len(rows) == n {
					more = yield(rows, nil)
					rows = nil
				}
				return more
			})
			if more && rows != nil {
				yield(rows, nil)
			}
		}
	})
}

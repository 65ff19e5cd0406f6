package rdd

import (
	"context"
	"iter"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// maxProduct is how many elements of a partition Cartesian holds in memory.
const maxProduct = 4096

// Cartesian joins every element of r with every one of other, on executors. Of m and n
// partitions it has m·n: those of r's first with each of other's come first. In each, r's
// first element comes with all of other's, then its second, and so on; of other's those
// are the first 4,096, then the next ones. For each 4,096 the partition of r is computed
// once: cache it if that is costly. The result has no partitioner.
func Cartesian[T, U any](r *RDD[T], other *RDD[U]) *RDD[Tuple[T, U]] {
	o := r.sc.op("cartesian")
	other = within(o, 1, other)
	columns := other.node.Partitions
	deps := []lineage.Dependency{
		lineage.NarrowDependency{Parent: r.node, Map: lineage.Rows{Columns: columns}},
		lineage.NarrowDependency{Parent: other.node, Map: lineage.Columns{Count: columns}},
	}
	return made(o, r.node.Partitions*columns, deps, func(tc *task.Context, p int) iter.Seq2[Tuple[T, U], error] {
		left := func() iter.Seq2[T, error] { return r.Compute(tc, p/columns) }
		right := chunks(other.Compute(tc, p%columns), maxProduct)
		return func(yield func(Tuple[T, U], error) bool) {
			right(func(us []U, err error) bool { return !ends(yield, err) && product(tc, left(), us, yield) })
		}
	})
}

// product yields the tuples of each element of left with each of right. It reports
// whether yield wants more.
func product[T, U any](tc *task.Context, left iter.Seq2[T, error], right []U, yield func(Tuple[T, U], error) bool) bool {
	more := true
	left(func(v T, err error) bool {
		if more = !ends(yield, err); !more {
			return false
		}
		for _, u := range right {
			if tc.Killed() {
				more = !ends(yield, context.Cause(tc))
			} else {
				more = yield(Tuple[T, U]{v, u}, nil)
			}
			if !more {
				return false
			}
		}
		return true
	})
	return more
}

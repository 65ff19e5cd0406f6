package rdd

import (
	"errors"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// ZipWithIndex numbers the elements from 0, in the order of the partitions and of the
// elements in each, on executors. The number is the key, which is the other way round
// than in Spark: an element need be no key.
//
// To know where a partition's numbers begin, a stage of its own counts those before it,
// unless there is one partition only: r is computed twice then, and must be the same both
// times. Cache it if that is costly; a task that meets another number of elements than
// were counted fails with an error that says [ErrUnequal].
func ZipWithIndex[T any](r *RDD[T]) *RDD[Pair[int64, T]] {
	o := r.sc.op("zipWithIndex")
	deps, starts := oneToOne(r.node), func(*task.Context, int) (start, until int64, err error) { return 0, -1, nil }
	if r.node.Partitions > 1 {
		counts := counted(o, r)
		deps = append(deps, lineage.NarrowDependency{Parent: counts.node, Map: lineage.Whole{Count: 1}})
		starts = func(tc *task.Context, p int) (start, until int64, err error) {
			return position(counts.Compute(tc, 0), p)
		}
	}
	return made(o, r.node.Partitions, deps, func(tc *task.Context, p int) iter.Seq2[Pair[int64, T], error] {
		return func(yield func(Pair[int64, T], error) bool) {
			start, until, err := starts(tc, p)
			if ends(yield, err) {
				return
			}
			i, more := start, true
			r.Compute(tc, p)(func(v T, err error) bool {
				more = !ends(yield, err) && yield(Pair[int64, T]{i, v}, nil)
				i++
				return more
			})
			if more && until >= 0 && i != until {
				ends(yield, o.error(fmt.Errorf("%w: partition %d had %d elements when they were counted and has %d now: cache the RDD, or save it, if it can't be computed twice alike", ErrUnequal, p, until-start, i-start)))
			}
		}
	})
}

// counted makes the RDD of one partition that yields the number of elements of each
// partition of r, in order.
func counted[T any](o op, r *RDD[T]) *RDD[int64] {
	codec, err := encoding.For[int64]()
	o.fail(err)
	e := shuffle(o, r.node, singlePartition{}, codec, lineage.ShuffleDependency{}, func(tc *task.Context, p int, to *blocks[int64]) error {
		n, err := countRows(r.Compute(tc, p))
		if err != nil {
			return err
		}
		return to.add(0, n)
	})
	return made(o, 1, []lineage.Dependency{e.dep}, e.read)
}

// errTooFew is a fault of the engine: there is a count of each partition.
var errTooFew = errors.New("the numbers of elements of the partitions are not complete")

// position returns the sum of the counts before that of partition p, and with that.
func position(counts iter.Seq2[int64, error], p int) (start, until int64, failed error) {
	left := p
	counts(func(n int64, err error) bool {
		failed = err
		start, until = until, until+n
		left--
		return err == nil && left >= 0
	})
	if failed == nil && left >= 0 {
		failed = errTooFew
	}
	return start, until, failed
}

// ZipWithUniqueID gives each element a number of its own, on executors and without a
// stage that counts: of n partitions, those of the partition k are k, n+k, 2n+k and so
// on. The number is the key, as in [ZipWithIndex].
func ZipWithUniqueID[T any](r *RDD[T]) *RDD[Pair[int64, T]] {
	n := int64(r.node.Partitions)
	return narrow(r.sc.op("zipWithUniqueID"), r, func(tc *task.Context, p int) iter.Seq2[Pair[int64, T], error] {
		in := r.Compute(tc, p)
		return func(yield func(Pair[int64, T], error) bool) {
			id := int64(p)
			in(func(v T, err error) bool {
				if ends(yield, err) {
					return false
				}
				kv := Pair[int64, T]{id, v}
				id += n
				return yield(kv, nil)
			})
		}
	})
}

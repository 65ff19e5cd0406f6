package rdd

import (
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// ZipWithIndex numbers the elements from 0, in the order of the partitions and of the
// elements in each, on executors. The number is the key, which is the other way round
// than in Spark: an element need be no key.
//
// To know where a partition's numbers begin, stages of their own count the elements before
// it, unless there is one partition only: r is computed twice then, and must be the same
// both times. Cache it if that is costly; a task that meets another number of elements
// than were counted fails with an error that says [ErrUnequal].
func ZipWithIndex[T any](r *RDD[T]) *RDD[Pair[int64, T]] {
	o := r.sc.op("zipWithIndex")
	if r.node.Partitions <= 1 {
		return narrow(o, r, func(tc *task.Context, p int) iter.Seq2[Pair[int64, T], error] {
			return numbered(r.Compute(tc, p), 0, func(int64) error { return nil })
		})
	}
	starts := share(o, r, func(_ *task.Context, _ int, in iter.Seq2[T, error]) (int64, error) { return countRows(in) }, sums)
	return made(o, r.node.Partitions, append(oneToOne(r.node), starts.dep), func(tc *task.Context, p int) iter.Seq2[Pair[int64, T], error] {
		return func(yield func(Pair[int64, T], error) bool) {
			starts, err := starts.read(tc)
			if ends(yield, err) {
				return
			}
			start, counted := starts[p], starts[p+1]-starts[p]
			numbered(r.Compute(tc, p), start, func(n int64) error {
				if n == counted {
					return nil
				}
				return o.error(fmt.Errorf("%w: partition %d had %d elements when they were counted and has %d now: cache the RDD, or save it, if it can't be computed twice alike", ErrUnequal, p, counted, n))
			})(yield)
		}
	})
}

// sums returns 0 and the sums of the first numbers, of the first two and so on.
func sums(counts []int64) ([]int64, error) {
	all := make([]int64, len(counts)+1)
	for i, n := range counts {
		all[i+1] = all[i] + n
	}
	return all, nil
}

// numbered numbers elements from start on. check says at their end what is wrong with
// how many they were.
func numbered[T any](in iter.Seq2[T, error], start int64, check func(n int64) error) iter.Seq2[Pair[int64, T], error] {
	return func(yield func(Pair[int64, T], error) bool) {
		i, more := start, true
		in(func(v T, err error) bool {
			more = !ends(yield, err) && yield(Pair[int64, T]{i, v}, nil)
			i++
			return more
		})
		if more {
			ends(yield, check(i-start))
		}
	}
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

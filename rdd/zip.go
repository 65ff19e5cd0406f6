package rdd

import (
	"cmp"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Zip joins the first element of each partition of r with the first of the same partition
// of other, the second with the second and so on, on executors, in r's order. Both must
// have equally many partitions, which is checked at once, and equally many elements in
// each, which the tasks check: the errors say [ErrUnequal]. The result has no partitioner.
func Zip[T, U any](r *RDD[T], other *RDD[U]) *RDD[Tuple[T, U]] {
	o := r.sc.op("zip")
	other = beside(o, r.node, other)
	return made(o, r.node.Partitions, alike(r.node, other.node), func(tc *task.Context, p int) iter.Seq2[Tuple[T, U], error] {
		return func(yield func(Tuple[T, U], error) bool) {
			right := newPuller(tc, other.Compute(tc, p))
			defer right.stop()
			differs := func(n int, longer string) error {
				return o.error(Permanent(fmt.Errorf("%w: one of the partitions %d has %d elements, that of %s has more", ErrUnequal, p, n, longer)))
			}
			n, more := 0, true
			r.Compute(tc, p)(func(v T, err error) bool {
				var u U
				ok := true
				if err == nil {
					u, ok, err = right.next()
				}
				if err == nil && !ok {
					err = differs(n, "the RDD that was zipped with argument 1")
				}
				n++
				more = !ends(yield, err) && yield(Tuple[T, U]{v, u}, nil)
				return more
			})
			if !more {
				return
			}
			_, ok, err := right.next()
			if err == nil && ok {
				err = differs(n, "argument 1")
			}
			ends(yield, err)
		}
	})
}

// ZipPartitions applies f to the sequences of each partition of r and of the same
// partition of other, on executors; f is called for empty partitions too. They must have
// equally many partitions. If one of them can't be read to its end, its sequence ends
// early, nothing more of what f yields is taken, and the task fails. The result has no
// partitioner.
func ZipPartitions[T, U, V any](r *RDD[T], other *RDD[U], f func(p Part, left iter.Seq[T], right iter.Seq[U]) iter.Seq[V]) *RDD[V] {
	o := r.sc.op("zipPartitions", f)
	other = beside(o, r.node, other)
	return made(o, r.node.Partitions, alike(r.node, other.node), func(tc *task.Context, p int) iter.Seq2[V, error] {
		return func(yield func(V, error) bool) {
			left, leftErr := kept(tc, r.Compute(tc, p))
			right, rightErr := kept(tc, other.Compute(tc, p))
			for v := range f(partOf(tc, r), values(left), values(right)) {
				if *leftErr != nil || *rightErr != nil {
					break
				}
				if !yield(v, nil) {
					return
				}
			}
			ends(yield, cmp.Or(*leftErr, *rightErr))
		}
	})
}

// beside returns within's argument 1, which must have as many partitions as n.
func beside[T any](o op, n *lineage.Node, other *RDD[T]) *RDD[T] {
	arg := within(o, 1, other)
	if is := arg.node.Partitions; arg == other && is != n.Partitions {
		o.fail(fmt.Errorf("%w: argument 1 has %d partitions, the RDD that it is zipped with %d", ErrUnequal, is, n.Partitions))
	}
	return arg
}

// alike returns the dependencies of partitions that need those of their own number.
func alike(nodes ...*lineage.Node) []lineage.Dependency {
	var deps []lineage.Dependency
	for _, n := range nodes {
		deps = append(deps, oneToOne(n)...)
	}
	return deps
}

// puller reads a sequence in step with another one. It takes some elements at a time:
// going over to the sequence's stack and back costs as much as many of them.
type puller[T any] struct {
	ahead []T
	pull  func() ([]T, error, bool)
	stop  func() // must be called
}

func newPuller[T any](tc *task.Context, in iter.Seq2[T, error]) *puller[T] {
	rows, _ := kept(tc, in) // which keeps what a panic's stack would lose
	const ahead = 128
	pull, stop := iter.Pull2(chunks(rows, ahead))
	return &puller[T]{pull: pull, stop: stop}
}

// next returns the next element; ok is false after the last and with an error.
func (p *puller[T]) next() (v T, ok bool, err error) {
	if len(p.ahead) == 0 {
		if p.ahead, err, ok = p.pull(); err != nil || !ok {
			return v, false, err
		}
	}
	v, p.ahead = p.ahead[0], p.ahead[1:]
	return v, true, nil
}

// chunks yields the elements of a sequence as slices of size, of which each is good until
// the next one. The last may be shorter.
func chunks[T any](in iter.Seq2[T, error], size int) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var buf []T
		more := true
		flush := func() bool {
			more = len(buf) == 0 || yield(buf, nil)
			buf = buf[:0]
			return more
		}
		in(func(v T, err error) bool {
			if err != nil {
				more = flush() && !ends(yield, err)
				return false
			}
			buf = append(buf, v)
			return len(buf) < size || flush()
		})
		_ = more && flush()
	}
}

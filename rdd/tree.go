package rdd

import (
	"fmt"
	"iter"
	"math"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// TreeReduce is [Reduce] for many partitions or large results: they are combined on
// executors first, by shuffles, in a tree of about the given depth (Spark's default is 2),
// so that the driver combines few. f needs to be associative only: neighbours are combined,
// in their order.
func TreeReduce[T any](r *RDD[T], f func(T, T) T, depth int) (T, error) {
	var none T
	o, err := begin(r, "treeReduce", f)
	if err != nil {
		return none, err
	}
	parts, err := treePartials(o, r, depth, reducing(f), f)
	if err != nil {
		return none, err
	}
	return joined(o, parts, f)
}

// TreeAggregate is [Aggregate] for many partitions or large results: they are joined on
// executors first, by shuffles, in a tree of about the given depth (Spark's default is 2),
// so that the driver joins few. The result is Aggregate's at every depth: zero counts once
// for each partition and once on the driver.
func TreeAggregate[T, U any](r *RDD[T], zero U, add func(U, T) U, join func(U, U) U, depth int) (U, error) {
	o, err := begin(r, "treeAggregate", add, join)
	return aggregate(o, err, zero, func(zero func() (U, error)) ([]U, error) {
		return treePartials(o, r, depth, folding(zero, add), join)
	}, join)
}

// treePartials is partials for few results: what the partitions come to is joined in
// shuffles of fewer and fewer partitions.
func treePartials[T, U any](o op, r *RDD[T], depth int, fold func(iter.Seq2[T, error]) (U, bool, error), join func(U, U) U) ([]U, error) {
	if depth < 1 {
		return nil, o.error(fmt.Errorf("%w, not %d", ErrDepth, depth))
	}
	levels := treeLevels(r.node.Partitions, depth)
	if len(levels) == 0 {
		return partials(o, r, fold)
	}
	level := grouped(o, r, levels[0], fold, join)
	for _, n := range levels[1:] {
		level = grouped(o, level, n, reducing(join), join)
	}
	return partials(o, level, reducing(join))
}

// treeLevels returns how many results each shuffle of a tree leaves of n. There is none if
// it would save the driver nothing.
func treeLevels(n, depth int) (levels []int) {
	scale := max(2, int(math.Ceil(math.Pow(float64(n), 1/float64(depth)))))
	for n > scale+(n+scale-1)/scale {
		n /= scale
		levels = append(levels, n)
	}
	return levels
}

// grouped makes an RDD of one element for each of n groups of neighbouring partitions of
// r, none for a group without any: what fold makes of the partitions, joined.
func grouped[T, U any](o op, r *RDD[T], n int, fold func(iter.Seq2[T, error]) (U, bool, error), join func(U, U) U) *RDD[U] {
	codec, err := encoding.For[U]()
	o.fail(err)
	groups := neighbours{Of: r.node.Partitions, Into: n}
	e := shuffle(o, r.node, groups, codec, lineage.ShuffleDependency{Combine: true}, func(tc *task.Context, p int, to *blocks[U]) error {
		v, ok, err := fold(r.Compute(tc, p))
		if err != nil || !ok {
			return err
		}
		if err := to.add(groups.group(p), v); err != nil {
			return o.error(err)
		}
		return nil
	})
	return made(o, n, []lineage.Dependency{e.dep}, func(tc *task.Context, p int) iter.Seq2[U, error] {
		return computed(tc, func() ([]U, error) {
			v, ok, err := reduceRows(e.read(tc, p), join)
			if err != nil || !ok {
				return nil, err
			}
			return []U{v}, nil
		})
	})
}

// neighbours spreads the partitions of an RDD, rather than keys, over fewer, in their order.
type neighbours struct{ Of, Into int }

func (g neighbours) Partitions() int { return g.Into }

func (g neighbours) Equal(o Partitioner) bool {
	other, ok := o.(neighbours)
	return ok && g == other
}

// String returns the partitioner for people.
func (g neighbours) String() string { return fmt.Sprintf("neighbours of %d in %d", g.Of, g.Into) }

// group returns where what a partition comes to belongs.
func (g neighbours) group(partition int) int { return partition * g.Into / g.Of }

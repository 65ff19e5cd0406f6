package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// fewBatches is how many batches a window may hold that are reduced at each slide as they
// are: keeping aggregates of them costs more than it saves.
const fewBatches = 3

// reduceOverWindow declares a stream that combines what d, which is reduced by key
// already, has in the last length of time, the oldest first.
//
// A window is a sequence of panes as long as length and slide have a divisor in common.
// Two neighbouring panes are reduced to one aggregate, two of these to one over four
// panes, and so on: each aggregate once, when a window ends that holds it. A window is
// then what a few of them add up to, at most two of each size. So a slide costs as many
// reductions as the logarithm of the window's panes, at each slide: running aggregates
// from the window's one block to the next would cost fewer on average, but the whole
// window in one slide at each end of a block, and hold more.
func reduceOverWindow[K comparable, V any](d *DStream[rdd.Pair[K, V]], op string, f func(V, V) V, length, slide time.Duration, functions ...any) *DStream[rdd.Pair[K, V]] {
	type pair = rdd.Pair[K, V]
	reduce := func(in []*rdd.RDD[pair]) *rdd.RDD[pair] { return rdd.ReduceByKey(in[0].Union(in[1:]...), f) }
	step := max(d.ssc.program.Interval, d.node.Slide)
	pane := divisor(length, slide)
	if length <= fewBatches*step || length <= pane || d.fits(length, slide) != nil {
		return overWindow(d, op, length, slide, reduce, functions...)
	}
	a := aggregates[pair]{of: d, reduce: reduce}
	for width := pane; width <= length; width *= 2 {
		a.levels = append(a.levels, a.declare(op, width, functions...))
	}
	node := d.ssc.program.Graph.AddStream(plan.Declared(op, functions...), a.parents()...)
	node.Back, node.Slide = length, slide
	return &DStream[pair]{ssc: d.ssc, node: node, make: func(g *plan.Generation) *rdd.RDD[pair] {
		return reduce(a.cover(g, length))
	}}
}

// divisor returns the greatest common divisor.
func divisor(a, b time.Duration) time.Duration {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// aggregates are streams of what a stream's batches are reduced to over times that are
// aligned: each level's are twice as wide as those of the one before. An aggregate is an
// RDD of the last batch in its time, so that it is found by id as long as it is cached.
type aggregates[T any] struct {
	of     *DStream[T]
	reduce func(in []*rdd.RDD[T]) *rdd.RDD[T] // the oldest first
	levels []level[T]
}

// level is one of the streams.
type level[T any] struct {
	*DStream[T]
	width time.Duration
}

// declare declares the next level.
func (a *aggregates[T]) declare(op string, width time.Duration, functions ...any) level[T] {
	below := a.of
	if n := len(a.levels); n > 0 {
		below = a.levels[n-1].DStream
	}
	node := a.of.ssc.program.Graph.AddStream(plan.Declared(fmt.Sprintf("%s of %s", op, width), functions...), below.asParent())
	l := level[T]{&DStream[T]{ssc: a.of.ssc, node: node}, width}
	l.remembered()
	return l
}

// parents returns all that a window reaches back to.
func (a *aggregates[T]) parents() []plan.Parent {
	parents := []plan.Parent{a.of.asParent()}
	for _, l := range a.levels {
		parents = append(parents, l.asParent())
	}
	return parents
}

// cover returns the aggregates that make up the window of a length that ends at g, the
// oldest first.
func (a *aggregates[T]) cover(g *plan.Generation, length time.Duration) []*rdd.RDD[T] {
	var batches []*plan.Generation
	for _, batch := range g.Within(length) {
		if batch.Due(a.of.node.Slide) {
			batches = append(batches, batch)
		}
	}
	var cover []*rdd.RDD[T]
	end := g.Alloc.Time()
	for from := end.Add(-length); from.Before(end); {
		i := a.widest(from, end)
		until := from.Add(a.levels[i].width)
		if r := a.over(i, from, within(batches, from, until)); r != nil {
			cover = append(cover, r)
		}
		from = until
	}
	return cover
}

// widest returns the level of the widest aggregate that begins at a time and doesn't go
// beyond another one.
func (a *aggregates[T]) widest(from, end time.Time) int {
	i := 0
	for i+1 < len(a.levels) && from.Truncate(a.levels[i+1].width).Equal(from) && !from.Add(a.levels[i+1].width).After(end) {
		i++
	}
	return i
}

// within returns those of ascending batches that are in (from, until].
func within(batches []*plan.Generation, from, until time.Time) []*plan.Generation {
	first := slices.IndexFunc(batches, func(g *plan.Generation) bool { return g.Alloc.Time().After(from) })
	if first < 0 {
		return nil
	}
	batches = batches[first:]
	if after := slices.IndexFunc(batches, func(g *plan.Generation) bool { return g.Alloc.Time().After(until) }); after >= 0 {
		batches = batches[:after]
	}
	return batches
}

// over returns the aggregate of a level that begins at a time, of the batches in it; nil
// if there are none.
func (a *aggregates[T]) over(i int, from time.Time, batches []*plan.Generation) *rdd.RDD[T] {
	if len(batches) == 0 {
		return nil
	}
	l := a.levels[i]
	if i == 0 {
		return l.memo(batches[len(batches)-1], func() *rdd.RDD[T] { return a.pane(batches) })
	}
	half := from.Add(a.levels[i-1].width)
	first := a.over(i-1, from, within(batches, from, half))
	second := a.over(i-1, half, within(batches, half, from.Add(l.width)))
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return l.memo(batches[len(batches)-1], func() *rdd.RDD[T] { return a.reduce([]*rdd.RDD[T]{first, second}) })
}

// pane reduces the batches of a pane.
func (a *aggregates[T]) pane(batches []*plan.Generation) *rdd.RDD[T] {
	in := make([]*rdd.RDD[T], len(batches))
	for i, batch := range batches {
		in[i] = a.of.at(batch)
	}
	if len(in) == 1 {
		return in[0].Union() // it is reduced already
	}
	return a.reduce(in)
}

package engine

import (
	"iter"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// ReduceByKeyAndWindowInverse is [ReduceByKeyAndWindow] for a function that has an inverse:
// f(inverse(x, y), y) is x. The value of each key is a keyed state under the name, see
// [MapWithState]; at each multiple of slide, inverse takes the batches out of it that have
// left the window, and f adds those that came. So only keys of these cost something, apart
// from the output, which is of every key. A key whose values have all left stays, with what
// inverse made of it, unless keep is given and returns false for it. What isn't kept is
// forgotten, so keep must be false of such keys only: a sum that is 0 although there are
// values in the window is better counted along.
func ReduceByKeyAndWindowInverse[K comparable, V any](d *DStream[rdd.Pair[K, V]], name string, f, inverse func(V, V) V, length, slide time.Duration, keep func(rdd.Pair[K, V]) bool, opts ...StateOption) *DStream[rdd.Pair[K, V]] {
	const op = "reduceByKeyAndWindowInverse"
	require(d.ssc, op, f != nil && inverse != nil)
	o := stateOptionsOf(d.ssc, op, stateOptionSet{}, opts)
	w := &inverseWindow[K, V]{site: lineage.Caller(), name: name, f: f, inverse: inverse, keep: keep, own: newOwned[K, V]()}
	in := windowChanges(ReduceByKey(d, f, rdd.By(o.partitioner)), name, length, slide)
	functions := []any{f, inverse}
	if keep != nil {
		functions = append(functions, keep)
	}
	versions := declareState(in, o, stateSpec[K, V, rdd.Pair[K, change[V]]]{name: name, op: op, step: w.step, functions: functions})
	return entries(versions, "windows")
}

// ReduceByWindowInverse is [ReduceByWindow] for a function that has an inverse, as
// [ReduceByKeyAndWindowInverse] is of pairs: the value is a keyed state under the name, with
// one key. It yields nothing until the first element has come, and when all have left what
// inverse made of the last.
func ReduceByWindowInverse[T any](d *DStream[T], name string, f, inverse func(T, T) T, length, slide time.Duration) *DStream[T] {
	alike := Map(d, func(v T) rdd.Pair[bool, T] { return rdd.KV(true, v) })
	return Values(ReduceByKeyAndWindowInverse(alike, name, f, inverse, length, slide, nil, Partitions(1)))
}

// change is a value that comes into a window, or leaves it.
type change[V any] struct {
	value   V
	leaving bool
}

// windowChanges declares a stream of what leaves a window and what comes into it, in this
// order, since the slide before, for the state that holds the window. Partitions stay where they are.
func windowChanges[K comparable, V any](d *DStream[rdd.Pair[K, V]], state string, length, slide time.Duration) *DStream[rdd.Pair[K, change[V]]] {
	node := declareWindow(d, "windowChanges", length, slide)
	if node.Back > 0 { // else the window is wrong
		node.Back += slide // what leaves came before the window of the slide before
	}
	out := &DStream[rdd.Pair[K, change[V]]]{ssc: d.ssc, node: node}
	out.make = func(g *plan.Generation) *rdd.RDD[rdd.Pair[K, change[V]]] {
		leaving, coming := windowEdges(d, g, state, length, slide)
		var changes []*rdd.RDD[rdd.Pair[K, change[V]]]
		for _, r := range leaving {
			changes = append(changes, rdd.MapValues(r, func(v V) change[V] { return change[V]{v, true} }))
		}
		for _, r := range coming {
			changes = append(changes, rdd.MapValues(r, func(v V) change[V] { return change[V]{v, false} }))
		}
		return changes[0].Union(changes[1:]...)
	}
	return out
}

// windowEdges returns the stream's RDDs that have left a window since the slide before, and
// those that have come into it, the oldest first. The newest has always come.
func windowEdges[T any](d *DStream[T], g *plan.Generation, state string, length, slide time.Duration) (leaving, coming []*rdd.RDD[T]) {
	begin := g.Alloc.Time().Add(-length)
	before := g.PreviousOf(state, slide)
	if before == nil {
		return nil, d.within(g, length)
	}
	end := before.Alloc.Time()
	for _, batch := range before.Within(length) {
		if at := batch.Alloc.Time(); batch.Due(d.node.Slide) && !at.After(begin) {
			leaving = append(leaving, d.at(batch))
		}
	}
	for _, batch := range g.Within(length) {
		if at := batch.Alloc.Time(); batch.Due(d.node.Slide) && at.After(end) {
			coming = append(coming, d.at(batch))
		}
	}
	return leaving, coming
}

// inverseWindow is the operator of ReduceByKeyAndWindowInverse.
type inverseWindow[K comparable, V any] struct {
	site       lineage.Site
	name       string
	f, inverse func(V, V) V
	keep       func(rdd.Pair[K, V]) bool // nil for all
	own        owned[K, V]
}

// step implements step.
func (w *inverseWindow[K, V]) step(_ version[K, V], edit *keyed.Edit[K, V], at int64, in iter.Seq2[rdd.Pair[K, change[V]], error]) (next version[K, V], err error) {
	var changed []K
	for pair, err := range ahead(edit, in) {
		if err != nil {
			return next, err
		}
		value, stamp, there := edit.Get(pair.Key)
		if !there && pair.Value.leaving {
			continue // it was not kept
		}
		if value, err = w.apply(pair.Key, value, there, pair.Value); err != nil {
			return next, err
		}
		w.own.put(edit, pair.Key, value, there, at)
		if w.keep != nil && (!there || stamp != at) {
			changed = append(changed, pair.Key)
		}
	}
	for _, k := range changed {
		if err := w.sift(edit, k, at); err != nil {
			return next, err
		}
	}
	return next, nil
}

// apply returns a key's value after a change. A panic becomes an error that names the key.
func (w *inverseWindow[K, V]) apply(k K, value V, there bool, c change[V]) (_ V, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicOfKey(v, "reduceByKeyAndWindowInverse", w.site, w.name, k)
		}
	}()
	switch {
	case c.leaving:
		return w.inverse(value, c.value), nil
	case there:
		return w.f(value, c.value), nil
	}
	return c.value, nil
}

// sift takes a key away that isn't kept.
func (w *inverseWindow[K, V]) sift(edit *keyed.Edit[K, V], k K, at int64) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicOfKey(v, "reduceByKeyAndWindowInverse", w.site, w.name, k)
		}
	}()
	if value, _, _ := edit.Get(k); !w.keep(rdd.KV(k, value)) {
		edit.Remove(k, at)
	}
	return nil
}

package rdd

import (
	"hash/maphash"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// combiners holds one combined value for each key, in the order in which the
// keys came: iterating a Go map would make every attempt another order.
// A key that isn't equal to itself, because it is or holds a NaN, is found by its
// encoding: NaN is one key, as in Spark.
type combiners[K comparable, C any] struct {
	seed  maphash.Seed
	index keyIndex // of pairs
	nans  map[string]int32
	keys  encoding.Codec[K]
	own   owner[K]
	pairs []Pair[K, C]
	used  int // the most keys that it held before it was emptied, in this use
	peak  int // and in all before
}

func newCombiners[K comparable, C any](keys encoding.Codec[K]) *combiners[K, C] {
	return &combiners[K, C]{seed: maphash.MakeSeed(), index: newKeyIndex(), keys: keys, own: owning[K]()}
}

// slot returns the place of a key and whether it is new, in which case its
// value is the zero value.
func (c *combiners[K, C]) slot(key K) (value *C, isNew bool) {
	hash := c.hash(key)
	if i := c.place(key, hash); i >= 0 {
		return &c.pairs[i].Value, false
	}
	if key != key { // it never is where it was put
		return c.nanSlot(key)
	}
	c.index.add(hash, len(c.pairs))
	return c.add(key)
}

// hash returns the hash of a key in the index.
func (c *combiners[K, C]) hash(key K) uint32 { return uint32(maphash.Comparable(c.seed, key)) }

// place returns where a key is in pairs, -1 if it isn't there.
func (c *combiners[K, C]) place(key K, hash uint32) int {
	for at := hash; ; at++ {
		var i int
		if at, i = c.index.next(at, hash); i < 0 || c.pairs[i].Key == key {
			return i
		}
	}
}

// nanSlot is slot for a key that isn't equal to itself.
func (c *combiners[K, C]) nanSlot(key K) (value *C, isNew bool) {
	b, err := c.keys.Append(nil, key)
	if err != nil {
		return c.add(key) // who encodes the pair meets the error again
	}
	if i, ok := c.nans[string(b)]; ok {
		return &c.pairs[i].Value, false
	}
	if c.nans == nil {
		c.nans = make(map[string]int32)
	}
	c.nans[string(b)] = int32(len(c.pairs))
	return c.add(key)
}

func (c *combiners[K, C]) add(key K) (value *C, isNew bool) {
	c.pairs = append(c.pairs, Pair[K, C]{Key: key})
	added := &c.pairs[len(c.pairs)-1]
	c.own.of(&added.Key)
	return &added.Value, true
}

// reset empties it and keeps its memory.
func (c *combiners[K, C]) reset() {
	c.used = max(c.used, len(c.pairs))
	clear(c.index)
	clear(c.pairs)
	c.pairs, c.nans = c.pairs[:0], nil
}

// find returns the value of a key, if it has one. It changes nothing, so that several
// goroutines may call it.
func (c *combiners[K, C]) find(key K) (value C, ok bool) {
	i := c.place(key, c.hash(key))
	if key != key {
		b, err := c.keys.Append(nil, key)
		at, known := c.nans[string(b)]
		if i = int(at); !known || err != nil {
			i = -1
		}
	}
	if i < 0 {
		return value, false
	}
	return c.pairs[i].Value, true
}

// aggregator combines the values of a key.
type aggregator[V, C any] struct {
	create func(V) C    // makes a combined value of a key's first value
	merge  func(C, V) C // adds a value
	join   func(C, C) C // joins what two map tasks combined
}

// combined yields one pair for each key, in the order in which the keys came. What the
// task has no memory for is combined in files: then values of a key are joined that were
// combined apart.
//
//go:noinline
func combined[K comparable, V, C any](tc *task.Context, codec pairCodec[K, C], values encoding.Codec[V], a aggregator[V, C], in iter.Seq2[Pair[K, V], error]) iter.Seq2[Pair[K, C], error] {
	return combinedOf(tc, codec, a.join, aggregating(values, in, a))
}

// aggregating is combining with an aggregator.
func aggregating[K comparable, V, C any](values encoding.Codec[V], in iter.Seq2[Pair[K, V], error], a aggregator[V, C]) func(*combineTable[K, C]) error {
	return combining(values, in, func(c *C, isNew bool, v V) error {
		if isNew {
			*c = a.create(v)
		} else {
			*c = a.merge(*c, v)
		}
		return nil
	})
}

// combinedOf is combined for several sequences: each input adds one to what those before
// it left, see combining. join joins two combined values of a key, of which the second
// came later.
//
//go:noinline
func combinedOf[K comparable, C any](tc *task.Context, codec pairCodec[K, C], join func(C, C) C, inputs ...func(*combineTable[K, C]) error) iter.Seq2[Pair[K, C], error] {
	return func(yield func(Pair[K, C], error) bool) {
		t := newCombineTable(tc, codec, join)
		defer t.close()
		for _, add := range inputs {
			if ends(yield, add(t)) {
				return
			}
		}
		t.rows()(yield)
	}
}

// combinedInParts is combinedOf for pairs that who reads them combines once more: a table
// that is large and saves little is yielded and begun anew. Random access to a table that
// outgrows the processor's cache costs more than moving some pairs more.
//
//go:noinline
func combinedInParts[K comparable, C any](tc *task.Context, codec pairCodec[K, C], join func(C, C) C, add func(*combineTable[K, C]) error) iter.Seq2[Pair[K, C], error] {
	return func(yield func(Pair[K, C], error) bool) {
		t := newCombineTable(tc, codec, join)
		t.early = yield
		defer t.close()
		if err := add(t); !t.stopped && !ends(yield, err) {
			t.rows()(yield)
		}
	}
}

// combineByKey makes the RDD of an operator that combines the values of each key. With
// mapSide they are combined before they are moved, too. An RDD whose keys are where p
// puts them isn't moved.
//
//go:noinline
func combineByKey[K comparable, V, C any](o op, r *RDD[Pair[K, V]], p Partitioner, mapSide bool, a aggregator[V, C]) *RDD[Pair[K, C]] {
	codec := keyedCodec[K, C](o)
	if mapSide {
		values, _ := encoding.For[V]() // to measure them by, if there is one: they stay where they are
		return combineFirst(o, r.node, p, codec, a.join, func(tc *task.Context, part int) func(*combineTable[K, C]) error {
			return aggregating(values, r.Compute(tc, part), a)
		})
	}
	values := withValues[V](o, codec)
	dep, read := spreadBy(o, r.node, p, values, r.Compute)
	return madeBy(o, p, []lineage.Dependency{dep}, func(tc *task.Context, part int) iter.Seq2[Pair[K, C], error] {
		return combined(tc, codec, values.value, a, read(tc, part))
	})
}

// combineFirst is combineByKey for an operator that combines the values within each
// partition of parent, which is what add does to a table: join joins what they came to.
//
//go:noinline
func combineFirst[K comparable, C any](o op, parent *lineage.Node, p Partitioner, codec pairCodec[K, C], join func(C, C) C, add func(tc *task.Context, partition int) func(*combineTable[K, C]) error) *RDD[Pair[K, C]] {
	if isSpreadBy(parent, p) {
		return madeBy(o, p, oneToOne(parent), func(tc *task.Context, part int) iter.Seq2[Pair[K, C], error] {
			return combinedOf(tc, codec, join, add(tc, part))
		})
	}
	e := shuffleByKey(o, parent, p, codec, lineage.ShuffleDependency{Combine: true}, func(tc *task.Context, part int) iter.Seq2[Pair[K, C], error] {
		return combinedInParts(tc, codec, join, add(tc, part))
	})
	a := aggregator[C, C]{func(c C) C { return c }, join, join}
	return madeBy(o, p, []lineage.Dependency{e.dep}, func(tc *task.Context, part int) iter.Seq2[Pair[K, C], error] {
		return combined(tc, codec, codec.value, a, e.read(tc, part))
	})
}

// madeBy makes the RDD of an operator whose keys are where p puts them.
//
//go:noinline
func madeBy[K comparable, V any](o op, p Partitioner, deps []lineage.Dependency, compute computeFunc[Pair[K, V]]) *RDD[Pair[K, V]] {
	out := made(o, p.Partitions(), deps, compute)
	out.node.Partitioner = p
	return out
}

// spreadBy returns how an operator whose partitions p makes reads pairs that from yields
// for the partitions of parent: they are moved, unless their keys are where p puts them.
//
//go:noinline
func spreadBy[K comparable, V any](o op, parent *lineage.Node, p Partitioner, codec pairCodec[K, V], from computeFunc[Pair[K, V]]) (lineage.Dependency, computeFunc[Pair[K, V]]) {
	if isSpreadBy(parent, p) {
		return lineage.NarrowDependency{Parent: parent}, from
	}
	e := shuffleByKey(o, parent, p, codec, lineage.ShuffleDependency{}, from)
	return e.dep, e.read
}

// isSpreadBy reports whether a node's keys are where p puts them.
func isSpreadBy(n *lineage.Node, p Partitioner) bool {
	return n.Partitioner != nil && n.Partitions == p.Partitions() && n.Partitioner.Equal(p)
}

// CombineByKey combines the values of each key into one C: create makes it of a
// key's first value, merge adds a value, mergeCombiners joins what two map
// tasks made. All three run on executors; merge and mergeCombiners may change
// and return their first argument.
func CombineByKey[K comparable, V, C any](r *RDD[Pair[K, V]], create func(V) C, merge func(C, V) C, mergeCombiners func(C, C) C, opts ...ShuffleOption) *RDD[Pair[K, C]] {
	o := r.sc.op("combineByKey", create, merge, mergeCombiners)
	return combineByKey(o, r, o.partitioner(opts, r.node), true, aggregator[V, C]{create, merge, mergeCombiners})
}

// ReduceByKey combines the values of each key with f, which must be
// associative: first within each map task, in the order of its records, then
// across them, in the order of the map partitions. It runs on executors.
//
// Without options an RDD that has no partitioner is hashed over the default parallelism,
// whatever the result is joined with later: give [By] that RDD's partitioner, or the join
// moves the result again.
func ReduceByKey[K comparable, V any](r *RDD[Pair[K, V]], f func(V, V) V, opts ...ShuffleOption) *RDD[Pair[K, V]] {
	o := r.sc.op("reduceByKey", f)
	return combineByKey(o, r, o.partitioner(opts, r.node), true, aggregator[V, V]{func(v V) V { return v }, f, f})
}

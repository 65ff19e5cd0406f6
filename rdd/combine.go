package rdd

import (
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
	index map[K]int32
	nans  map[string]int32
	keys  encoding.Codec[K]
	pairs []Pair[K, C]
}

func newCombiners[K comparable, C any](keys encoding.Codec[K]) *combiners[K, C] {
	return &combiners[K, C]{index: make(map[K]int32), keys: keys}
}

// slot returns the place of a key and whether it is new, in which case its
// value is the zero value.
func (c *combiners[K, C]) slot(key K) (value *C, isNew bool) {
	if i, ok := c.index[key]; ok {
		return &c.pairs[i].Value, false
	}
	if key != key { // Go's map never finds it
		return c.nanSlot(key)
	}
	c.index[key] = int32(len(c.pairs))
	return c.add(key)
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
	return &c.pairs[len(c.pairs)-1].Value, true
}

// aggregator combines the values of a key.
type aggregator[V, C any] struct {
	create func(V) C    // makes a combined value of a key's first value
	merge  func(C, V) C // adds a value
	join   func(C, C) C // joins what two map tasks combined
}

// joining returns what joins combined values, as the reading side of a shuffle does.
func (a aggregator[V, C]) joining() aggregator[C, C] {
	return aggregator[C, C]{func(c C) C { return c }, a.join, a.join}
}

// combined yields one pair for each key, in the order in which the keys came. What the
// task has no memory for is combined in files: then values of a key are joined that were
// combined apart.
func combined[K comparable, V, C any](tc *task.Context, codec pairCodec[K, C], values encoding.Codec[V], a aggregator[V, C], in iter.Seq2[Pair[K, V], error]) iter.Seq2[Pair[K, C], error] {
	return func(yield func(Pair[K, C], error) bool) {
		t := newCombineTable(tc, codec, values, a)
		defer t.close()
		var failed error
		in(func(kv Pair[K, V], err error) bool {
			if failed = err; failed == nil {
				failed = t.add(kv)
			}
			return failed == nil
		})
		if !ends(yield, failed) {
			t.rows()(yield)
		}
	}
}

// combineByKey makes the RDD of an operator that combines the values of each key. With
// mapSide they are combined before they are moved, too. An RDD whose keys are where p
// puts them isn't moved.
func combineByKey[K comparable, V, C any](o op, r *RDD[Pair[K, V]], p Partitioner, mapSide bool, a aggregator[V, C]) *RDD[Pair[K, C]] {
	codec := keyedCodec[K, C](o)
	values, err := encoding.For[V]()
	if codec.value != nil { // else it is said already
		o.fail(err)
	}
	var out *RDD[Pair[K, C]]
	switch {
	case r.node.Partitioner != nil && r.node.Partitioner.Equal(p):
		out = narrow(o, r, func(tc *task.Context, part int) iter.Seq2[Pair[K, C], error] {
			return combined(tc, codec, values, a, r.Compute(tc, part))
		})
	case mapSide:
		e := shuffleByKey(o, r.node, p, codec, lineage.ShuffleDependency{Combine: true}, func(tc *task.Context, part int) iter.Seq2[Pair[K, C], error] {
			return combined(tc, codec, values, a, r.Compute(tc, part))
		})
		out = made(o, p.Partitions(), []lineage.Dependency{e.dep}, func(tc *task.Context, part int) iter.Seq2[Pair[K, C], error] {
			return combined(tc, codec, codec.value, a.joining(), e.read(tc, part))
		})
	default:
		e := shuffleByKey(o, r.node, p, pairCodec[K, V]{codec.key, values}, lineage.ShuffleDependency{}, r.Compute)
		out = made(o, p.Partitions(), []lineage.Dependency{e.dep}, func(tc *task.Context, part int) iter.Seq2[Pair[K, C], error] {
			return combined(tc, codec, values, a, e.read(tc, part))
		})
	}
	out.node.Partitioner = p
	return out
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
func ReduceByKey[K comparable, V any](r *RDD[Pair[K, V]], f func(V, V) V, opts ...ShuffleOption) *RDD[Pair[K, V]] {
	o := r.sc.op("reduceByKey", f)
	return combineByKey(o, r, o.partitioner(opts, r.node), true, aggregator[V, V]{func(v V) V { return v }, f, f})
}

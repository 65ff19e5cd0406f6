package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
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

// CombineByKey combines the values of each key into one C: create makes it of a
// key's first value, merge adds a value, mergeCombiners joins what two map
// tasks made. All three run on executors; merge and mergeCombiners may change
// and return their first argument. partitions 0 means the default parallelism.
func CombineByKey[K comparable, V, C any](r *RDD[Pair[K, V]], partitions int,
	create func(V) C, merge func(C, V) C, mergeCombiners func(C, C) C,
) *RDD[Pair[K, C]] {
	site := r.node.lineage.site()
	if create == nil || merge == nil || mergeCombiners == nil {
		r.node.lineage.Fail(&OpError{"combineByKey", site, ErrNilFunction})
	}
	if partitions == 0 {
		partitions = r.node.lineage.parallelism
	}
	return combineByKey(r, "combineByKey", site, partitions,
		[]string{FuncName(create), FuncName(merge), FuncName(mergeCombiners)}, create, merge, mergeCombiners)
}

// ReduceByKey combines the values of each key with f, which must be
// associative: first within each map task, in the order of its records, then
// across them, in the order of the map partitions. It runs on executors.
// partitions, if given, is the number of partitions of the result; else it is the
// default parallelism.
func ReduceByKey[K comparable, V any](r *RDD[Pair[K, V]], f func(V, V) V, partitions ...int) *RDD[Pair[K, V]] {
	site := r.node.lineage.site()
	if f == nil {
		r.node.lineage.Fail(&OpError{"reduceByKey", site, ErrNilFunction})
	}
	return combineByKey(r, "reduceByKey", site, r.node.lineage.optional(partitions), []string{FuncName(f)}, func(v V) V { return v }, f, f)
}

// CountByValue counts how often each value occurs, on executors, and yields a
// pair for each. partitions, if given, is the number of partitions of the result; else
// it is the default parallelism.
func CountByValue[T comparable](r *RDD[T], partitions ...int) *RDD[Pair[T, int64]] {
	ones := Map(r, func(v T) Pair[T, int64] { return Pair[T, int64]{v, 1} })
	return combineByKey(ones, "countByValue", r.node.lineage.site(), r.node.lineage.optional(partitions), nil,
		func(n int64) int64 { return n }, add, add)
}

func add(a, b int64) int64 { return a + b }

func combineByKey[K comparable, V, C any](r *RDD[Pair[K, V]], op string, site Site, partitions int, fns []string,
	create func(V) C, merge func(C, V) C, mergeCombiners func(C, C) C,
) *RDD[Pair[K, C]] {
	l := r.node.lineage
	keys, err := encoding.ForKey[K]()
	if err != nil {
		l.Fail(&OpError{op, site, err})
	}
	values, err := encoding.For[C]()
	if err != nil {
		l.Fail(&OpError{op, site, err})
	}
	codec := pairCodec[K, C]{keys, values}
	write := func(tc *TaskContext, p int, w BlockWriter) error {
		acc := newCombiners[K, C](keys)
		for kv, err := range r.Compute(tc, p) {
			if err != nil {
				return err
			}
			if c, isNew := acc.slot(kv.Key); isNew {
				*c = create(kv.Value)
			} else {
				*c = merge(*c, kv.Value)
			}
		}
		return writeByKey(acc.pairs, keys, codec, partitions, w, func(err error) error { return &OpError{op, site, err} })
	}
	read := func(tc *TaskContext, shuffle, p int) iter.Seq2[Pair[K, C], error] {
		return computed(tc, func() ([]Pair[K, C], error) {
			acc := newCombiners[K, C](keys)
			for kv, err := range readBlocks(tc, codec, shuffle, p) {
				if err != nil {
					return nil, err
				}
				if c, isNew := acc.slot(kv.Key); isNew {
					*c = kv.Value
				} else {
					*c = mergeCombiners(*c, kv.Value)
				}
			}
			return acc.pairs, nil
		})
	}
	return shuffled(r.node, op, site, partitions, fns, HashPartitioner{partitions}, write, read)
}

// writeByKey writes pairs to the blocks of the partitions that their keys
// belong to, in order. failed says of an error where the pairs are from.
func writeByKey[K comparable, C any](pairs []Pair[K, C], keys encoding.Codec[K], codec encoding.Codec[Pair[K, C]], partitions int, w BlockWriter, failed func(error) error) error {
	out := newBlocks(codec, partitions)
	var key []byte
	for _, kv := range pairs {
		reduce := 0
		if partitions > 1 {
			var err error
			if key, err = keys.Append(key[:0], kv.Key); err != nil {
				return failed(err)
			}
			reduce = partitionOf(key, partitions)
		}
		if err := out.add(reduce, kv); err != nil {
			return failed(err)
		}
	}
	return out.flush(w)
}

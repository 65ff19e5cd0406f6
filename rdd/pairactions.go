package rdd

import (
	"bytes"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// CountByKey returns each key that occurs, and of how many pairs it is the key: pairs
// rather than Spark's map, since they have an order, the same whenever the program runs,
// and so that NaN, which is one key, can be found among them. The pairs are counted by a
// shuffle, on executors.
func CountByKey[K comparable, V any](r *RDD[Pair[K, V]], opts ...ShuffleOption) ([]Pair[K, int64], error) {
	o := r.sc.op("countByKey")
	counts := combineByKey(o, r, o.partitioner(opts, r.node), true, aggregator[V, int64]{
		create: func(V) int64 { return 1 },
		merge:  func(n int64, _ V) int64 { return n + 1 },
		join:   add,
	})
	return collectPartitions(o, counts, nil)
}

// CollectAsMap returns all pairs as a map. Of a key that comes more than once it has the
// last value, in partition order; NaN is one key. Don't declare anything by ranging over
// the map: Go does that in another order in every process.
func CollectAsMap[K comparable, V any](r *RDD[Pair[K, V]]) (map[K]V, error) {
	o := r.sc.op("collectAsMap")
	keys, err := encoding.ForKey[K]()
	if err != nil {
		return nil, o.error(err)
	}
	pairs, err := collectPartitions(o, r, nil)
	if err != nil {
		return nil, err
	}
	m := make(map[K]V, len(pairs))
	nans := newCombiners[K, V](keys)
	for _, kv := range pairs {
		if kv.Key == kv.Key {
			m[kv.Key] = kv.Value
		} else {
			v, _ := nans.slot(kv.Key)
			*v = kv.Value
		}
	}
	for _, kv := range nans.pairs {
		m[kv.Key] = kv.Value
	}
	return m, nil
}

// Lookup returns the values of a key, in partition order; NaN is one key. If r has a
// partitioner, only the partition that the key belongs to is computed.
func Lookup[K comparable, V any](r *RDD[Pair[K, V]], key K) ([]V, error) {
	o := r.sc.op("lookup")
	keys, err := encoding.ForKey[K]()
	if err != nil {
		return nil, o.error(err)
	}
	var partitions []int                                // all
	_, ranged := r.node.Partitioner.(*rangePartitioner) // its bounds are known to tasks only
	if p := r.node.Partitioner; !ranged && p != nil && isSpreadBy(r.node, p) {
		place, err := placing(p, keys)
		if err != nil {
			return nil, o.error(err)
		}
		at, err := place()(key)
		if err != nil {
			return nil, o.error(err)
		}
		partitions = []int{at}
	}
	is, err := equalTo(key, keys)
	if err != nil {
		return nil, o.error(err)
	}
	found := narrow(o, r, func(tc *task.Context, p int) iter.Seq2[V, error] {
		in := r.Compute(tc, p)
		return func(yield func(V, error) bool) {
			in(func(kv Pair[K, V], err error) bool {
				return !ends(yield, err) && (!is(kv.Key) || yield(kv.Value, nil))
			})
		}
	})
	return collectPartitions(o, found, partitions)
}

// equalTo returns a function that reports whether a key is the given one: NaN is, too.
func equalTo[K comparable](key K, keys encoding.Codec[K]) (func(K) bool, error) {
	if key == key {
		return func(k K) bool { return k == key }, nil
	}
	encoded, err := keys.Append(nil, key)
	return func(k K) bool {
		if k == k {
			return false
		}
		b, err := keys.Append(nil, k)
		return err == nil && bytes.Equal(b, encoded)
	}, err
}

// collectPartitions returns the elements of the given partitions, nil standing for all.
func collectPartitions[T any](o op, r *RDD[T], partitions []int) ([]T, error) {
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, o.error(err)
	}
	a := CollectAction(r, o.name, codec, -1, r.sc.maxResultBytes())
	a.Partitions = partitions
	results, err := r.sc.run(a)
	if err != nil {
		return nil, err
	}
	return DecodeRows(codec, results)
}

package engine

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// UpdateStateByKey calls f, on executors, for every key that has a state or data in the
// batch, with the batch's values of the key in the order of their partitions, none if it
// had no data, and its state. What f returns is its state from then on; none takes the key
// away. A state is shared with earlier versions, which a task that is tried again begins
// from: return a new one rather than change what old refers to, such as a map. It yields every key with its state, in every batch: where few keys change,
// [MapWithState] costs less. The name tells the state from others, see there. (Spark:
// updateStateByKey.)
func UpdateStateByKey[K comparable, V, S any](d *DStream[rdd.Pair[K, V]], name string, f func(key K, values []V, old rdd.Option[S]) rdd.Option[S], opts ...StateOption) *DStream[rdd.Pair[K, S]] {
	const op = "updateStateByKey"
	require(d.ssc, op, f != nil)
	o := stateOptionsOf(d.ssc, op, stateOptionSet{initial: true}, opts)
	u := &stateUpdater[K, V, S]{site: lineage.Caller(), name: name, f: f, own: newOwned[K, S]()}
	versions := declareState(GroupByKey(d, rdd.By(o.partitioner)), o, stateSpec[K, S, rdd.Pair[K, []V]]{
		name: name, op: op, step: u.step, functions: []any{f},
	})
	return entries(versions, "states")
}

// stateUpdater is the operator of UpdateStateByKey.
type stateUpdater[K comparable, V, S any] struct {
	site lineage.Site
	name string
	f    func(key K, values []V, old rdd.Option[S]) rdd.Option[S]
	own  owned[K, S]
}

// step implements step.
func (u *stateUpdater[K, V, S]) step(before version[K, S], edit *keyed.Edit[K, S], at int64, in iter.Seq2[rdd.Pair[K, []V], error]) (next version[K, S], err error) {
	for group, err := range ahead(edit, in) {
		if err != nil {
			return next, err
		}
		old, _, had := before.table.Get(group.Key)
		if err := u.update(edit, group.Key, group.Value, rdd.Option[S]{Value: old, Valid: had}, at); err != nil {
			return next, err
		}
	}
	before.table.All(func(k K, old S, _ int64) bool {
		if _, stamp, there := edit.Get(k); !there || stamp == at {
			return true // it had data
		}
		err = u.update(edit, k, nil, rdd.Some(old), at)
		return err == nil
	})
	return next, err
}

// update calls the function for a key. A panic becomes an error that names the key.
func (u *stateUpdater[K, V, S]) update(edit *keyed.Edit[K, S], k K, values []V, old rdd.Option[S], at int64) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicOfKey(v, "updateStateByKey", u.site, u.name, k)
		}
	}()
	switch now := u.f(k, values, old); {
	case now.Valid:
		u.own.put(edit, k, now.Value, old.Valid, at)
	case old.Valid:
		edit.Remove(k, at)
	}
	return nil
}

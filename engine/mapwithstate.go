package engine

import (
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// State is the state of one key, as the function of [MapWithState] sees it. It is good for
// one call.
type State[S any] struct {
	value   S
	exists  bool
	ending  bool // it is timing out
	changed bool
	misused string
}

// Exists reports whether the key has a state.
func (s *State[S]) Exists() bool { return s.exists }

// Get returns the key's state, and whether there is one. What it refers to, such as a map,
// is shared with earlier versions of the state: don't change it, [State.Update] with a new
// one.
func (s *State[S]) Get() (value S, exists bool) { return s.value, s.exists }

// Update sets the key's state. It is an error while the state is timing out.
func (s *State[S]) Update(value S) { s.set("Update", value, true) }

// Remove takes the key's state away. It is an error while the state is timing out: then it
// goes by itself.
func (s *State[S]) Remove() {
	var none S
	s.set("Remove", none, false)
}

func (s *State[S]) set(method string, value S, exists bool) {
	if s.ending {
		s.misused = method
		return
	}
	s.value, s.exists, s.changed = value, exists, true
}

// IsTimingOut reports whether the key had no data for so long that its state ends with
// this call. See [Timeout].
func (s *State[S]) IsTimingOut() bool { return s.ending }

// MapWithState calls f for every pair, on executors, with the state of its key, and yields
// what f returns unless that is to be left out, ok being false. Pairs of one key come in
// the order of their partitions; the value is nil when the state is timing out. The name
// tells the state from others: under it a job that goes on finds it again, also in a
// program that was changed. Only keys with data cost something in a batch, and those that
// time out; all keys with their states: [StateSnapshots]. (Spark: mapWithState.)
func MapWithState[K comparable, V, S, E any](d *DStream[rdd.Pair[K, V]], name string, f func(key K, value *V, s *State[S]) (out E, ok bool), opts ...StateOption) *DStream[E] {
	const op = "mapWithState"
	require(d.ssc, op, f != nil)
	o := stateOptionsOf(d.ssc, op, stateOptionSet{timeout: true, initial: true}, opts)
	m := &stateMapper[K, V, S, E]{site: lineage.Caller(), name: name, f: f, timeout: int64(o.timeout), own: newOwned[K, S]()}
	versions := declareState(PartitionBy(d, rdd.By(o.partitioner)), o, stateSpec[K, S, rdd.Pair[K, V]]{
		name: name, op: op, step: m.step, functions: []any{f},
	})
	return emitted[E](versions)
}

// emitted declares the stream of what the versions of a state emitted.
func emitted[E any, K comparable, S any](versions *DStream[version[K, S]]) *DStream[E] {
	return derive(versions, "emitted", func(_ *plan.Generation, r *rdd.RDD[version[K, S]]) *rdd.RDD[E] {
		return rdd.FlatMap(r, func(v version[K, S]) []E {
			out, _ := v.out.([]E)
			return out
		})
	})
}

// stateMapper is the operator of MapWithState.
type stateMapper[K comparable, V, S, E any] struct {
	site    lineage.Site
	name    string
	f       func(key K, value *V, s *State[S]) (E, bool)
	timeout int64 // nanoseconds, 0 for none
	own     owned[K, S]
}

// step implements step.
func (m *stateMapper[K, V, S, E]) step(before version[K, S], edit *keyed.Edit[K, S], at int64, in iter.Seq2[rdd.Pair[K, V], error]) (next version[K, S], err error) {
	var out []E
	s := new(State[S]) // of all calls, one after the other
	for pair, err := range ahead(edit, in) {
		if err != nil {
			return next, err
		}
		value, _, had := edit.Get(pair.Key)
		*s = State[S]{value: value, exists: had}
		if out, err = m.call(out, pair.Key, &pair.Value, s); err != nil {
			return next, err
		}
		switch {
		case s.exists && s.changed:
			m.own.put(edit, pair.Key, s.value, had, at)
		case s.exists && m.timeout > 0:
			edit.Put(pair.Key, s.value, at)
		case had && !s.exists:
			edit.Remove(pair.Key, at)
		}
	}
	if m.timeout > 0 {
		out, err = m.expire(out, before.table, edit, at)
	}
	return version[K, S]{out: out}, err
}

// expire ends the states of the keys that had no data for the timeout.
func (m *stateMapper[K, V, S, E]) expire(out []E, before *keyed.Table[K, S], edit *keyed.Edit[K, S], at int64) (_ []E, failed error) {
	before.Until(at-m.timeout, func(k K, value S, _ int64) bool {
		if _, stamp, there := edit.Get(k); !there || stamp == at {
			return true // it had data in this batch
		}
		out, failed = m.call(out, k, nil, &State[S]{value: value, exists: true, ending: true})
		edit.Remove(k, at)
		return failed == nil
	})
	return out, failed
}

// call calls the function for a key and appends what it returns to out. A panic becomes an
// error that names the key.
func (m *stateMapper[K, V, S, E]) call(out []E, k K, v *V, s *State[S]) (_ []E, err error) {
	defer func() {
		if v := recover(); v != nil {
			if err = panicOfKey(v, "mapWithState", m.site, m.name, k); s.ending {
				err.(*lineage.PanicError).Value += ", which is timing out: its value is nil then"
			}
		}
	}()
	e, ok := m.f(k, v, s)
	if s.misused != "" {
		return out, fmt.Errorf("%w: %s of %s, which is timing out: it goes by itself", ErrState, s.misused, keyName(k, m.name))
	}
	if ok {
		out = append(out, e)
	}
	return out, nil
}

// panicOfKey returns the error of a panic that a deferred function has just recovered,
// of a user's function that was called for a key.
func panicOfKey(value any, op string, site lineage.Site, state string, key any) error {
	p := lineage.Recovered(value)
	p.Op, p.Site = op, site
	p.Value += "; it came of " + keyName(key, state)
	return p
}

// keyName names a key of a state for people, the beginning of one that is long.
func keyName(key any, state string) string {
	return fmt.Sprintf("key %.100s of state %q", fmt.Sprint(key), state)
}

package engine

import (
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// StateSnapshots yields, in each batch, every key of a state with its value, in no
// particular order: what [MapWithState] holds under the name, declared before it. (Spark:
// stateSnapshots.) Of [TransformWithState] there are none: a key has several variables
// there, and what is to be seen of them its functions emit.
func StateSnapshots[K comparable, S any](ssc *StreamingContext, name string) *DStream[rdd.Pair[K, S]] {
	const op = "stateSnapshots"
	versions, ok := ssc.states[name].(*DStream[version[K, S]])
	switch {
	case ssc.states[name] == nil:
		ssc.fail(op, fmt.Errorf("%w: nothing before has a state %q", ErrState, name))
	case ssc.program.Graph.HoldsVariables(name):
		ssc.fail(op, fmt.Errorf("%w: state %q holds variables: have the functions of its TransformWithState emit what is to be seen", ErrState, name))
	case !ok:
		var pair rdd.Pair[K, S]
		ssc.fail(op, fmt.Errorf("%w: state %q doesn't hold %T", ErrState, name, pair))
	}
	if !ok {
		return QueueStream[rdd.Pair[K, S]](ssc, nil, 1) // so that the program can be read to its end
	}
	return entries(versions, op)
}

// entries yields what each version of a state holds.
func entries[K comparable, S any](versions *DStream[version[K, S]], op string) *DStream[rdd.Pair[K, S]] {
	return derive(versions, op, func(_ *plan.Generation, r *rdd.RDD[version[K, S]]) *rdd.RDD[rdd.Pair[K, S]] {
		return rdd.FlatMapSeq(r, func(v version[K, S]) iter.Seq[rdd.Pair[K, S]] {
			return func(yield func(rdd.Pair[K, S]) bool) {
				v.table.All(func(k K, s S, _ int64) bool { return yield(rdd.KV(k, s)) })
			}
		})
	})
}

package engine

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// ahead yields the pairs of a sequence some behind what it has read: what a state keeps of
// their keys is in the processor's cache by then.
func ahead[K comparable, V, S any](edit *keyed.Edit[K, S], in iter.Seq2[rdd.Pair[K, V], error]) iter.Seq2[rdd.Pair[K, V], error] {
	return func(yield func(rdd.Pair[K, V], error) bool) {
		var (
			pairs [keyed.MostTouched]rdd.Pair[K, V]
			keys  [keyed.MostTouched]K
			n     int
		)
		handOn := func() (more bool) {
			edit.Touch(keys[:n])
			for i := range n {
				if !yield(pairs[i], nil) {
					return false
				}
			}
			n = 0
			return true
		}
		more := true
		in(func(pair rdd.Pair[K, V], err error) bool {
			if err != nil {
				if more = handOn(); more {
					more = false
					yield(pair, err)
				}
				return false
			}
			pairs[n], keys[n] = pair, pair.Key
			if n++; n == len(pairs) {
				more = handOn()
			}
			return more
		})
		if more {
			handOn()
		}
	}
}

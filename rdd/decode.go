package rdd

import (
	"context"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// decodeAll yields the elements that bytes hold, in a task. It returns how many they were,
// and whether more are wanted; the error is that the rest can't be decoded.
func decodeAll[T any](tc *task.Context, codec encoding.Codec[T], from []byte, yield func(T, error) bool) (n uint64, more bool, err error) {
	for len(from) > 0 {
		if tc.Killed() {
			ends(yield, context.Cause(tc))
			return n, false, nil
		}
		var v T
		if v, from, err = codec.Decode(from); err != nil {
			return n, false, err
		}
		n++
		if !yield(v, nil) {
			return n, false, nil
		}
	}
	return n, true, nil
}

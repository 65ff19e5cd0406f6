package shuffle

import (
	"context"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Reader reads map outputs for one task, from stores within the process. It
// implements task.ShuffleReader.
type Reader struct {
	inputs []*Outputs
	stores func(executor string) *Store
}

// NewReader returns a reader of the shuffles in inputs. stores returns the store
// of an executor, nil if that executor is gone.
func NewReader(inputs []*Outputs, stores func(executor string) *Store) *Reader {
	return &Reader{inputs, stores}
}

// Blocks yields the blocks of one reduce partition in the order of the map
// partitions that wrote them. Output that isn't where it should be is a
// [*task.FetchFailedError].
func (r *Reader) Blocks(ctx context.Context, batch uint64, shuffle, reduce int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		outs := r.find(batch, shuffle)
		if outs == nil {
			yield(nil, fmt.Errorf("reading shuffle %d of batch %d: %w", shuffle, batch, ErrNotGiven))
			return
		}
		for m := range outs.Maps {
			if err := ctx.Err(); err != nil {
				yield(nil, fmt.Errorf("reading shuffle %d of batch %d: %w", shuffle, batch, err))
				return
			}
			for b, err := range r.fetch(outs, m, reduce) {
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}

// find returns the outputs of a shuffle, nil if the task wasn't given them.
func (r *Reader) find(batch uint64, shuffle int) *Outputs {
	for _, o := range r.inputs {
		if o.Batch == batch && int(o.Shuffle) == shuffle {
			return o
		}
	}
	return nil
}

// fetch yields the blocks that a map task has for a reduce partition. An error is the
// last that it yields.
func (r *Reader) fetch(outs *Outputs, m, reduce int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		out := outs.Maps[m]
		if reduce < len(out.Bytes) && out.Bytes[reduce] == 0 {
			return
		}
		if b, ok := out.Carried(reduce); ok {
			yield(b, nil)
			return
		}
		failed := &task.FetchFailedError{Shuffle: int(outs.Shuffle), MapPartition: m, Executor: out.Executor}
		store := r.stores(out.Executor)
		if store == nil {
			failed.MapPartition, failed.Err = -1, ErrUnreachable
			yield(nil, failed)
			return
		}
		for b, err := range store.Blocks(outs.ID(m), reduce) {
			if err != nil {
				failed.Err = err
				if lostAll(store, outs, out.Executor) {
					failed.MapPartition = -1
				}
				yield(nil, failed)
				return
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// lostAll reports whether an executor's store has none of the outputs that it
// should have, so that one failure tells of all.
func lostAll(store *Store, outs *Outputs, executor string) bool {
	for m, out := range outs.Maps {
		if out.Executor == executor && store.has(outs.ID(m)) {
			return false
		}
	}
	return true
}

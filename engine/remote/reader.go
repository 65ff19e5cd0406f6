package remote

import (
	"context"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Reader reads map outputs for one task. It implements task.ShuffleReader. One
// goroutine uses it.
type Reader struct {
	fetcher *Fetcher
	epoch   uint64
	inputs  []*shuffle.Outputs
	store   *shuffle.Store
	remote  *int64 // bytes of blocks that came from other executors
}

// Reader returns a reader for one task of a driver's epoch, which reads the
// outputs in inputs: those in this process from store, the others from their
// executors. It adds to remote the bytes that came from there: the task's own count of them,
// which goes back with the others when the task does something again.
func (f *Fetcher) Reader(epoch uint64, inputs []*shuffle.Outputs, store *shuffle.Store, remote *int64) *Reader {
	return &Reader{fetcher: f, epoch: epoch, inputs: inputs, store: store, remote: remote}
}

// Blocks yields the blocks of one reduce partition in the order of the map
// partitions that wrote them. Blocks of other executors are fetched ahead, a
// bounded number of them. Output that isn't where it should be is a
// [*task.FetchFailedError].
func (r *Reader) Blocks(ctx context.Context, batch uint64, id, reduce int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		outs := r.find(batch, id)
		if outs == nil {
			yield(nil, fmt.Errorf("reading shuffle %d of batch %d: %w", id, batch, shuffle.ErrNotGiven))
			return
		}
		w := newWindow(ctx, r.fetcher, r.epoch, outs, reduce)
		defer w.close()
		for m := range outs.Maps {
			for b, err := range r.blocksOf(ctx, w, outs, m, reduce) {
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}

// find returns the outputs of a shuffle, nil if the task wasn't given them.
func (r *Reader) find(batch uint64, shuffle int) *shuffle.Outputs {
	for _, o := range r.inputs {
		if o.Batch == batch && int(o.Shuffle) == shuffle {
			return o
		}
	}
	return nil
}

// blocksOf yields the blocks that one map task has for a reduce partition. An
// error is the last that it yields.
func (r *Reader) blocksOf(ctx context.Context, w *window, outs *shuffle.Outputs, m, reduce int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		out := &outs.Maps[m]
		fail := func(m int, err error) {
			if ctx.Err() != nil {
				yield(nil, fmt.Errorf("reading shuffle %d of batch %d: %w", outs.Shuffle, outs.Batch, context.Cause(ctx)))
				return
			}
			yield(nil, &task.FetchFailedError{Shuffle: int(outs.Shuffle), MapPartition: m, Executor: out.Executor, Err: err})
		}
		switch {
		case reduce < 0 || reduce >= len(out.Bytes):
			fail(m, fmt.Errorf("%w: it has %d reduce partitions, not %d", shuffle.ErrNoOutput, len(out.Bytes), reduce+1))
			return
		case out.Bytes[reduce] == 0:
			return
		case ctx.Err() != nil:
			fail(m, nil)
			return
		case out.Executor == r.fetcher.self:
			for b, err := range r.store.Blocks(outs.ID(m), reduce) {
				if err != nil {
					fail(m, err)
					return
				}
				if !yield(b, nil) {
					return
				}
			}
			return
		}
		if b, ok := out.Carried(reduce); ok {
			*r.remote += int64(len(b))
			yield(b, nil)
			return
		}
		for left := out.Bytes[reduce]; left > 0; {
			b, lost, err := w.next(m)
			if err != nil {
				if lost { // with all that it held
					m = -1
				}
				fail(m, err)
				return
			}
			if left -= int64(len(b)); left < 0 {
				fail(m, fmt.Errorf("%w: it is %d bytes longer than announced", ErrCorrupt, -left))
				return
			}
			*r.remote += int64(len(b))
			if !yield(b, nil) {
				return
			}
		}
	}
}

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/rdd/frame"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// Partitions reads cached partitions of other executors for one task. It implements
// task.Elsewhere. One goroutine uses it.
type Partitions struct {
	fetcher *Fetcher
	epoch   uint64
	holders map[task.Block][]string // in the order in which they are asked
	remote  *int64                  // bytes that came
}

// Partitions returns a reader for one task of a driver's epoch, which reads what other
// executors hold. It adds to remote the bytes that come: the task's own count of them.
func (f *Fetcher) Partitions(epoch uint64, held []scheduler.HeldBlocks, remote *int64) *Partitions {
	p := &Partitions{fetcher: f, epoch: epoch, holders: make(map[task.Block][]string), remote: remote}
	for _, h := range held {
		for _, b := range h.Blocks {
			p.holders[b] = append(p.holders[b], h.Executor)
		}
	}
	return p
}

// Fetch implements task.Elsewhere. It holds one frame at a time; gRPC's window holds what
// the task isn't ready for.
func (p *Partitions) Fetch(ctx context.Context, b task.Block, i int) iter.Seq2[[]byte, error] {
	if i >= len(p.holders[b]) {
		return nil
	}
	executor := p.holders[b][i]
	return func(yield func([]byte, error) bool) {
		if err := p.receive(ctx, executor, b, func(frame []byte) bool { return yield(frame, nil) }); err != nil {
			yield(nil, &task.NotFetchedError{Block: b, Executor: executor, Err: err})
		}
	}
}

// receive hands the frames of a partition to take until that wants no more.
func (p *Partitions) receive(ctx context.Context, executor string, b task.Block, take func(frame []byte) bool) error {
	in, err := p.fetcher.open(ctx, executor, func(ctx context.Context, c ShuffleClient) (grpc.ServerStreamingClient[Block], error) {
		return c.FetchCached(ctx, &FetchPartition{Incarnation: p.fetcher.incarnation, Epoch: p.epoch, Block: b})
	})
	if err != nil {
		return err
	}
	defer in.close()
	var whole []byte // pieces so far of a frame that comes in several
	for {
		m, err := in.next()
		switch {
		case errors.Is(err, io.EOF) && whole == nil:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: it ends within a frame", ErrCorrupt)
		case err != nil:
			return err
		case m.Missing != "":
			return fmt.Errorf("%w: %s", block.ErrNoBlock, m.Missing)
		}
		piece, err := m.unpack()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		*p.remote += int64(len(piece))
		if whole == nil && !m.More {
			if !take(piece) {
				return nil
			}
			continue
		}
		if len(whole)+len(piece) > frame.MaxRaw {
			return fmt.Errorf("%w: a frame has more than %d bytes", ErrCorrupt, frame.MaxRaw)
		}
		if whole = append(whole, piece...); m.More {
			continue
		}
		if !take(whole) {
			return nil
		}
		whole = nil
	}
}

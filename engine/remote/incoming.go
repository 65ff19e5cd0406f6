package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// incoming is a stream of blocks from another executor. One that says nothing for long while
// the next block is waited for is broken. One goroutine uses it, and closes it.
type incoming struct {
	ctx     context.Context
	blocks  grpc.ServerStreamingClient[Block]
	silence time.Duration
	stalled *time.Timer // breaks the stream
	close   func()
}

// open asks an executor for blocks by call.
func (f *Fetcher) open(ctx context.Context, executor string, call func(context.Context, ShuffleClient) (grpc.ServerStreamingClient[Block], error)) (*incoming, error) {
	address := addressOf(executor)
	cc, err := f.conns.acquire(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", shuffle.ErrUnreachable, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := time.AfterFunc(f.silence, func() { cancel(fmt.Errorf("%w for %s", errSilent, f.silence)) })
	in := &incoming{ctx: ctx, silence: f.silence, stalled: stalled, close: func() {
		stalled.Stop()
		cancel(nil)
		f.conns.release(address)
	}}
	if in.blocks, err = call(ctx, ShuffleClient{CC: cc}); err != nil {
		err = fmt.Errorf("%w: %w", shuffle.ErrUnreachable, causeOf(ctx, err))
		in.close()
		return nil, err
	}
	return in, nil
}

// next returns the next block, or io.EOF after the last. The task may take its time between
// two of them.
func (in *incoming) next() (*Block, error) {
	in.stalled.Reset(in.silence)
	b, err := in.blocks.Recv()
	in.stalled.Stop()
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return b, err
	case in.ctx.Err() == nil && wire.Transient(err):
		return nil, fmt.Errorf("%w: %w", shuffle.ErrUnreachable, &transitError{err})
	}
	return nil, fmt.Errorf("%w: %w", shuffle.ErrUnreachable, causeOf(in.ctx, err))
}

// unpack returns the bytes of a block, or of a piece of one.
func (b *Block) unpack() ([]byte, error) {
	return block.Frame{Data: b.Data, Raw: b.Raw, Sum: b.Sum}.Unpack(block.PieceSize)
}

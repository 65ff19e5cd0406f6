package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// parts are the messages that come on a stream, one at a time, so that who waits
// for the next can stop waiting.
type parts[T any] struct {
	messages chan *T
	err      error // why messages is closed; read after it
	left     chan struct{}
}

// receive starts to receive. The goroutine ends with the stream, soon after the
// method that called receive has called leave and returned; work waits for it.
func receive[T any](work *sync.WaitGroup, recv func() (*T, error)) *parts[T] {
	p := &parts[T]{messages: make(chan *T), left: make(chan struct{})}
	work.Go(func() {
		defer close(p.messages)
		for {
			m, err := recv()
			if err != nil {
				p.err = err
				return
			}
			select {
			case p.messages <- m:
			case <-p.left:
				p.err = context.Canceled
				return
			}
		}
	})
	return p
}

// leave says that nobody wants more.
func (p *parts[T]) leave() { close(p.left) }

// next returns the next message. Waiting ends with ctx, a reign's, and with
// patience.
func (p *parts[T]) next(ctx context.Context, patience time.Duration) (*T, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case m, ok := <-p.messages:
		if ok {
			return m, nil
		}
		if errors.Is(p.err, io.EOF) {
			return nil, fmt.Errorf("%w: the stream ends too early", wire.ErrInvalid)
		}
		return nil, p.err
	case <-timer.C:
		return nil, fmt.Errorf("%w: nothing came for %s", wire.ErrInvalid, patience)
	case <-ctx.Done():
		return nil, &wire.NotLeaderError{}
	}
}

// pieces returns what comes of a file: a piece of it, or the word to commit. of
// reads a message.
func (p *parts[T]) pieces(ctx context.Context, of func(*T) (chunk []byte, commit bool)) func() (chunk []byte, commit bool, err error) {
	return func() ([]byte, bool, error) {
		m, err := p.next(ctx, uploadStall)
		if err != nil {
			return nil, false, err
		}
		chunk, commit := of(m)
		return chunk, commit, nil
	}
}

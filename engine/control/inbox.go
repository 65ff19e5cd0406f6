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

// inbox are the messages that come on a stream, one at a time, so that who waits
// for the next can stop waiting.
type inbox[T any] struct {
	messages chan *T
	err      error // why messages is closed; read after it
	left     chan struct{}
}

// receive starts to receive. The goroutine ends with the stream, soon after the
// method that called receive has called leave and returned; work waits for it.
func receive[T any](work *sync.WaitGroup, recv func() (*T, error)) *inbox[T] {
	p := &inbox[T]{messages: make(chan *T), left: make(chan struct{})}
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
func (p *inbox[T]) leave() { close(p.left) }

// next returns the next message. Waiting ends with ctx, a leadership's, and with
// patience.
func (p *inbox[T]) next(ctx context.Context, patience time.Duration) (*T, error) {
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

package remote

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
)

// maxSilence is how long an executor may say nothing, not even that it is alive,
// before it is taken for lost: a process that was stopped, or whose machine is
// gone, closes no connection. The same holds for one that is to send blocks.
const maxSilence = 5 * time.Second

// errSilent is why a stream to an executor that hangs is given up.
var errSilent = errors.New("the executor has said nothing")

// causeOf returns why ctx was cancelled, if it was: that is why err happened.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// heardStream is a stream that notes when something comes.
type heardStream struct {
	grpc.BidiStreamingClient[Several[ToExecutor], Several[FromExecutor]]
	silent  *time.Timer
	silence time.Duration
}

// Recv returns what comes next.
func (s heardStream) Recv() (*Several[FromExecutor], error) {
	m, err := s.BidiStreamingClient.Recv()
	if err == nil {
		s.silent.Reset(s.silence)
	}
	return m, err
}

// hear returns the next message that says more than that the executor is alive.
func hear(s *end[ToExecutor, FromExecutor]) (*FromExecutor, error) {
	for {
		m, err := s.receive()
		if err != nil || m.Alive == nil {
			return m, err
		}
	}
}

package remote

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// A driver whose stream broke while it waited to be let in doesn't end the
// session of the one that drives.
func TestLateSessionEndsNobody(t *testing.T) {
	s := NewServer(incarnation, 1, succeed(nil), slog.New(slog.DiscardHandler))
	t.Cleanup(s.Close)
	live, late := newSession(), newSession()
	hello := &Hello{Incarnation: incarnation, Epoch: 1}
	if err := s.admit(live, hello); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("its stream broke")
	s.leave(late, gone)
	if err := s.admit(late, hello); !errors.Is(err, gone) {
		t.Errorf("the late one is admitted: %v", err)
	}
	if ended, _ := live.isOver(); ended || !s.fence.drives(live) {
		t.Error("the live one doesn't drive any more")
	}
}

// workStream is a driver's stream.
type workStream struct {
	grpc.ServerStream
	ctx   context.Context
	hello chan *ToExecutor
}

func (s *workStream) Context() context.Context { return s.ctx }

func (s *workStream) Recv() (*Several[ToExecutor], error) {
	select {
	case m := <-s.hello:
		return &Several[ToExecutor]{[]*ToExecutor{m}}, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

func (s *workStream) Send(*Several[FromExecutor]) error { return nil }

// A process whose program can't be built ends, also if the driver goes meanwhile.
func TestRefusalEndsTheProcess(t *testing.T) {
	h := &host{refusal: "no such device", block: make(chan struct{}), building: make(chan struct{}, 1)}
	s := NewServer(incarnation, 1, h, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	stream := &workStream{ctx: ctx, hello: make(chan *ToExecutor)}
	worked := make(chan error, 1)
	go func() { worked <- s.Work(stream) }()
	stream.hello <- &ToExecutor{Hello: &Hello{Incarnation: incarnation, Epoch: 1}}
	next(t, "the build", h.building)
	cancel()
	if err := next(t, "the stream's end", worked); !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ends with %v", err)
	}
	close(h.block)
	if why := next(t, "the process's end", s.Failed()); why != h.refusal {
		t.Error(why)
	}
	s.Close()
}

// A host that can't take more keeps a driver waiting, and nobody else: the next driver takes
// its place.
func TestHostWithoutRoom(t *testing.T) {
	h := &host{full: make(chan struct{})}
	s := NewServer(incarnation, 1, h, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 2)
	for epoch := range uint64(2) {
		of, end := context.WithCancel(ctx) // as gRPC does it, the stream's context ends with Work
		stream := &workStream{ctx: of, hello: make(chan *ToExecutor)}
		go func() {
			defer end()
			worked <- s.Work(stream)
		}()
		stream.hello <- &ToExecutor{Hello: &Hello{Incarnation: incarnation, Epoch: epoch + 1}}
		stream.hello <- &ToExecutor{Invoke: &Invoke{Seq: 1}}
		next(t, "the host's waiting", h.full)
	}
	if err := next(t, "the first driver's end", worked); !errors.Is(err, wire.ErrStaleEpoch) {
		t.Errorf("the first driver's stream ends with %v", err)
	}
	cancel()
	next(t, "the second driver's end", worked)
	s.Close()
	if len(h.invoked) > 0 {
		t.Errorf("the host was told of %v", h.invoked)
	}
}

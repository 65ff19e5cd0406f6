package control

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/wire"
)

// binaryService gives out programs and keeps copies of them.
type binaryService struct{ s *server }

var _ wire.BinariesServer = (*binaryService)(nil)

// Fetch implements wire.BinariesServer.
func (b *binaryService) Fetch(req *wire.FetchRequest, stream grpc.ServerStreamingServer[wire.Chunk]) error {
	return b.s.files.programs.Fetch(req, stream)
}

// Replicate implements wire.BinariesServer.
func (b *binaryService) Replicate(ctx context.Context, req *wire.ReplicateRequest) (*wire.ReplicateAnswer, error) {
	if b.s.Peers()[req.Node] == "" || req.Node == b.s.ID() {
		return nil, fmt.Errorf("%w: driver %q can't be asked for the binary", wire.ErrInvalid, req.Node)
	}
	return &wire.ReplicateAnswer{}, b.s.fetchFrom(ctx, req.Binary, req.Size, req.Node)
}

// fetch makes sure that a job's program is here.
func (s *server) fetch(ctx context.Context, spec wire.JobSpec) error {
	if s.files.programs.Has(spec.Binary) {
		return nil
	}
	return s.fetchFrom(ctx, spec.Binary, spec.Size, s.Others()...)
}

// fetchFrom gets a program from other drivers, unless it is here; then it is kept for
// who asks for it.
func (s *server) fetchFrom(ctx context.Context, digest string, size int64, nodes ...string) error {
	if s.files.programs.Use(digest) {
		return nil
	}
	release, err := s.files.room.Claim(size)
	if err != nil {
		return fmt.Errorf("taking the binary: %w", err)
	}
	defer release()
	var sources []binaries.Source
	for _, id := range nodes {
		cc, err := s.drivers.Conn(s.Peers()[id])
		if err != nil {
			return err
		}
		sources = append(sources, binaries.Source{Name: s.Peers()[id], Client: wire.BinariesClient{CC: cc}})
	}
	return s.files.programs.FetchFrom(ctx, digest, size, sources...)
}

// replicate makes the other drivers keep a program that is here and returns when
// a majority has it on disk: whoever leads next finds it then.
func (s *server) replicate(ctx context.Context, digest string, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, replicateWait)
	defer cancel() // what isn't there yet fetches it later, see keep
	others := s.Others()
	type answer struct {
		node string
		err  error
	}
	answers := make(chan answer, len(others)) // has room for all of them
	for _, id := range others {
		s.streams.Go(func() { answers <- answer{id, s.sendTo(ctx, id, digest, size)} })
	}
	have, need := 1, len(s.Peers())/2+1
	var errs []error
	for i := 0; have < need && i < len(others); i++ {
		if a := <-answers; a.err != nil {
			errs = append(errs, fmt.Errorf("driver %s: %w", a.node, a.err))
		} else {
			have++
		}
	}
	if have < need {
		return fmt.Errorf("%w: %d of %d drivers have the binary, %d must: %w",
			wire.ErrNotReady, have, len(s.Peers()), need, errors.Join(errs...))
	}
	return nil
}

// sendTo makes another driver keep a program.
func (s *server) sendTo(ctx context.Context, node, digest string, size int64) error {
	cc, err := s.drivers.Conn(s.Peers()[node])
	if err != nil {
		return err
	}
	_, err = wire.BinariesClient{CC: cc}.Replicate(ctx, &wire.ReplicateRequest{Binary: digest, Size: size, Node: s.ID()})
	return err
}

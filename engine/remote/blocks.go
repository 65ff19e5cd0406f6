package remote

import (
	"fmt"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Fetch implements remote.ShuffleServer: it sends the blocks that map tasks here
// have for one reduce partition.
func (s *Server) Fetch(req *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error {
	if err := s.isOf(req.Incarnation); err != nil {
		return err
	}
	store := s.host.Store(req.Epoch)
	if store == nil {
		return fmt.Errorf("%w: there are no blocks of epoch %d here", wire.ErrNotReady, req.Epoch)
	}
	for _, m := range req.Maps {
		id := shuffle.MapID{Batch: req.Batch, Shuffle: req.Shuffle, Map: m.Map, Attempt: m.Attempt}
		for p, err := range store.Pieces(id, int(req.Reduce)) {
			if err != nil {
				return stream.Send(&Block{Map: m.Map, Missing: err.Error()})
			}
			if err := stream.Send(&Block{Map: m.Map, Data: p.Data, Raw: p.Raw, Sum: p.Sum, More: p.More}); err != nil {
				return err
			}
		}
	}
	return nil
}

// FetchCached implements remote.ShuffleServer: it sends a partition that is cached here.
func (s *Server) FetchCached(req *FetchPartition, stream grpc.ServerStreamingServer[Block]) error {
	if err := s.isOf(req.Incarnation); err != nil {
		return err
	}
	v := s.host.Cached(req.Epoch, req.Block)
	if v == nil {
		return stream.Send(&Block{Missing: block.ErrNoBlock.Error()})
	}
	var scratch []byte
	err := v.Send(func(frame []byte) error {
		for {
			piece := frame[:min(len(frame), block.PieceSize)]
			frame = frame[len(piece):]
			f := block.Pack(&scratch, piece)
			err := stream.Send(&Block{Data: f.Data, Raw: f.Raw, Sum: f.Sum, More: len(frame) > 0})
			if err != nil || len(frame) == 0 {
				return err
			}
		}
	})
	if err != nil { // if the stream is broken, this fails too
		return stream.Send(&Block{Missing: err.Error()})
	}
	return nil
}

// isOf returns an error unless the process is of a reader's job.
func (s *Server) isOf(incarnation uint64) error {
	if incarnation != s.incarnation {
		return fmt.Errorf("%w: this process is of job %d, the reader's is %d", wire.ErrInvalid, s.incarnation, incarnation)
	}
	return nil
}

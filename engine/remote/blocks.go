package remote

import (
	"fmt"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Fetch implements remote.ShuffleServer: it sends the blocks that map tasks here
// have for one reduce partition.
func (s *Server) Fetch(req *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error {
	if req.Incarnation != s.incarnation {
		return fmt.Errorf("%w: this process is of job %d, the reader's is %d", wire.ErrInvalid, s.incarnation, req.Incarnation)
	}
	store := s.host.Store(req.Epoch)
	if store == nil {
		return fmt.Errorf("%w: there are no blocks of epoch %d here", wire.ErrNotReady, req.Epoch)
	}
	for _, m := range req.Maps {
		id := shuffle.MapID{Batch: req.Batch, Shuffle: req.Shuffle, Map: m.Map, Attempt: m.Attempt}
		blocks, err := store.Blocks(id, int(req.Reduce))
		if err != nil {
			return stream.Send(&Block{Map: m.Map, Missing: err.Error()})
		}
		for _, b := range blocks {
			if err := sendBlock(stream, m.Map, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendBlock sends a block in pieces.
func sendBlock(stream grpc.ServerStreamingServer[Block], m int32, b []byte) error {
	for {
		piece := b[:min(len(b), wire.ChunkSize)]
		b = b[len(piece):]
		if err := stream.Send(&Block{Map: m, Data: piece, Sum: checksum(piece), More: len(b) > 0}); err != nil {
			return err
		}
		if len(b) == 0 {
			return nil
		}
	}
}

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

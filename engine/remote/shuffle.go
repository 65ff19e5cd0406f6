package remote

import (
	"context"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/task"
)

// ShuffleServer gives a job's other executor processes the blocks that map tasks
// left here, and the partitions that are cached here. Both ends know the job's secret.
// gRPC's flow control holds the sender back when the reader is slow.
type ShuffleServer interface {
	// Fetch sends the blocks for one reduce partition, map by map in the order
	// asked for, each in the order in which it was written. Map output that isn't
	// there is a Block that says Missing, and ends the stream.
	Fetch(*FetchBlocks, grpc.ServerStreamingServer[Block]) error
	// FetchCached sends a cached partition, in frames of encoded elements. One that
	// isn't there, or can't be read or sent to its end, is a Block that says Missing, and
	// ends the stream.
	FetchCached(*FetchPartition, grpc.ServerStreamingServer[Block]) error
}

// FetchBlocks asks for the blocks of one reduce partition.
type FetchBlocks struct {
	Incarnation uint64     `msgpack:"inc"`
	Epoch       uint64     `msgpack:"epoch"` // of the driver whose task reads
	Batch       uint64     `msgpack:"b"`
	Shuffle     int32      `msgpack:"s"`
	Reduce      int32      `msgpack:"r"`
	Maps        []MapBlock `msgpack:"m"`
}

// FetchPartition asks for a cached partition.
type FetchPartition struct {
	Incarnation uint64     `msgpack:"inc"`
	Epoch       uint64     `msgpack:"epoch"` // of the driver whose task reads
	Block       task.Block `msgpack:"b"`
}

// MapBlock names what one attempt of a map task wrote.
type MapBlock struct {
	Map     int32 `msgpack:"m"`
	Attempt int32 `msgpack:"a"`
}

// Block is a block or a frame of a cached partition, or a piece of one, at most
// block.PieceSize before it is compressed.
type Block struct {
	Map     int32  `msgpack:"m"` // of a map task's block
	Data    []byte `msgpack:"d"`
	Raw     int    `msgpack:"u"` // length before it was compressed, 0 if it isn't
	Sum     uint32 `msgpack:"c"` // CRC-32C of Data
	More    bool   `msgpack:"+"` // the block goes on in the next message
	Missing string `msgpack:"x"` // why what was asked for isn't there, "" if it is
}

// RegisterShuffle offers the service.
func RegisterShuffle(r grpc.ServiceRegistrar, s ShuffleServer) {
	r.RegisterService(wire.Service("Shuffle", (*ShuffleServer)(nil), nil, wire.Downstream("Fetch", ShuffleServer.Fetch), wire.Downstream("FetchCached", ShuffleServer.FetchCached)), s)
}

// ShuffleClient calls the service.
type ShuffleClient struct{ CC grpc.ClientConnInterface }

// Fetch calls ShuffleServer.Fetch.
func (c ShuffleClient) Fetch(ctx context.Context, req *FetchBlocks) (grpc.ServerStreamingClient[Block], error) {
	return wire.OpenDownstream[FetchBlocks, Block](ctx, c.CC, "Shuffle/Fetch", req)
}

// FetchCached calls ShuffleServer.FetchCached.
func (c ShuffleClient) FetchCached(ctx context.Context, req *FetchPartition) (grpc.ServerStreamingClient[Block], error) {
	return wire.OpenDownstream[FetchPartition, Block](ctx, c.CC, "Shuffle/FetchCached", req)
}

package rdd

import (
	"fmt"
	"iter"
	"reflect"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// edge is a shuffle of records of type T: the map side's tasks write them, and an
// operator on the reading side reads them.
type edge[T any] struct {
	dep   *lineage.ShuffleDependency
	codec encoding.Codec[T]
}

// shuffle adds a shuffle to the lineage. write computes a partition of parent, in a task,
// and adds its records to the partitions of the reading side that they belong to.
//
//go:noinline
func shuffle[T any](o op, parent *lineage.Node, p Partitioner, codec encoding.Codec[T], about lineage.ShuffleDependency,
	write func(tc *task.Context, partition int, to *blocks[T]) error,
) edge[T] {
	about.Parent, about.Partitioner = parent, p
	return edge[T]{codec: codec, dep: o.shuffle(&about, reflect.TypeFor[T](), func(tc *task.Context, partition int, to *outgoing) error {
		return write(tc, partition, &blocks[T]{codec, to})
	})}
}

// shuffle adds a shuffle of records of a type, which write encodes, to the lineage.
func (o op) shuffle(s *lineage.ShuffleDependency, records reflect.Type, write func(tc *task.Context, partition int, to *outgoing) error) *lineage.ShuffleDependency {
	s.Records = records.String()
	return o.sc.lineage.AddShuffle(s, func(tc *task.Context, partition int, w task.BlockWriter) error {
		to := &outgoing{w: w, bufs: make([][]byte, s.Partitioner.Partitions()), ledger: ledger{memory: tc.Memory, slack: reserveStep}}
		if err := write(tc, partition, to); err != nil {
			return err
		}
		return to.flush()
	})
}

// shuffleByKey adds a shuffle that moves pairs to the partitions that their keys belong
// to. from yields the pairs of a partition of parent.
//
//go:noinline
func shuffleByKey[K comparable, V any](o op, parent *lineage.Node, p Partitioner, codec pairCodec[K, V], about lineage.ShuffleDependency,
	from computeFunc[Pair[K, V]],
) edge[Pair[K, V]] {
	place, err := placing(p, codec.key)
	o.fail(err)
	return shuffle(o, parent, p, codec, about, func(tc *task.Context, partition int, to *blocks[Pair[K, V]]) error {
		place := place()
		var failed error
		from(tc, partition)(func(kv Pair[K, V], err error) bool {
			if err != nil {
				failed = err
				return false
			}
			reduce, err := place(kv.Key)
			if err == nil {
				err = to.add(reduce, kv)
			}
			if err != nil {
				failed = o.error(err)
			}
			return failed == nil
		})
		return failed
	})
}

// maxBlock is about how large a block grows before it is handed on. It and the last record,
// if that has less than 16 KiB, fit in one piece of what is stored and sent:
// block.PieceSize, 256 KiB.
const maxBlock = 240 << 10

// blocks appends encoded records to one buffer for each partition of the reading side.
type blocks[T any] struct {
	codec encoding.Codec[T]
	out   *outgoing
}

// add adds a record to what a partition of the reading side will read.
func (b *blocks[T]) add(reduce int, v T) error {
	buf, err := b.codec.Append(b.out.bufs[reduce], v)
	if err != nil {
		return err
	}
	return b.out.filled(reduce, buf)
}

// outgoing is what a map task has encoded and not handed on.
type outgoing struct {
	w      task.BlockWriter
	bufs   [][]byte // by partition of the reading side
	ledger ledger   // of the memory that bufs take
}

// filled puts back the buffer of a partition, to which a record was appended.
func (b *outgoing) filled(reduce int, buf []byte) error {
	more := cap(buf) - cap(b.bufs[reduce])
	b.bufs[reduce] = buf
	if more > 0 && !b.ledger.charge(int64(more)) {
		return b.flush()
	}
	if len(buf) < maxBlock {
		return nil
	}
	b.bufs[reduce] = buf[:0] // there will be as many again
	if cap(buf) > 2*maxBlock {
		b.bufs[reduce] = nil // of a large record
		b.ledger.set(b.ledger.used - int64(cap(buf)))
	}
	return b.write(reduce, buf)
}

// flush hands on all that is there.
func (b *outgoing) flush() error {
	for reduce, buf := range b.bufs {
		b.bufs[reduce] = nil
		if len(buf) == 0 {
			continue
		}
		if err := b.write(reduce, buf); err != nil {
			return err
		}
	}
	b.ledger.set(0)
	return nil
}

func (b *outgoing) write(reduce int, buf []byte) error {
	if err := b.w.WriteBlock(reduce, buf); err != nil {
		return fmt.Errorf("writing a block of partition %d: %w", reduce, err)
	}
	return nil
}

// read yields the records of a partition of the reading side in the order of the map
// partitions that wrote them.
func (e edge[T]) read(tc *task.Context, reduce int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ends(yield, readBlocks(tc, e.dep.ID, reduce, func(block []byte) (uint64, bool, error) {
			return decodeAll(tc, e.codec, block, yield)
		}))
	}
}

// readBlocks hands the blocks of a partition of the reading side to decode.
func readBlocks(tc *task.Context, shuffle, reduce int, decode func(block []byte) (n uint64, more bool, err error)) error {
	for block, err := range tc.Shuffle.Blocks(tc, tc.Batch, shuffle, reduce) {
		if err != nil {
			return err
		}
		tc.Metrics.ShuffleRead += int64(len(block))
		switch _, more, err := decode(block); {
		case err != nil:
			return fmt.Errorf("%w: a block of shuffle %d for partition %d: %w", ErrEncoding, shuffle, reduce, err)
		case !more:
			return nil
		}
	}
	return nil
}

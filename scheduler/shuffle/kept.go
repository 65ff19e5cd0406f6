package shuffle

import (
	"bytes"
	"iter"
	"slices"

	"github.com/hibana-engine/hibana/scheduler/block"
)

// Which blocks are compressed in memory: those of so many bytes, since map tasks that write
// less are to be quick, and if that halves them, since it takes time. After one that it
// doesn't halve so many aren't tried.
const (
	leastPacked = 32 << 10
	untried     = 15
)

// kept is a block in memory, perhaps compressed, in the pieces that it is sent and written
// in.
type kept struct {
	n      int // length of the block
	plain  []byte
	packed []block.Frame // instead of plain
}

// keeper keeps the blocks of one writer.
type keeper struct {
	scratch []byte
	skip    int // large blocks that aren't tried
}

// keep returns a block in memory of its own.
func (k *keeper) keep(b []byte) kept {
	if len(b) >= leastPacked {
		if k.skip--; k.skip < 0 {
			if packed := k.pack(b); packed != nil {
				return kept{n: len(b), packed: packed}
			}
			k.skip = untried
		}
	}
	return kept{n: len(b), plain: bytes.Clone(b)}
}

// pack compresses a block. It returns nil if that isn't worth it.
func (k *keeper) pack(b []byte) (packed []block.Frame) {
	size := 0
	for piece := range slices.Chunk(b, block.PieceSize) {
		f := block.Pack(&k.scratch, piece)
		if size += len(f.Data); size > len(b)/2 {
			return nil
		}
		f.Data = bytes.Clone(f.Data)
		packed = append(packed, f)
	}
	return packed
}

// size returns how much memory it takes.
func (k kept) size() int64 {
	size := len(k.plain)
	for _, f := range k.packed {
		size += len(f.Data)
	}
	return int64(size)
}

// load returns the block, which isn't to be changed.
func (k kept) load() ([]byte, error) {
	switch len(k.packed) {
	case 0:
		return k.plain, nil
	case 1:
		return k.packed[0].Unpack(block.PieceSize)
	}
	all := make([]byte, 0, k.n)
	for _, f := range k.packed {
		b, err := f.Unpack(block.PieceSize)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	return all, nil
}

// pieces yields the block as it is sent, each piece until the next.
func (k kept) pieces(scratch *[]byte) iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		for i, f := range k.packed {
			if !yield(Piece{f, i+1 < len(k.packed)}) {
				return
			}
		}
		for b := k.plain; len(b) > 0; {
			piece := b[:min(len(b), block.PieceSize)]
			b = b[len(piece):]
			if !yield(Piece{block.Pack(scratch, piece), len(b) > 0}) {
				return
			}
		}
	}
}

// appendTo writes the block to a file.
func (k kept) appendTo(f *block.File) (place, error) {
	at := f.Size()
	err := f.AppendPieces(k.plain)
	for _, fr := range k.packed {
		if err == nil {
			err = f.Append(fr)
		}
	}
	return place{at, f.Size(), k.n}, err
}

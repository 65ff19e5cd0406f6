package replay

import (
	"fmt"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/wire"
)

// A piece begins with one of these.
const (
	more = 0 // the entry goes on in the next piece
	last = 1
)

// Pack encodes an entry for executor processes, in pieces of at most size bytes.
func Pack(e Entry, size int) ([][]byte, error) {
	b, err := wire.Encode(&e)
	if err != nil {
		return nil, fmt.Errorf("encoding step %d: %w", e.Step, err)
	}
	var pieces [][]byte
	for {
		n := min(len(b), size-1)
		mark := byte(more)
		if n == len(b) {
			mark = last
		}
		pieces = append(pieces, append([]byte{mark}, b[:n]...))
		if b = b[n:]; len(b) == 0 {
			return pieces, nil
		}
	}
}

// Unpacker puts the pieces of a driver's entries together again. The zero value is
// ready to use.
type Unpacker struct {
	known uint64 // pieces taken
	buf   []byte
}

// Add takes the piece with the given number; they count from 1 without gaps. One that
// was taken before does nothing: a driver that connects again tells all. It returns the
// entry that the piece completes, nil if it completes none.
func (u *Unpacker) Add(number uint64, piece []byte) (*Entry, error) {
	switch {
	case number <= u.known:
		return nil, nil
	case number != u.known+1:
		return nil, fmt.Errorf("%w: piece %d of the driver's record came after piece %d", wire.ErrMalformed, number, u.known)
	case len(piece) == 0:
		return nil, fmt.Errorf("%w: piece %d of the driver's record is empty", wire.ErrMalformed, number)
	}
	u.known++
	u.buf = append(u.buf, piece[1:]...)
	if piece[0] == more {
		return nil, nil
	}
	var e Entry
	err := wire.Decode(u.buf, &e)
	u.buf = nil
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the driver's record: %w", err)
	case e.Format != Format:
		return nil, fmt.Errorf("%w: the driver's record of format %d, this program knows %d", plan.ErrFormat, e.Format, Format)
	case (e.Begun == nil) == (e.Result == nil):
		return nil, fmt.Errorf("%w: an entry of the driver's record for step %d says nothing, or too much", wire.ErrMalformed, e.Step)
	}
	return &e, nil
}

// Package frame keeps bytes whole: the frames that blocks and checkpoints are stored and
// sent in say how long they are and have checksums, of their lengths too.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/s2"
)

// ErrCorrupt: what was read isn't what was written.
var ErrCorrupt = errors.New("a block is damaged")

// Frame is bytes as they are stored and sent.
type Frame struct {
	Data []byte
	Raw  int    // length before it was compressed; 0: it isn't compressed
	Sum  uint32 // CRC-32C of Data
}

// Bounds of compressing: less isn't worth it, and what shrinks by less than an
// eighth is kept as it is.
const (
	leastPacked  = 512
	leastSavings = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the checksum of stored bytes.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Pack makes a frame, compressed if that pays, in which case its bytes are in scratch,
// which grows as is needed. Else they are the given ones.
func Pack(scratch *[]byte, b []byte) Frame {
	f := Frame{Data: b}
	if len(b) >= leastPacked {
		*scratch = slices.Grow((*scratch)[:0], s2.MaxEncodedLen(len(b)))
		packed := s2.Encode((*scratch)[:cap(*scratch)], b)
		if len(packed) <= len(b)-len(b)/leastSavings {
			f = Frame{Data: packed, Raw: len(b)}
		}
	}
	f.Sum = Checksum(f.Data)
	return f
}

// Check makes sure that the frame's bytes are those that it was made of.
func (f Frame) Check() error {
	if Checksum(f.Data) != f.Sum {
		return fmt.Errorf("%w: the checksum of %d bytes doesn't match", ErrCorrupt, len(f.Data))
	}
	return nil
}

// Stored returns how much of a file the frame takes.
func (f Frame) Stored() int64 { return HeaderSize + int64(len(f.Data)) }

// Unpack checks a frame and returns the bytes that it was made of; if it isn't
// compressed they are its own. A frame that says that it is of more than most bytes is
// damaged.
func (f Frame) Unpack(most int) ([]byte, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	if f.Raw == 0 {
		if len(f.Data) > most {
			return nil, fmt.Errorf("%w: a frame has %d bytes, at most %d", ErrCorrupt, len(f.Data), most)
		}
		return f.Data, nil
	}
	n, err := s2.DecodedLen(f.Data)
	if err != nil || n != f.Raw || n > most {
		return nil, fmt.Errorf("%w: %d bytes don't unpack to %d, at most %d", ErrCorrupt, len(f.Data), f.Raw, most)
	}
	b, err := s2.Decode(make([]byte, n), f.Data) // it makes no more
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return b, nil
}

// HeaderSize is the length of a frame's header, which lies before its bytes in a file:
// the number of bytes stored, the number before compressing (0 for none), the bytes'
// checksum, and the checksum of these.
const HeaderSize = 16

// MaxRaw bounds the bytes that one frame in a file is made of.
const MaxRaw = 1 << 30

// AppendHeader appends the frame's header.
func (f Frame) AppendHeader(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(f.Raw))
	b = binary.LittleEndian.AppendUint32(b, f.Sum)
	return binary.LittleEndian.AppendUint32(b, Checksum(b[len(b)-12:]))
}

// ReadHeader returns the frame that a header announces, without its bytes, and their
// number, which is at most left.
func ReadHeader(h []byte, left int64) (f Frame, stored int, err error) {
	if binary.LittleEndian.Uint32(h[12:]) != Checksum(h[:12]) {
		return f, 0, fmt.Errorf("%w: the checksum of a frame's header doesn't match", ErrCorrupt)
	}
	stored = int(binary.LittleEndian.Uint32(h))
	f.Raw, f.Sum = int(binary.LittleEndian.Uint32(h[4:])), binary.LittleEndian.Uint32(h[8:])
	if int64(stored) > left || f.Raw > MaxRaw {
		return f, 0, fmt.Errorf("%w: a frame of %d bytes was cut off after %d", ErrCorrupt, stored, left)
	}
	return f, stored, nil
}

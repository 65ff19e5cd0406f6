package keyed

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// A file is the magic, the version of the format, and frames (see rdd/frame), each of them
// a byte that says what it is and its content: a header, blocks of entries and of removed
// keys, each in the order of their hashes, and a trailer, behind which there is nothing.
// Numbers are little-endian.
const (
	magic         = "hibkeyed"
	formatVersion = 1
	preamble      = len(magic) + 4

	frameHeader  = 'h'
	framePuts    = 'p'
	frameRemoved = 'r'
	frameTrailer = 't'
)

// blockSize is about how much is written in one frame.
const blockSize = 64 << 10

// mostPacked bounds what a frame that is compressed is made of: a frame that makes more of
// a few bytes was never written. Longer ones, of very long entries, aren't compressed.
const mostPacked = 4 * blockSize

// Header says what a file holds.
type Header struct {
	Table      string // whose state this is
	Partition  int
	Partitions int
	Key, Value string // the types' names

	// Base says that all entries are there; else those that were put after Since, and the
	// keys that were removed after it.
	Base  bool
	Since int64
	// Until is the time of the version that was written: a delta follows the file whose
	// Until is its Since.
	Until int64

	Entries  int
	Removals int
}

// Total returns how many entries and removals there are.
func (h *Header) Total() int { return h.Entries + h.Removals }

// String returns the header for people.
func (h Header) String() string {
	what := fmt.Sprintf("base of %d entries at %d", h.Entries, h.Until)
	if !h.Base {
		what = fmt.Sprintf("delta of %d entries and %d removals from %d to %d", h.Entries, h.Removals, h.Since, h.Until)
	}
	return fmt.Sprintf("%s of table %q, partition %d of %d, %s to %s", what, h.Table, h.Partition, h.Partitions, h.Key, h.Value)
}

// ofTable makes sure that the file is of the table and partition that another is of.
func (h *Header) ofTable(want *Header) error {
	if h.Table != want.Table || h.Partition != want.Partition || h.Partitions != want.Partitions {
		return fmt.Errorf("%w: the file is of table %q, partition %d of %d, not of table %q, partition %d of %d",
			ErrOtherTable, h.Table, h.Partition, h.Partitions, want.Table, want.Partition, want.Partitions)
	}
	return nil
}

// ofTypes makes sure that the file has keys and values of the codec's types.
func (c *Codec[K, V]) ofTypes(h *Header) error {
	if h.Key != c.KeyType || h.Value != c.ValueType {
		return fmt.Errorf("%w: table %q holds %s to %s, the program has %s to %s: start from no state, or name the types as before",
			ErrTypes, h.Table, h.Key, h.Value, c.KeyType, c.ValueType)
	}
	return nil
}

// appendPreamble appends what a file begins with.
func appendPreamble(dst []byte) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, magic...), formatVersion)
}

// checkPreamble makes sure that a file can be read.
func checkPreamble(b []byte) error {
	if string(b[:len(magic)]) != magic {
		return fmt.Errorf("%w: it begins with %q", ErrNotTable, b[:len(magic)])
	}
	if v := binary.LittleEndian.Uint32(b[len(magic):]); v != formatVersion {
		return fmt.Errorf("%w: the file has version %d, this program reads %d: use the version of the engine that wrote it", ErrVersion, v, formatVersion)
	}
	return nil
}

// encode appends the header.
func (h *Header) encode(dst []byte) ([]byte, error) {
	codec, err := encoding.For[Header]()
	if err != nil {
		return dst, err
	}
	return codec.Append(dst, *h)
}

// decodeHeader reads what encode wrote.
func decodeHeader(b []byte) (h Header, err error) {
	codec, err := encoding.For[Header]()
	if err != nil {
		return h, err
	}
	h, rest, err := codec.Decode(bytes.Clone(b)) // the names alias it
	if err = cmp.Or(err, leftOver(rest)); err != nil {
		return h, err
	}
	if h.Entries < 0 || h.Removals < 0 {
		return h, fmt.Errorf("%d entries and %d removals", h.Entries, h.Removals)
	}
	return h, nil
}

// leftOver says that bytes are behind what was decoded.
func leftOver(rest []byte) error {
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes are left", len(rest))
	}
	return nil
}

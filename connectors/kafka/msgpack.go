package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/rdd"
)

// MsgpackValue decodes the value as msgpack into a T: fields of structs by their names, or by
// those of tags msgpack:"name". Fields that T doesn't have are left out.
func MsgpackValue[T any](r *Record) (T, error) {
	var v T
	err := checkMsgpack(r.Value)
	if err == nil {
		err = msgpack.Unmarshal(r.Value, &v)
	}
	if err != nil {
		return v, rdd.Permanent(fmt.Errorf("decoding msgpack: %w", err)) // the bytes stay what they are
	}
	return v, nil
}

// maxNesting is how many arrays and maps may lie in one another, as with JSON.
const maxNesting = 10_000

// errCutShort is why bytes are no value of msgpack.
var errCutShort = errors.New("it is cut short")

// checkMsgpack reports bytes that aren't one whole value. The decoder makes room for as many
// elements as an array says it has, and calls itself for what lies in another: bytes from
// outside could take all memory by that.
func checkMsgpack(b []byte) error {
	var outer []uint64 // values that are still to come, of each array and map that the next value lies in
	for left := uint64(1); ; {
		size, within, err := msgpackHead(b)
		switch {
		case err != nil:
			return err
		case size > uint64(len(b)) || within > uint64(len(b))-size: // each takes a byte at least
			return errCutShort
		}
		b = b[size:]
		if left--; within > 0 {
			if len(outer) == maxNesting {
				return fmt.Errorf("more than %d arrays and maps lie in one another", maxNesting)
			}
			outer, left = append(outer, left), within
		}
		for left == 0 {
			if len(outer) == 0 {
				if len(b) > 0 {
					return fmt.Errorf("%d bytes follow the value", len(b))
				}
				return nil
			}
			outer, left = outer[:len(outer)-1], outer[len(outer)-1]
		}
	}
}

// msgpackHead returns how many bytes a value takes without the values within it, and how many
// these are.
func msgpackHead(b []byte) (size, within uint64, err error) {
	if len(b) == 0 {
		return 0, 0, errCutShort
	}
	switch c := b[0]; {
	case c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3: // small integers, nil, false and true
		return 1, 0, nil
	case c < 0x90: // small maps
		return 1, 2 * uint64(c&0xf), nil
	case c < 0xa0: // small arrays
		return 1, uint64(c & 0xf), nil
	case c < 0xc0: // small strings
		return 1 + uint64(c&0x1f), 0, nil
	case c == 0xc1:
		return 0, 0, errors.New("no value begins with byte c1")
	case c < 0xc7: // bytes
		size, n, err := msgpackCount(b, 1<<(c-0xc4))
		return size + n, 0, err
	case c < 0xca: // extensions, whose type is a byte
		size, n, err := msgpackCount(b, 1<<(c-0xc7))
		return size + 1 + n, 0, err
	case c < 0xcc: // floats
		return 1 + 4<<(c-0xca), 0, nil
	case c < 0xd4: // integers
		return 1 + 1<<(c&3), 0, nil
	case c < 0xd9: // extensions of 1 to 16 bytes
		return 2 + 1<<(c-0xd4), 0, nil
	case c < 0xdc: // strings
		size, n, err := msgpackCount(b, 1<<(c-0xd9))
		return size + n, 0, err
	case c < 0xde: // arrays
		return msgpackCount(b, 2<<(c-0xdc))
	default: // maps
		size, n, err := msgpackCount(b, 2<<(c-0xde))
		return size, 2 * n, err
	}
}

// msgpackCount returns the number behind a value's first byte, of 1, 2 or 4 bytes, and the bytes up to
// its end.
func msgpackCount(b []byte, width int) (size, n uint64, err error) {
	if len(b) <= width {
		return 0, 0, errCutShort
	}
	var wide [8]byte
	copy(wide[8-width:], b[1:1+width])
	return uint64(1 + width), binary.BigEndian.Uint64(wide[:]), nil
}

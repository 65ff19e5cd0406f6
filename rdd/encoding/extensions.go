package encoding

import (
	"encoding/binary"
	"math"
)

// Types of the msgpack extensions that the codecs write.
const (
	extPointers int8 = 1  // how many pointers lead to nothing
	extTime     int8 = 2  // an instant with its zone
	extInstant  int8 = -1 // the format's own timestamp, which has no zone: read only
)

const (
	codeExt8    = 0xc7
	codeExt32   = 0xc9
	codeFixExt1 = 0xd4
)

// appendExtHead appends the head of an extension of n bytes.
func appendExtHead(dst []byte, kind int8, n int) []byte {
	switch {
	case n == 1:
		dst = append(dst, codeFixExt1)
	case n <= math.MaxUint8:
		dst = append(dst, codeExt8, byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, codeExt32), uint32(n))
	}
	return append(dst, byte(kind))
}

// decodeExt reads an extension of the given type; ok is false if that isn't what
// src begins with, whole.
func decodeExt(src []byte, kind int8) (payload, rest []byte, ok bool) {
	head, n, ok := extHead(src)
	if !ok || int8(src[head-1]) != kind || len(src)-head < n {
		return nil, src, false
	}
	return src[head : head+n : head+n], src[head+n:], true
}

// extHead returns the lengths of an extension's head and payload.
func extHead(src []byte) (head, n int, ok bool) {
	if len(src) == 0 {
		return 0, 0, false
	}
	switch c := src[0]; {
	case c >= codeFixExt1 && c <= codeFixExt1+4: // 1, 2, 4, 8 or 16 bytes
		head, n = 2, 1<<(c-codeFixExt1)
	case c >= codeExt8 && c <= codeExt32:
		width := 1 << (c - codeExt8)
		head = 2 + width
		for i := 1; i <= width && i < len(src); i++ {
			n = n<<8 | int(src[i])
		}
	}
	return head, n, head > 0 && len(src) >= head
}

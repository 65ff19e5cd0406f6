package dirlog

import (
	"encoding/binary"
	"hash/crc32"
)

// maxFrame bounds the payload of one frame, in bytes.
const maxFrame = 64 << 20

// A frame is a head, the payload and a byte that isn't 0. The head is the
// payload's length, the payload's CRC-32C and the CRC-32C of these two, all
// big-endian, four bytes each: a length that is damaged must not be taken for
// that of an entry which a crash cut off.
const (
	frameHead = 12
	frameEnd  = 0xed
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// appendFrame appends the frame of a payload.
func appendFrame(dst, payload []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint32(dst, checksum(payload))
	dst = binary.BigEndian.AppendUint32(dst, checksum(dst[at:]))
	dst = append(dst, payload...)
	return append(dst, frameEnd)
}

// frameError says what is wrong with a frame.
type frameError string

func (e frameError) Error() string { return string(e) }

const (
	errFrameHead    = frameError("its length is damaged")
	errFramePayload = frameError("it has a wrong checksum")
)

// nextFrame returns the payload of the frame that b begins with, and the frame's
// size. It is 0 if the frame was never whole, so that nothing is behind it: the
// file ends within it, or its end is zeros, as are those of a file that had grown
// when the power failed before its data was written.
func nextFrame(b []byte) (payload []byte, size int, err error) {
	if len(b) < frameHead || allZero(b) {
		return nil, 0, nil
	}
	n, sum := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	body := b[frameHead:]
	if checksum(b[:8]) != binary.BigEndian.Uint32(b[8:]) || n > maxFrame {
		if allZero(body) && b[frameHead-1] == 0 {
			return nil, 0, nil
		}
		return nil, 0, errFrameHead
	}
	if n >= len(body) {
		return nil, 0, nil
	}
	payload, end, behind := body[:n], body[n], body[n+1:]
	switch {
	case end == frameEnd && checksum(payload) == sum:
		return payload, frameHead + n + 1, nil
	case end == 0 && allZero(behind):
		return nil, 0, nil
	}
	return nil, 0, errFramePayload
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

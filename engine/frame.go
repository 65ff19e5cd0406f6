package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// logMagic begins every segment and names the format of its frames.
const logMagic = "hibana batch log 1\n"

// maxFrame bounds the payload of one frame, in bytes.
const maxFrame = 64 << 20

// frameHead is the length of a frame's head: payload length and CRC-32C, both
// big-endian, four bytes each.
const frameHead = 8

// appendFrame appends a payload with its head.
func appendFrame(dst, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)))
	return append(dst, payload...)
}

// readFrames hands the payloads of a segment to apply and returns the length of
// its whole frames. A broken frame with nothing but zeros behind it is what a crash
// leaves, or a loss of power before all of a grown file's data was written: the
// last one, cut off or partly zero. It is no error; damage elsewhere is.
func readFrames(b []byte, apply func(payload []byte) error) (whole int64, err error) {
	if len(b) < len(logMagic) || string(b[:len(logMagic)]) != logMagic {
		return 0, fmt.Errorf("%w: it doesn't begin with %q", ErrCorruptLog, logMagic)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	at := len(logMagic)
	for len(b)-at >= frameHead {
		n := int(binary.BigEndian.Uint32(b[at:]))
		sum := binary.BigEndian.Uint32(b[at+4:])
		body := b[at+frameHead:]
		if n > len(body) && n <= maxFrame || allZero(b[at:]) {
			break // torn
		}
		if n > maxFrame || crc32.Checksum(body[:n], table) != sum {
			if n <= maxFrame && allZero(body[n:]) {
				break // torn: the length was written, not all of the payload
			}
			return int64(at), fmt.Errorf("%w: entry at offset %d has a wrong checksum; restore the file from a copy, or move the directory away to start anew", ErrCorruptLog, at)
		}
		if err := apply(body[:n]); err != nil {
			return int64(at), fmt.Errorf("entry at offset %d: %w", at, err)
		}
		at += frameHead + n
	}
	return int64(at), nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

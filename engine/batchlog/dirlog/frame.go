package dirlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/hibana-engine/hibana/engine/batchlog"
)

// A segment begins with a line that names the format of its frames.
const (
	logFormat   = "hibana batch log "
	logMagic    = logFormat + "2\n"
	logMagicOld = logFormat + "1\n"
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

// readFrames hands the payloads of a segment to apply, those of the first format
// to applyOld, and returns the length of its whole frames. What is behind them is
// what a crash left of the last one.
func readFrames(b []byte, apply, applyOld func(payload []byte) error) (whole int64, err error) {
	next, magic := nextFrame, logMagic
	if strings.HasPrefix(string(b[:min(len(b), len(logMagicOld))]), logMagicOld) {
		next, magic, apply = nextFrameOld, logMagicOld, applyOld
	}
	line := string(b[:min(len(b), len(magic))])
	switch {
	case line == magic:
	case strings.HasPrefix(line, logFormat) && len(line) == len(magic):
		return 0, fmt.Errorf("%w: it begins with %q, this program knows %q: start the newer version of the program", batchlog.ErrFormat, line, magic)
	default:
		return 0, fmt.Errorf("%w: it doesn't begin with %q", batchlog.ErrCorrupt, magic)
	}
	at := len(magic)
	for at < len(b) {
		payload, size, err := next(b[at:])
		if err != nil {
			return int64(at), fmt.Errorf("%w: entry at offset %d: %w; the file is left as it is: restore it from a copy, or move the directory away to start anew", batchlog.ErrCorrupt, at, err)
		}
		if size == 0 {
			break
		}
		if err := apply(payload); err != nil {
			return int64(at), fmt.Errorf("entry at offset %d: %w", at, err)
		}
		at += size
	}
	return int64(at), nil
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

package dirlog

import "encoding/binary"

// frameHeadOld is the length of a frame's head in the first format: payload length
// and CRC-32C. Segments of it are read, not written.
const frameHeadOld = 8

// nextFrameOld is nextFrame for the first format, whose length has no checksum.
func nextFrameOld(b []byte) (payload []byte, size int, err error) {
	if len(b) < frameHeadOld || allZero(b) {
		return nil, 0, nil
	}
	n, sum := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	body := b[frameHeadOld:]
	switch {
	case n <= len(body) && checksum(body[:n]) == sum:
		return body[:n], frameHeadOld + n, nil
	case n > maxFrame || frameBehind(body):
		return nil, 0, errFrameHead
	case n <= len(body) && !allZero(body[n:]):
		return nil, 0, errFramePayload
	}
	return nil, 0, nil
}

// frameBehind reports whether there is a whole frame of the first format in b,
// anywhere: then the one before it isn't the last.
func frameBehind(b []byte) bool {
	for ; len(b) > frameHeadOld; b = b[1:] {
		n, sum := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
		if body := b[frameHeadOld:]; n > 0 && n <= len(body) && checksum(body[:n]) == sum {
			return true
		}
	}
	return false
}

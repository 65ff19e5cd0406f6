package block

import "github.com/hibana-engine/hibana/rdd/frame"

// PieceSize bounds the frames that a block of encoded bytes is cut into, before they
// are compressed.
const PieceSize = 256 << 10

// maxFrame bounds the bytes that one frame in a file is made of.
const maxFrame = frame.MaxRaw

// Frame is bytes as they are stored and sent.
type Frame = frame.Frame

// Checksum returns the checksum of stored bytes.
func Checksum(b []byte) uint32 { return frame.Checksum(b) }

// Pack makes a frame, see [frame.Pack].
func Pack(scratch *[]byte, b []byte) Frame { return frame.Pack(scratch, b) }

package wire

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/grpc/mem"
)

// Format is the version of the messages' encoding; it is their first byte.
const Format = 1

// Limits of what is sent, in bytes.
const (
	// MaxMessage bounds one encoded message.
	MaxMessage = 16 << 20
	// MaxPayload bounds the opaque bytes in one message: an allocation, a
	// recorded value, a chunk of a result.
	MaxPayload = 8 << 20
	// ChunkSize is how much of a binary, a block or a log goes into one message.
	ChunkSize = 256 << 10
)

// Codec is gRPC's codec: a byte of format version, then msgpack.
type Codec struct{}

// Name returns the codec's name in gRPC's content type.
func (Codec) Name() string { return "hibana" }

// Marshal encodes a message.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	b, err := Encode(v)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal decodes a message. It keeps nothing of data.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	return Decode(buf.ReadOnlyData(), v)
}

// Encode returns a message as it is sent and as Raft's log holds it.
func Encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte(Format)
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(&buf)
	enc.UseCompactInts(true)
	enc.SetOmitEmpty(true)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	return buf.Bytes(), nil
}

// Decode reads what Encode wrote into v, a pointer to a struct. What it keeps
// doesn't alias b. Bytes of another version are an error that wraps [ErrFormat],
// bytes that are no message one that wraps [ErrMalformed].
func Decode(b []byte, v any) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: %T: it is empty", ErrMalformed, v)
	}
	if b[0] != Format {
		return fmt.Errorf("%w: %T of format %d, this version knows %d", ErrFormat, v, b[0], Format)
	}
	if err := check(b[1:]); err != nil {
		return fmt.Errorf("%w: %T: %w", ErrMalformed, v, err)
	}
	r := bytes.NewReader(b[1:])
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(r)
	dec.DisallowUnknownFields(true)
	dec.DisableAllocLimit(true) // check has bounded what is allocated
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %T: %w", ErrMalformed, v, err)
	}
	return nil
}

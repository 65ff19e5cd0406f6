package encoding

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// reflected is the codec of any other type, by vmihailenco/msgpack.
type reflected[T any] struct{}

func (reflected[T]) Append(dst []byte, v T) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(buf)
	if err := enc.Encode(&v); err != nil { // by pointer, for methods that need one
		return dst, fmt.Errorf("encoding %T: %w", v, err)
	}
	return buf.Bytes(), nil
}

func (reflected[T]) Decode(src []byte) (v T, rest []byte, err error) {
	r := bytes.NewReader(src)
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(r)
	if err := dec.Decode(&v); err != nil {
		return v, src, fmt.Errorf("%w: decoding %T: %w", ErrCorrupt, v, err)
	}
	return v, src[len(src)-r.Len():], nil
}

package variables

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// reader reads data, until an error.
type reader struct {
	data []byte
	err  error
}

// array reads the head of an array of n elements.
func (r *reader) array(n int) {
	var got int
	if got, r.data, r.err = encoding.DecodeArrayLen(r.data); r.err == nil && got != n {
		r.err = fmt.Errorf("%w: %d elements, not %d", encoding.ErrCorrupt, got, n)
	}
}

func (r *reader) time() int64    { return read(r, encoding.DecodeInt) }
func (r *reader) number() uint64 { return read(r, encoding.DecodeUint) }
func (r *reader) bytes() []byte  { return read(r, encoding.DecodeBytes) }

// read reads one value.
func read[T any](r *reader, decode func([]byte) (T, []byte, error)) (v T) {
	if r.err == nil {
		v, r.data, r.err = decode(r.data)
	}
	return v
}

package keyed

import (
	"bytes"
	"math/bits"
	"sync"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Keys says how a table tells keys apart. Its functions are called by several goroutines
// at a time, and return the same in every process.
type Keys[K comparable] struct {
	// Hash returns the hash of a key. All of its bits count, but they needn't be spread
	// well: the table mixes them.
	Hash func(K) uint64
	// Compare orders keys of equal hashes that aren't equal (==). It returns 0 if they are
	// one key nevertheless, as those that hold a NaN may be.
	Compare func(a, b K) int
}

// KeysOf returns the Keys of a type by its encoding, which comes from
// [encoding.ForKey]. What can't be encoded has the hash of nothing: who encodes the
// entry for a checkpoint meets the error.
func KeysOf[K comparable](codec encoding.Codec[K]) Keys[K] {
	h := encodedKeys[K]{codec: codec, buffers: &sync.Pool{New: func() any { return new([]byte) }}}
	return Keys[K]{Hash: h.hasher(), Compare: h.compare}
}

// encodedKeys hashes and compares keys by their encodings.
type encodedKeys[K comparable] struct {
	codec   encoding.Codec[K]
	buffers *sync.Pool // of *[]byte
}

// hasher returns the function that hashes keys. That of the common types needs no memory.
func (e encodedKeys[K]) hasher() func(K) uint64 {
	var hash any
	switch any((*K)(nil)).(type) {
	case *string:
		hash = hashString
	case *int:
		hash = hashInt[int]
	case *int32:
		hash = hashInt[int32]
	case *int64:
		hash = hashInt[int64]
	case *uint32:
		hash = hashUint[uint32]
	case *uint64:
		hash = hashUint[uint64]
	}
	if hash, ok := hash.(func(K) uint64); ok {
		return hash
	}
	return e.hash
}

func (e encodedKeys[K]) hash(k K) uint64 {
	buf := e.buffers.Get().(*[]byte)
	defer e.buffers.Put(buf)
	b, err := e.codec.Append((*buf)[:0], k)
	if err != nil {
		return 0
	}
	*buf = b
	return hashOf(b)
}

func (e encodedKeys[K]) compare(a, b K) int {
	x, _ := e.codec.Append(nil, a)
	y, _ := e.codec.Append(nil, b)
	return bytes.Compare(x, y)
}

func hashString(s string) uint64 { return hashOf(s) }

func hashInt[T int | int32 | int64](v T) uint64 { return uint64(v) }

func hashUint[T uint32 | uint64](v T) uint64 { return uint64(v) }

// hashOf returns the hash of bytes. Unlike FNV, by which partitioners hash, it takes eight
// of them at a time.
func hashOf[B string | []byte](b B) uint64 {
	h, i := uint64(len(b)), 0
	for ; i+8 <= len(b); i += 8 {
		h = fold(h ^ (uint64(b[i]) | uint64(b[i+1])<<8 | uint64(b[i+2])<<16 | uint64(b[i+3])<<24 |
			uint64(b[i+4])<<32 | uint64(b[i+5])<<40 | uint64(b[i+6])<<48 | uint64(b[i+7])<<56))
	}
	rest := uint64(0)
	for ; i < len(b); i++ {
		rest = rest<<8 | uint64(b[i])
	}
	return fold(h ^ rest)
}

// fold multiplies and keeps what both halves of the product say.
func fold(h uint64) uint64 {
	high, low := bits.Mul64(h^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	return high ^ low
}

// hash returns the hash by which a table keeps a key: mixed, so that its leading bits are
// spread although all keys of a partition agree in what the partitioner looks at. No two
// hashes become one.
func (k *Keys[K]) hash(key K) uint64 {
	h := k.Hash(key)
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return h ^ h>>32
}

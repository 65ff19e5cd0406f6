package ranges

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression codecs, the low three bits of a batch's attributes.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLz4
	codecZstd
)

var errTooLarge = errors.New("larger than the limit when decompressed")

// decompressor undoes Kafka's codecs, never to more than limit bytes: what a
// batch decompresses to is decided by whoever produced it. Its results are
// fresh, as records alias them. It is safe for concurrent use.
type decompressor struct {
	limit           int
	gzip, lz4, zstd sync.Pool
}

func newDecompressor(limit int) *decompressor { return &decompressor{limit: limit} }

func (d *decompressor) decompress(src []byte, codec int) ([]byte, error) {
	switch codec {
	case codecNone:
		return src, nil
	case codecGzip:
		r, _ := d.gzip.Get().(*gzip.Reader)
		if r == nil {
			r = new(gzip.Reader)
		}
		defer d.gzip.Put(r)
		if err := r.Reset(bytes.NewReader(src)); err != nil {
			return nil, err
		}
		return d.readAll(r, len(src))
	case codecSnappy:
		return d.snappy(src)
	case codecLz4:
		r, _ := d.lz4.Get().(*lz4.Reader)
		if r == nil {
			r = lz4.NewReader(nil)
		}
		defer d.lz4.Put(r)
		r.Reset(bytes.NewReader(src))
		return d.readAll(r, len(src))
	case codecZstd:
		z, err := d.zstdDecoder()
		if err != nil {
			return nil, err
		}
		defer d.zstd.Put(z)
		out, err := z.DecodeAll(src, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			err = errTooLarge
		}
		return out, err
	default:
		return nil, fmt.Errorf("compression codec %d is unknown", codec)
	}
}

// zstdDecoder takes a decoder from the pool. A decoder that the pool drops frees
// its workers by the cleanup; with a concurrency of one it starts none.
func (d *decompressor) zstdDecoder() (*zstd.Decoder, error) {
	if z, _ := d.zstd.Get().(*zstd.Decoder); z != nil {
		return z, nil
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(d.limit)))
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(z, (*zstd.Decoder).Close)
	return z, nil
}

// readAll reads r to its end, guessing the size from the compressed one.
func (d *decompressor) readAll(r io.Reader, compressed int) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, min(d.limit, 4*compressed+bytes.MinRead)))
	n, err := out.ReadFrom(io.LimitReader(r, int64(d.limit)+1))
	if err == nil && n > int64(d.limit) {
		err = errTooLarge
	}
	return out.Bytes(), err
}

// xerialMagic begins the framing that Java's snappy streams have: 16 bytes of
// header, then blocks of a big-endian length and raw snappy.
const xerialMagic = "\x82SNAPPY\x00"

func (d *decompressor) snappy(src []byte) ([]byte, error) {
	if len(src) < 16 || string(src[:8]) != xerialMagic {
		return d.snappyBlock(nil, src)
	}
	var out []byte
	for src = src[16:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(src)
		if src = src[4:]; uint64(n) > uint64(len(src)) {
			return nil, io.ErrUnexpectedEOF
		}
		var err error
		if out, err = d.snappyBlock(out, src[:n]); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return out, nil
}

// snappyBlock appends a raw block's content to out.
func (d *decompressor) snappyBlock(out, src []byte) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > d.limit-len(out) {
		return nil, errTooLarge
	}
	if len(out) == 0 {
		return s2.Decode(nil, src)
	}
	block, err := s2.Decode(nil, src)
	return append(out, block...), err
}

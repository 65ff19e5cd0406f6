package ranges

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkDecompress is one batch of 16 KiB of words in each codec.
func BenchmarkDecompress(b *testing.B) {
	words := bytes.Repeat([]byte("w1 w17 w3 w240 w1 w9 w2 w66 w1 w5 "), 480)
	for _, c := range []struct {
		name  string
		codec kgo.CompressionCodec
	}{{"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()}, {"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()}} {
		src, kind := compressed(b, c.codec, words)
		b.Run(c.name, func(b *testing.B) {
			d := newDecompressor(1 << 20)
			b.ReportAllocs()
			b.SetBytes(int64(len(words)))
			for b.Loop() {
				if out, err := d.decompress(src, kind); err != nil || len(out) != len(words) {
					b.Fatal(len(out), err)
				}
			}
		})
	}
}

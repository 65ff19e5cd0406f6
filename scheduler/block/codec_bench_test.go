package block

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// samples are pieces as shuffles write them.
func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	out := make(map[string][]byte)
	var words, ints, records, lines []byte
	for len(words) < PieceSize {
		words = encoding.AppendString(words, fmt.Sprintf("word-%x", rng.IntN(50_000)))
		words = append(words, byte(1+rng.IntN(100)))
	}
	for len(ints) < PieceSize {
		v := rng.Int64N(1 << 40)
		ints = append(ints, 0xd3, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	for len(records) < PieceSize { // 10 random bytes of key, 90 of text
		for range 10 {
			records = append(records, byte(rng.Uint32()))
		}
		records = fmt.Appendf(records, "%032d%058d", len(records), rng.IntN(1000))
	}
	for len(lines) < PieceSize {
		lines = fmt.Appendf(lines, `{"camera":"camera-%d","at":%d,"digit":%d,"score":%.4f}`, rng.IntN(8), 1700000000000+len(lines), rng.IntN(10), rng.Float64())
	}
	out["words"], out["ints"], out["records"], out["json"] = words[:PieceSize], ints[:PieceSize], records[:PieceSize], lines[:PieceSize]
	return out
}

// BenchmarkCodecs is what the choice of s2 rests on.
func BenchmarkCodecs(b *testing.B) {
	fast, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	unzstd, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	var lz lz4.Compressor
	codecs := []struct {
		name   string
		encode func(dst, src []byte) []byte
		decode func(dst, src []byte) []byte
	}{
		{"none", func(dst, src []byte) []byte { return append(dst[:0], src...) }, func(dst, src []byte) []byte { return append(dst[:0], src...) }},
		{"s2", s2.Encode, func(dst, src []byte) []byte { d, _ := s2.Decode(dst, src); return d }},
		{"s2-better", s2.EncodeBetter, func(dst, src []byte) []byte { d, _ := s2.Decode(dst, src); return d }},
		{"lz4", func(dst, src []byte) []byte { n, _ := lz.CompressBlock(src, dst); return dst[:n] },
			func(dst, src []byte) []byte { n, _ := lz4.UncompressBlock(src, dst); return dst[:n] }},
		{"zstd-fastest", func(dst, src []byte) []byte { return fast.EncodeAll(src, dst[:0]) },
			func(dst, src []byte) []byte { d, _ := unzstd.DecodeAll(src, dst[:0]); return d }},
	}
	for name, piece := range samples() {
		for _, c := range codecs {
			out := make([]byte, s2.MaxEncodedLen(len(piece))+1024)
			back := make([]byte, len(piece))
			var packed []byte
			b.Run(name+"/"+c.name+"/encode", func(b *testing.B) {
				b.SetBytes(int64(len(piece)))
				for b.Loop() {
					packed = c.encode(out, piece)
				}
				b.ReportMetric(float64(len(packed))/float64(len(piece)), "ratio")
			})
			packed = append([]byte(nil), c.encode(out, piece)...)
			if len(packed) == 0 {
				continue // lz4 says that it doesn't pay
			}
			b.Run(name+"/"+c.name+"/decode", func(b *testing.B) {
				b.SetBytes(int64(len(piece)))
				for b.Loop() {
					back = c.decode(back, packed)
				}
			})
		}
	}
}

package kernel

import (
	"fmt"
	"testing"
)

// perElement reports nanoseconds per element of a benchmark whose iteration makes n.
func perElement(b *testing.B, n int, run func()) {
	run()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		run()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
}

func BenchmarkCells(b *testing.B) {
	for _, s := range [][2]int{{32, 128}, {32, 650}, {1, 650}} {
		n, units := s[0], s[1]
		size, r := n*units, benchRandom()
		a, hg, prev, g := normal(r, 4*size), normal(r, 3*size), normal(r, size), normal(r, size)
		c, h, gates, ga, gb := make([]float32, size), make([]float32, size), make([]float32, 4*size), make([]float32, 4*size), make([]float32, 3*size)
		LSTM(c, h, gates, a, prev, n, units)
		for _, f := range []struct {
			name string
			run  func()
		}{
			{"lstm", func() { LSTM(c, h, nil, a, prev, n, units) }},
			{"lstm-train", func() { LSTM(c, h, gates, a, prev, n, units) }},
			{"lstm-grad", func() { LSTMGrad(ga, h, gates, prev, c, g, g, n, units) }},
			{"gru", func() { GRU(h, nil, a, hg, prev, n, units) }},
			{"gru-train", func() { GRU(h, gates, a, hg, prev, n, units) }},
			{"gru-grad", func() { GRUGrad(ga, gb, h, gates, hg, prev, g, n, units) }},
		} {
			b.Run(fmt.Sprintf("%s/%dx%d", f.name, n, units), func(b *testing.B) { perElement(b, size, f.run) })
		}
	}
}

func BenchmarkPool(b *testing.B) {
	square := func(n, c, hw, k, stride, pad int) PoolShape {
		return PoolShape{N: n, C: c, H: hw, W: hw, KH: k, KW: k, StrideH: stride, StrideW: stride, PadH: pad, PadW: pad}
	}
	for _, c := range []struct {
		name string
		s    PoolShape
	}{
		{"mnist1-2x2s2", square(10, 32, 24, 2, 2, 0)},
		{"mnist2-2x2s2", square(10, 64, 8, 2, 2, 0)},
		{"vgg-2x2s2", square(1, 64, 112, 2, 2, 0)},
		{"resnet-3x3s2", square(1, 64, 112, 3, 2, 1)},
		{"same-3x3s1", square(1, 64, 28, 3, 1, 1)},
		{"global-7x7", square(4, 512, 7, 7, 1, 0)},
	} {
		s := c.s
		x := normal(benchRandom(), s.N*s.C*s.H*s.W)
		n := s.N * s.C * s.OutH() * s.OutW()
		y, index := make([]float32, n), make([]int32, n)
		gx, gy := make([]float32, len(x)), normal(benchRandom(), n)
		MaxPool(s, x, y, index)
		for _, f := range []struct {
			name string
			run  func()
		}{
			{"max", func() { MaxPool(s, x, y, index) }},
			{"max-nhwc", func() { MaxPoolNHWC(s, x, s.C, y, s.C) }},
			{"average", func() { AvgPool(s, x, y) }},
			{"average-nhwc", func() { AvgPoolNHWC(s, x, s.C, y, s.C) }},
			{"max-grad", func() { MaxPoolGrad(s, gy, index, gx) }},
			{"average-grad", func() { AvgPoolGrad(s, gy, gx) }},
		} {
			b.Run(f.name+"/"+c.name, func(b *testing.B) { perElement(b, n, f.run) })
		}
	}
}

func BenchmarkNorm(b *testing.B) {
	for _, s := range [][3]int{{8, 64, 56 * 56}, {8, 256, 14 * 14}, {32, 512, 7 * 7}, {100, 1000, 1}} {
		n, c, inner := s[0], s[1], s[2]
		size, r := n*c*inner, benchRandom()
		x, gy, y, gamma := normal(r, size), normal(r, size), make([]float32, size), normal(r, c)
		mean, variance, invStd := make([]float32, c), make([]float32, c), make([]float32, c)
		for _, f := range []struct {
			name string
			run  func()
		}{
			{"train", func() { BatchNormTrain(y, x, gamma, gamma, mean, variance, invStd, n, c, inner, testEps) }},
			{"grad", func() { BatchNormGrad(y, mean, variance, x, gy, gamma, gamma, gamma, n, c, inner) }},
			{"infer", func() { BatchNormInfer(y, x, gamma, gamma, mean, invStd, n, c, inner, testEps) }},
			{"sum", func() { SumChannels(mean, x, n, c, inner) }},
		} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", f.name, n, c, inner), func(b *testing.B) { perElement(b, size, f.run) })
		}
	}
}

func BenchmarkEmbedding(b *testing.B) {
	for _, dim := range []int{20, 100, 650} {
		const rows, n = 10000, 2000
		r := benchRandom()
		table, y, ids := make([]float32, rows*dim), normal(r, n*dim), make([]int32, n)
		for i := range ids {
			ids[i] = int32(r.IntN(rows))
		}
		b.Run(fmt.Sprintf("gather/%d", dim), func(b *testing.B) {
			perElement(b, n*dim, func() { _ = Gather(y, table, rows, dim, ids, -1) })
		})
		b.Run(fmt.Sprintf("scatter/%d", dim), func(b *testing.B) {
			perElement(b, n*dim, func() { _ = ScatterAdd(table, y, rows, dim, ids, -1) })
		})
	}
}

package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// flops reports the rate of a benchmark whose iteration does n operations.
func flops(b *testing.B, n float64) {
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
}

func benchRandom() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

func BenchmarkPeak(b *testing.B) {
	for _, l := range levels() {
		b.Run(l.String(), func(b *testing.B) {
			var f float64
			for range b.N {
				f, _ = peak(b.Context(), l, 20*time.Millisecond)
			}
			b.ReportMetric(f/1e9, "GFLOPS")
		})
	}
}

func BenchmarkGemm(b *testing.B) {
	for _, g := range []struct {
		name    string
		ta, tb  bool
		m, n, k int
	}{
		{"mlp-y=xW'", false, true, 100, 1000, 784},
		{"mlp-dx=dyW", false, false, 100, 1000, 1000},
		{"mlp-dW=dy'x", true, false, 1000, 784, 100},
		{"mlp-dW2=dy'x", true, false, 1000, 1000, 100},
		{"cnn-conv1", false, false, 32, 576, 25},
		{"cnn-conv2", false, false, 64, 64, 800},
		{"cnn-conv2-dcol", true, false, 800, 64, 64},
		{"cnn-conv2-dW", false, true, 64, 800, 64},
		{"cnn-fc-y=xW'", false, true, 100, 512, 1024},
		{"cnn-fc-dW", true, false, 512, 1024, 100},
		{"square", false, false, 1024, 1024, 1024},
	} {
		b.Run(g.name, func(b *testing.B) {
			r := benchRandom()
			x, w, c := normal(r, g.m*g.k), normal(r, g.k*g.n), make([]float32, g.m*g.n)
			lda, ldb := g.k, g.n
			if g.ta {
				lda = g.m
			}
			if g.tb {
				ldb = g.k
			}
			b.ResetTimer()
			for range b.N {
				Gemm(g.ta, g.tb, g.m, g.n, g.k, 1, x, lda, w, ldb, 0, c, g.n)
			}
			flops(b, 2*float64(g.m)*float64(g.n)*float64(g.k))
		})
	}
}

func BenchmarkPackedMul(b *testing.B) {
	for _, s := range [][2]int{{784, 1000}, {1000, 1000}, {1024, 512}, {512, 10}} {
		for _, m := range []int{1, 8, 32, 256} {
			b.Run(fmt.Sprintf("%dx%d/batch=%d", s[0], s[1], m), func(b *testing.B) {
				r := benchRandom()
				p, bias := PackB(normal(r, s[0]*s[1]), s[0], s[1], false), normal(r, s[1])
				x, y := normal(r, m*s[0]), make([]float32, m*s[1])
				b.ResetTimer()
				for range b.N {
					p.Mul(m, x, s[0], bias, ReLUActivation, y, s[1])
				}
				flops(b, 2*float64(m)*float64(s[0])*float64(s[1]))
			})
		}
	}
}

// convCase is a layer of a known network.
type convCase struct {
	name string
	s    ConvShape
	pool *PoolShape
}

func convCases() []convCase {
	half := &PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	conv := func(c, hw, oc, k, stride, pad int) ConvShape {
		return ConvShape{C: c, H: hw, W: hw, OC: oc, KH: k, KW: k, StrideH: stride, StrideW: stride, PadH: pad, PadW: pad}
	}
	depthwise := func(c, hw, k, stride int) ConvShape {
		s := conv(c, hw, c, k, stride, k/2)
		s.Groups = c
		return s
	}
	return []convCase{
		{"mnist1", conv(1, 28, 32, 5, 1, 0), half},
		{"mnist2", conv(32, 12, 64, 5, 1, 0), half},
		{"resnet-stem", conv(3, 224, 64, 7, 2, 3), nil},
		{"resnet-56", conv(64, 56, 64, 3, 1, 1), nil},
		{"resnet-28", conv(128, 28, 128, 3, 1, 1), nil},
		{"resnet-14", conv(256, 14, 256, 3, 1, 1), nil},
		{"resnet-7", conv(512, 7, 512, 3, 1, 1), nil},
		{"resnet-1x1", conv(64, 56, 128, 1, 2, 0), nil},
		{"depthwise-112", depthwise(32, 112, 3, 1), nil},
		{"depthwise-112s2", depthwise(96, 112, 3, 2), nil},
		{"depthwise-56", depthwise(144, 56, 3, 1), nil},
		{"depthwise-14", depthwise(384, 14, 3, 1), nil},
		{"depthwise-14x5", depthwise(240, 14, 5, 1), nil},
		{"depthwise-7", depthwise(960, 7, 3, 1), nil},
		{"mobile-expand", conv(16, 112, 96, 1, 1, 0), nil},
		{"mobile-project", conv(144, 56, 24, 1, 1, 0), nil},
	}
}

func BenchmarkPackedConv(b *testing.B) {
	for _, c := range convCases() {
		b.Run(c.name, func(b *testing.B) {
			r := benchRandom()
			pl := planConv(c.s)
			p, err := PackConv(c.s, normal(r, c.s.OC*pl.k), normal(r, c.s.OC), ReLUActivation, c.pool)
			if err != nil {
				b.Fatal(err)
			}
			h, w, oc := p.Out()
			x, y := normal(r, c.s.C*c.s.H*c.s.W), make([]float32, h*w*oc)
			b.ResetTimer()
			for range b.N {
				p.Run(1, x, y)
			}
			flops(b, 2*float64(pl.k)*float64(pl.OC)*float64(pl.out))
		})
	}
}

func BenchmarkConv2DTrain(b *testing.B) {
	for _, c := range convCases()[:2] {
		s := c.s
		s.N = 100
		pl := planConv(s)
		r := benchRandom()
		x, w := normal(r, s.N*s.C*s.H*s.W), normal(r, s.OC*pl.k)
		gy, gx, gw := normal(r, s.N*s.OC*pl.out), make([]float32, len(x)), make([]float32, len(w))
		for _, f := range []struct {
			name string
			run  func()
		}{
			{"forward", func() { Conv2D(s, x, w, nil, gy) }},
			{"input", func() { Conv2DGradInput(s, gy, w, gx) }},
			{"filter", func() { Conv2DGradFilter(s, x, gy, gw) }},
		} {
			b.Run(c.name+"/"+f.name, func(b *testing.B) {
				for range b.N {
					f.run()
				}
				flops(b, 2*float64(pl.k)*float64(s.OC)*float64(pl.out)*float64(s.N))
			})
		}
	}
}

// mnistNet is a network of the numbers, composed of packed layers.
type mnistNet struct {
	convs []*PackedConv
	fc    []*PackedB
	bias  [][]float32
	buf   [2][]float32
	in    int
	flops float64
}

func newMLP(batch int) *mnistNet {
	n := &mnistNet{in: 784}
	n.dense(784, 1000, 1000, 10)
	n.alloc(batch, 1000)
	return n
}

func newCNN(b testing.TB, batch int) *mnistNet {
	n := &mnistNet{in: 784}
	r := benchRandom()
	for _, c := range convCases()[:2] {
		p, err := PackConv(c.s, normal(r, c.s.OC*planConv(c.s).k), normal(r, c.s.OC), ReLUActivation, c.pool)
		if err != nil {
			b.Fatal(err)
		}
		n.convs = append(n.convs, p)
		n.flops += 2 * float64(p.k) * float64(p.OC) * float64(p.out)
	}
	n.dense(1024, 512, 10)
	n.alloc(batch, 12*12*32)
	return n
}

func (n *mnistNet) dense(sizes ...int) {
	r := benchRandom()
	for i, k := range sizes[:len(sizes)-1] {
		out := sizes[i+1]
		n.fc = append(n.fc, PackB(normal(r, k*out), k, out, false))
		n.bias = append(n.bias, normal(r, out))
		n.flops += 2 * float64(k) * float64(out)
	}
}

func (n *mnistNet) alloc(batch, widest int) {
	for i := range n.buf {
		n.buf[i] = make([]float32, batch*widest)
	}
}

func (n *mnistNet) run(batch int, x []float32) []float32 {
	side := 0
	for _, c := range n.convs {
		c.Run(batch, x, n.buf[side])
		x, side = n.buf[side], 1-side
	}
	for i, p := range n.fc {
		act := ReLUActivation
		if i+1 == len(n.fc) {
			act = Identity
		}
		p.Mul(batch, x, p.K(), n.bias[i], act, n.buf[side], p.N())
		x, side = n.buf[side], 1-side
	}
	return x
}

func BenchmarkNet(b *testing.B) {
	for _, batch := range []int{1, 32, 256} {
		for _, model := range []string{"mlp", "cnn"} {
			b.Run(fmt.Sprintf("%s/batch=%d", model, batch), func(b *testing.B) {
				n := newMLP(batch)
				if model == "cnn" {
					n = newCNN(b, batch)
				}
				x := normal(benchRandom(), batch*784)
				n.run(batch, x)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					n.run(batch, x)
				}
				b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
				flops(b, n.flops*float64(batch))
			})
		}
	}
}

func BenchmarkAdam(b *testing.B) {
	n := 1794000
	r := benchRandom()
	p, g, m, v := normal(r, n), normal(r, n), make([]float32, n), make([]float32, n)
	a := NewAdamParams(1e-3, 0.9, 0.999, 1e-8, 10)
	b.SetBytes(int64(n) * 28)
	b.ResetTimer()
	for range b.N {
		Adam(p, g, m, v, a)
	}
}

package compile_test

import (
	"fmt"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// batches are the batch sizes that the benchmarks run.
var batches = []int{1, 32, 256}

func perImage(b *testing.B, batch int, run func()) {
	run()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		run()
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "images/s")
}

// BenchmarkCompiled runs compiled models on one core.
func BenchmarkCompiled(b *testing.B) {
	for _, n := range []network{mlp(), cnn(), residual()} {
		m := compiled(b, n)
		for _, batch := range batches {
			b.Run(fmt.Sprintf("%s/batch=%d", n.name, batch), func(b *testing.B) {
				w, x := m.NewWorker(batch), rows(m, batch)
				perImage(b, batch, func() { run(b, w, x, batch) })
			})
		}
	}
}

// BenchmarkKernels calls the kernels that the models consist of by hand: what a
// compiled model is held against.
func BenchmarkKernels(b *testing.B) {
	half := &kernel.PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	weights := func(n int) []float32 { return rows(compiled(b, network{"", linearOf(n, 1), []int{n}}), 1) }
	pack := func(k, n int) *kernel.PackedB { return kernel.PackB(weights(k*n), k, n, true) }
	conv := func(c, hw, oc int) *kernel.PackedConv {
		p, err := kernel.PackConv(kernel.ConvShape{C: c, H: hw, W: hw, OC: oc, KH: 5, KW: 5, StrideH: 1, StrideW: 1},
			weights(oc*c*25), weights(oc), kernel.ReLUActivation, half)
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	relu, bias := kernel.ReLUActivation, weights(1000)
	l1, l2, l3 := pack(784, 1000), pack(1000, 1000), pack(1000, 10)
	c1, c2, f1, f2 := conv(1, 28, 32), conv(32, 12, 64), pack(1024, 512), pack(512, 10)
	for _, batch := range batches {
		x, y := weights(batch*784), make([]float32, batch*10)
		b.Run(fmt.Sprintf("mlp/batch=%d", batch), func(b *testing.B) {
			h1, h2 := make([]float32, batch*1000), make([]float32, batch*1000)
			perImage(b, batch, func() {
				l1.Mul(batch, x, 784, bias, relu, h1, 1000)
				l2.Mul(batch, h1, 1000, bias, relu, h2, 1000)
				l3.Mul(batch, h2, 1000, bias[:10], kernel.Identity, y, 10)
			})
		})
		b.Run(fmt.Sprintf("cnn/batch=%d", batch), func(b *testing.B) {
			p, q, h := make([]float32, 12*12*32), make([]float32, batch*1024), make([]float32, batch*512)
			perImage(b, batch, func() {
				for i := range batch {
					c1.Run(1, x[i*784:(i+1)*784], p)
					c2.Run(1, p, q[i*1024:(i+1)*1024])
				}
				f1.Mul(batch, q, 1024, bias[:512], relu, h, 512)
				f2.Mul(batch, h, 512, bias[:10], kernel.Identity, y, 10)
			})
		})
	}
}

// BenchmarkTapeMachine runs the same networks in Gorgonia's machine, with the
// same operations.
func BenchmarkTapeMachine(b *testing.B) {
	for _, n := range []network{mlp(), cnn()} {
		for _, batch := range batches {
			b.Run(fmt.Sprintf("%s/batch=%d", n.name, batch), func(b *testing.B) {
				vm := tapeMachine(b, n, batch)
				defer vm.Close()
				perImage(b, batch, func() {
					vm.Reset()
					if err := vm.RunAll(); err != nil {
						b.Fatal(err)
					}
				})
			})
		}
	}
}

func tapeMachine(b *testing.B, n network, batch int) gorgonia.VM {
	in, err := nn.NewArray(rows(compiled(b, n), batch), append([]int{batch}, n.shape...)...)
	if err != nil {
		b.Fatal(err)
	}
	trace, err := graph.Record(nn.Evaluate, func(x []*nn.Variable) []*nn.Variable {
		return []*nn.Variable{n.forward(x[0])}
	}, in)
	if err != nil {
		b.Fatal(err)
	}
	g, err := graph.Build(trace, 0)
	if err != nil {
		b.Fatal(err)
	}
	if err := gorgonia.Let(g.Inputs[0], in); err != nil {
		b.Fatal(err)
	}
	return gorgonia.NewTapeMachine(g.Expr)
}

// BenchmarkCompile compiles: what a new version costs an executor, once.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []network{mlp(), cnn()} {
		b.Run(n.name, func(b *testing.B) {
			for range b.N {
				if _, err := compile.Network(n.forward, n.shape...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package onnx_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/compile"
	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/internal/race"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/onnx"
)

// builder makes a residual network of values of some kind.
type builder[V any] interface {
	unit(name string, x V, in, out, size, stride int) V // convolution and batch normalisation
	relu(x V) V
	add(a, b V) V
	maxPool(x V) V
	head(x V) V // mean over pixels and a dense layer
}

// resnet18 is ResNet-18 (He et al., arXiv:1512.03385, table 1), whose first stage
// has width channels: 64, or 32 under the race detector, which follows every weight.
func resnet18[V any](b builder[V], x V) V {
	width := 64
	if race.On {
		width = 32
	}
	h, in := b.maxPool(b.relu(b.unit("stem", x, 3, width, 7, 2))), width
	for stage := range 4 {
		out := width << stage
		for block := range 2 {
			name, stride, side := fmt.Sprintf("stage%d/block%d/", stage, block), 1, h
			if in != out {
				stride = 2
				side = b.unit(name+"side", h, in, out, 1, stride)
			}
			h = b.unit(name+"second", b.relu(b.unit(name+"first", h, in, out, 3, stride)), out, out, 3, 1)
			h, in = b.relu(b.add(h, side)), out
		}
	}
	return b.head(h)
}

// linked is a network of links with seeded weights.
type linked struct {
	links.Chain
	convs map[string]*links.Convolution2DLink
	norms map[string]*links.BatchNormalizationLink
	fc    *links.LinearLink
}

func newLinked() *linked {
	l := &linked{convs: map[string]*links.Convolution2DLink{}, norms: map[string]*links.BatchNormalizationLink{}}
	l.fc = links.Add(l, "fc", links.Linear(100, links.InitBias(nn.Normal(0.1))))
	return l
}

func (l *linked) Forward(x *nn.Variable) *nn.Variable { return resnet18(l, x) }

func (l *linked) unit(name string, x *nn.Variable, _, out, size, stride int) *nn.Variable {
	if l.convs[name] == nil {
		l.convs[name] = links.Add(l, name+"/conv", links.Convolution2D(out, size, links.Stride(stride), links.Pad(size/2), links.NoBias(), links.InitW(nn.HeNormal())))
		l.norms[name] = links.Add(l, name+"/norm", links.BatchNormalization(out, links.Eps(1e-5)))
		l.statistics(l.norms[name], rand.New(rand.NewPCG(uint64(len(l.convs)), 5)))
	}
	return l.norms[name].Forward(l.convs[name].Forward(x))
}

// statistics gives a normalisation what training would.
func (l *linked) statistics(n *links.BatchNormalizationLink, r *rand.Rand) {
	for _, c := range []struct {
		p         *nn.Parameter
		low, high float32
	}{{n.Gamma, 0.5, 1}, {n.Beta, -0.1, 0.1}, {n.AvgMean, -0.1, 0.1}, {n.AvgVar, 0.8, 1.2}} {
		v := c.p.Floats()
		for i := range v {
			v[i] = c.low + (c.high-c.low)*r.Float32()
		}
	}
}

func (l *linked) relu(x *nn.Variable) *nn.Variable   { return f.ReLU(x) }
func (l *linked) add(a, b *nn.Variable) *nn.Variable { return f.Add(a, b) }

func (l *linked) maxPool(x *nn.Variable) *nn.Variable {
	return f.MaxPooling2D(x, 3, f.Stride(2), f.Padding(1), f.CoverAll(false))
}

func (l *linked) head(x *nn.Variable) *nn.Variable {
	return l.fc.Forward(f.GlobalAveragePooling2D(x))
}

// written is the same network as an ONNX file; folded, as exporters write it, a
// convolution has taken in the normalisation behind it.
type written struct {
	*file
	net    *linked
	folded bool
}

func (w *written) next(op, inputs string, attrs ...any) string {
	name := fmt.Sprintf("v%d", len(w.nodes))
	w.node(op, inputs, name, attrs...)
	return name
}

func (w *written) weight(p *nn.Parameter) string {
	name := fmt.Sprintf("w%d", len(w.inits))
	w.float(name, p.Floats(), p.Shape()...)
	return name
}

func (w *written) unit(name, x string, _, _, size, stride int) string {
	c, n := w.net.convs[name], w.net.norms[name]
	pad := size / 2
	attrs := []any{"kernel_shape", []int{size, size}, "strides", []int{stride, stride}, "pads", []int{pad, pad, pad, pad}}
	if !w.folded {
		h := w.next("Conv", x+" "+w.weight(c.W), attrs...)
		return w.next("BatchNormalization", strings.Join([]string{h, w.weight(n.Gamma), w.weight(n.Beta), w.weight(n.AvgMean), w.weight(n.AvgVar)}, " "), "epsilon", float32(1e-5))
	}
	out := c.W.Dim(0)
	weights, bias := append([]float32{}, c.W.Floats()...), make([]float32, out)
	k := len(weights) / out
	for i := range bias {
		factor := n.Gamma.Floats()[i] / float32(math.Sqrt(float64(n.AvgVar.Floats()[i])+1e-5))
		for j := range k {
			weights[i*k+j] *= factor
		}
		bias[i] = n.Beta.Floats()[i] - n.AvgMean.Floats()[i]*factor
	}
	w.float(name+"/W", weights, c.W.Shape()...).float(name+"/b", bias, out)
	return w.next("Conv", strings.Join([]string{x, name + "/W", name + "/b"}, " "), attrs...)
}

func (w *written) relu(x string) string   { return w.next("Relu", x) }
func (w *written) add(a, b string) string { return w.next("Add", a+" "+b) }

func (w *written) maxPool(x string) string {
	return w.next("MaxPool", x, "kernel_shape", []int{3, 3}, "strides", []int{2, 2}, "pads", []int{1, 1, 1, 1})
}

func (w *written) head(x string) string {
	h := w.next("Flatten", w.next("GlobalAveragePool", x))
	return w.next("Gemm", strings.Join([]string{h, w.weight(w.net.fc.W), w.weight(w.net.fc.B)}, " "), "transB", 1)
}

// TestResNet18 compares ResNet-18 on small images, read from ONNX and compiled, and
// compiled from links, with what it computes define-by-run.
func TestResNet18(t *testing.T) {
	const batch, side = 2, 64
	net, r := newLinked(), rand.New(rand.NewPCG(1, 2))
	x := make([]float32, batch*3*side*side)
	for i := range x {
		x[i] = r.Float32()
	}
	y := net.Forward(nn.From(nn.NewTape(nn.Evaluate), x, batch, 3, side, side))
	if y.Err() != nil {
		t.Fatal(y.Err())
	}
	want := y.Floats()

	for _, c := range []struct {
		name    string
		compile func() (*compile.Model, error)
	}{
		{"links", func() (*compile.Model, error) { return compile.Network(net.Forward, 3, side, side) }},
		{"onnx", func() (*compile.Model, error) { return net.fromONNX(side, false) }},
		{"onnx, folded", func() (*compile.Model, error) { return net.fromONNX(side, true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := c.compile()
			if err != nil {
				t.Fatal(err)
			}
			layers := m.String()
			if n := strings.Count(layers, "conv "); n != 20 || strings.Contains(layers, "row by row") || strings.Contains(layers, "Add") {
				t.Errorf("%d convolutions, want 20, all else fused with them:\n%s", n, layers)
			}
			got, err := m.NewWorker(batch).Run(x, batch)
			if err != nil {
				t.Fatal(err)
			}
			closeToLargest(t, got, want)
		})
	}
}

func (l *linked) fromONNX(side int, folded bool) (*compile.Model, error) {
	w := &written{rowFile(3, side, side), l, folded}
	return onnx.Compile(w.bytes(resnet18(w, "x")))
}

// closeToLargest allows a difference of 1e-5 of the largest value, since sums of
// large values may come out small.
func closeToLargest(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); !(d <= 1e-5*largest) {
			t.Fatalf("value %d is %v, want %v, within 1e-5 of %v", i, got[i], v, largest)
		}
	}
}

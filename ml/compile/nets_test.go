package compile_test

import (
	"math/rand/v2"
	"testing"

	"github.com/hibana-engine/hibana/ml/compile"
	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// network is a forward pass with the shape of a row.
type network struct {
	name    string
	forward func(x *nn.Variable) *nn.Variable
	shape   []int
}

// layer makes a link's Forward whose parameters start at random from its name,
// the ones that would start at 0 or 1 included.
func conv(name string, out, k int, o ...links.Option) func(*nn.Variable) *nn.Variable {
	return under(name, links.Convolution2D(out, k, append(o, links.InitBias(nn.Normal(0.3)))...))
}

func linear(name string, out int, o ...links.Option) func(*nn.Variable) *nn.Variable {
	return under(name, links.Linear(out, append(o, links.InitBias(nn.Normal(0.3)))...))
}

func under[L interface {
	links.Link
	links.Layer
}](name string, l L) func(*nn.Variable) *nn.Variable {
	return links.Add(&links.Chain{}, name, l).Forward
}

// norm is a batch normalisation whose statistics are no identity.
func norm(name string, size int) func(*nn.Variable) *nn.Variable {
	r := rand.New(rand.NewPCG(7, uint64(len(name)+size)))
	value := func(low, high float32) *nn.Variable {
		v := make([]float32, size)
		for i := range v {
			v[i] = low + (high-low)*r.Float32()
		}
		p := nn.NewPersistent(name, nn.Constant(0), size)
		copy(p.Floats(), v)
		return &p.Variable
	}
	gamma, beta, mean, variance := value(0.5, 1.5), value(-1, 1), value(-1, 1), value(0.2, 2)
	return func(x *nn.Variable) *nn.Variable {
		return f.FixedBatchNormalization(x, gamma, beta, mean, variance, 1e-4)
	}
}

// chain applies functions one after the other.
func chain(fs ...func(*nn.Variable) *nn.Variable) func(*nn.Variable) *nn.Variable {
	return func(x *nn.Variable) *nn.Variable {
		for _, g := range fs {
			x = g(x)
		}
		return x
	}
}

func maxPool(k int, o ...f.WindowOption) func(*nn.Variable) *nn.Variable {
	return func(x *nn.Variable) *nn.Variable { return f.MaxPooling2D(x, k, o...) }
}

func avgPool(k int, o ...f.WindowOption) func(*nn.Variable) *nn.Variable {
	return func(x *nn.Variable) *nn.Variable { return f.AveragePooling2D(x, k, o...) }
}

func flat(x *nn.Variable) *nn.Variable { return f.Reshape(x, x.Shape()[0], -1) }

func mlp() network {
	return network{"mlp", chain(linear("l1", 1000), f.ReLU, linear("l2", 1000), f.ReLU, linear("l3", 10)), []int{784}}
}

func cnn() network {
	return network{"cnn", chain(
		conv("c1", 32, 5), f.ReLU, maxPool(2),
		conv("c2", 64, 5), f.ReLU, maxPool(2), flat,
		linear("l1", 512), f.ReLU, linear("l2", 10)), []int{1, 28, 28}}
}

// residual is a small ResNet: stem, a block, a block that halves the image.
func residual() network {
	stem := chain(conv("stem", 16, 7, links.Stride(2), links.Pad(3), links.NoBias()), norm("n0", 16), f.ReLU,
		maxPool(3, f.Stride(2), f.Padding(1), f.CoverAll(false)))
	main1 := chain(conv("a1", 16, 3, links.Pad(1)), norm("n1", 16), f.ReLU, conv("a2", 16, 3, links.Pad(1)), norm("n2", 16))
	main2 := chain(conv("b1", 24, 3, links.Pad(1), links.Stride(2)), norm("n3", 24), f.ReLU, conv("b2", 24, 3, links.Pad(1)), norm("n4", 24))
	down := chain(conv("b3", 24, 1, links.Stride(2)), norm("n5", 24))
	head := linear("fc", 7)
	return network{"residual", func(x *nn.Variable) *nn.Variable {
		x = stem(x)
		x = f.ReLU(f.Add(main1(x), x))
		x = f.ReLU(f.Add(down(x), main2(x)))
		return f.Softmax(head(f.GlobalAveragePooling2D(x)))
	}, []int{3, 37, 41}}
}

// odd uses what the kernels have no fused form for.
func odd() network {
	c1, c2, c3 := conv("c1", 6, 3, links.Pad(1)), conv("c2", 5, 3, links.Pad(2), links.Dilate(2)), conv("c3", 12, 3, links.Groups(2))
	gamma, beta := nn.NewParameter("g", nn.Normal(1), 30), nn.NewParameter("b", nn.Normal(1), 30)
	head := linear("fc", 30)
	lift := nn.NewParameter("lift", nn.Normal(1), 1, 6, 1, 1)
	return network{"odd", func(x *nn.Variable) *nn.Variable {
		a := f.LeakyReLU(c1(x), 0.1)                                                  // a slope that isn't fused
		a = f.Add(a, f.BroadcastTo(&lift.Variable, 1, 6, 9, 8))                       // a constant, kept NHWC
		a = f.Mul(a, f.BroadcastTo(f.Sigmoid(f.MeanKeepDims(a, 2, 3)), a.Shape()...)) // squeeze and excite
		y := f.Concat([]*nn.Variable{a, f.Tanh(c2(a)), norm("n", 1)(x)}, 1)
		y = f.Dropout(y, 0.5)
		y = f.ELU(c3(avgPool(3, f.Stride(2), f.Padding(1))(y)), 1)
		z := f.Transpose(y, 0, 2, 3, 1) // no row of the batch moves
		h := f.LayerNormalization(head(flat(z)), &gamma.Variable, &beta.Variable, 1e-5)
		return f.LogSoftmax(f.Sub(f.AddScalar(f.MulScalar(h, 2), 1), f.Exp(f.Neg(f.Clip(h, 0, 3)))))
	}, []int{1, 9, 8}}
}

// channelwise uses layers that know the channels of images, and convolutions along a
// column.
func channelwise() network {
	slopes := nn.NewParameter("slopes", nn.Normal(1), 13)
	few := nn.NewParameter("few", nn.Normal(1), 6)
	norm := func(x *nn.Variable) *nn.Variable { return f.LocalResponseNormalization(x, 5, 2, 0.3, 0.75) }
	other := func(x *nn.Variable) *nn.Variable { return f.LocalResponseNormalization(x, 4, 2, 0.3, 0.6) }
	prelu := func(p *nn.Parameter) func(x *nn.Variable) *nn.Variable {
		return func(x *nn.Variable) *nn.Variable { return f.PReLU(x, &p.Variable) }
	}
	tail := conv("c4", 6, 1)
	parts := func(x *nn.Variable) *nn.Variable { // channels in another order
		p := f.SplitAxis(x, 3, 1)
		p[0] = f.Transpose(f.Transpose(p[0], 0, 2, 3, 1), 0, 3, 1, 2)
		return f.Concat([]*nn.Variable{p[2], p[0], p[1]}, 1)
	}
	return network{"channelwise", chain(
		norm, conv("c1", 18, 3), norm, maxPool(2), parts, conv("c2", 13, 3, links.Pad(1)), prelu(slopes), other,
		func(x *nn.Variable) *nn.Variable { return f.Reshape(x, x.Dim(0), 13, -1, 1) },
		conv("c3", 7, 1, links.Stride(2)), tail, flat, linear("fc", 6), prelu(few)), []int{2, 11, 12}}
}

// pixels uses layers that know the channels of images.
func pixels() network {
	slopes, factors, bias := nn.NewParameter("slopes", nn.Normal(1), 4), nn.NewParameter("factors", nn.Normal(1), 4, 1, 1), nn.NewParameter("bias", nn.Normal(1), 1, 4, 1, 1)
	scaled := func(x *nn.Variable) *nn.Variable { return f.Add(f.Mul(&factors.Variable, x), &bias.Variable) }
	return network{"pixels", chain(
		conv("c", 4, 3),
		scaled,
		func(x *nn.Variable) *nn.Variable { return f.LocalResponseNormalization(x, 5, 1, 1, 0.75) },
		func(x *nn.Variable) *nn.Variable { return f.PReLU(x, &slopes.Variable) },
		norm("n", 4), scaled, f.ReLU, norm("m", 4), f.Tanh), []int{1, 5, 5}}
}

// mobile has what networks for phones are made of: depthwise convolutions, bounded
// activations that several steps make up, squeeze and excitation, groups whose channels
// are shuffled, rows and columns that are chosen, and images that are made larger.
func mobile() network {
	deep := func(name string, c, k int, o ...links.Option) func(*nn.Variable) *nn.Variable {
		return conv(name, c, k, append(o, links.Groups(c), links.Pad(k/2))...)
	}
	six := func(x *nn.Variable) *nn.Variable { return f.Clip(x, 0, 6) }
	number := func(v float32) *nn.Variable { return nn.From(nil, []float32{v}, 1, 1, 1, 1) }
	hard := func(x *nn.Variable) *nn.Variable { return f.Div(f.Mul(x, six(f.Add(x, number(3)))), number(6)) }
	lab := func(x *nn.Variable) *nn.Variable { return f.Add(f.Mul(number(1.25), x), number(-0.125)) }
	squeeze := chain(func(x *nn.Variable) *nn.Variable { return f.MeanKeepDims(x, 2, 3) },
		conv("s1", 5, 1), f.ReLU, conv("s2", 20, 1), f.HardSigmoid)
	shift := nn.NewParameter("shift", nn.Normal(1), 1, 20, 1, 1)
	block := chain(conv("m1", 20, 1), norm("n1", 20), lab, hard, lab, deep("d1", 20, 5), norm("n2", 20), hard)
	expand := chain(conv("m3", 24, 1, links.NoBias()), norm("n3", 24), six, deep("d2", 24, 3, links.Stride(2)), norm("n4", 24), f.Tanh)
	shuffled := func(x *nn.Variable) *nn.Variable {
		n, h, w := x.Dim(0), x.Dim(2), x.Dim(3)
		x = f.Transpose(f.Reshape(x, n, 4, 6, h, w), 0, 2, 1, 3, 4)
		return f.Reshape(x, n, 24, h, w)
	}
	groups, head := chain(conv("g1", 24, 1, links.Groups(4)), shuffled, conv("g2", 12, 3, links.Groups(4))), linear("fc", 6)
	larger := chain(under("up", links.Deconvolution2D(7, 2, links.Stride(2), links.InitBias(nn.Normal(1)))), norm("n5", 7), hard, conv("last", 3, 1))
	wider := func(x *nn.Variable) *nn.Variable {
		x = nn.Apply1(op.Take{Axis: 2, Index: []int32{0, 0, 1, 3, 3, 2}}, x)
		return nn.Apply1(op.Take{Axis: 3, Index: []int32{4, 2, 0}}, x)
	}
	return network{"mobile", func(x *nn.Variable) *nn.Variable {
		x = chain(conv("stem", 20, 3, links.Stride(2), links.Pad(1)), six)(x)
		y := block(x)
		y = f.Mul(y, squeeze(y))
		x = f.Add(f.Mul(f.Sub(&shift.Variable, y), &shift.Variable), x)
		x = f.ReLU(f.Mul(norm("n6", 20)(x), &shift.Variable))
		y = lab(f.Exp(six(x)))
		x = f.Mul(f.Sub(f.Sigmoid(x), y), f.Mul(x, f.Tanh(x)))
		return head(flat(larger(wider(groups(expand(x))))))
	}, []int{3, 21, 26}}
}

// sequences reads a row as a sequence, forward and backward, and the result once
// more. A second sequence is shorter.
func sequences() network {
	chain := &links.Chain{}
	lstm := links.Add(chain, "lstm", links.NStepBiLSTM(2, 5, 9))
	gru := links.Add(chain, "gru", links.NStepGRU(1, 18, 7))
	head := linear("fc", 3)
	return network{"sequences", func(x *nn.Variable) *nn.Variable {
		rows := f.Reshape(x, 7, 5)
		short := f.GetItem(rows, f.Span(2, 6))
		_, _, ys := lstm.Forward(nil, nil, []*nn.Variable{short, rows})
		hy, _, zs := gru.Forward(nil, nil, ys[1:])
		return head(f.Concat([]*nn.Variable{f.Reshape(hy, 1, 7), f.Reshape(zs[0], 1, 49), f.Reshape(ys[0], 1, 72)}, 1))
	}, []int{35}}
}

func nets() []network {
	return []network{mlp(), cnn(), residual(), odd(), mobile(), channelwise(), pixels(), sequences()}
}

func compiled(t testing.TB, n network) *compile.Model {
	t.Helper()
	m, err := compile.Network(n.forward, n.shape...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rows draws n rows of a network's input.
func rows(m *compile.Model, n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n*m.InputLen())
	for i := range x {
		x[i] = r.Float32()*2 - 0.5
	}
	return x
}

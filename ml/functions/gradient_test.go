package functions_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/tensor"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// gradientCase draws inputs of random shapes and says what to compute of them.
type gradientCase func(t *testing.T, r *rand.Rand) (inputs []*tensor.Dense, run func(x vars) vars)

// on is a case of a function whose inputs have the shapes that shapes draws.
func on(run func(x vars) vars, shapes func(r *rand.Rand) [][]int) gradientCase {
	return func(t *testing.T, r *rand.Rand) ([]*tensor.Dense, func(x vars) vars) {
		var in []*tensor.Dense
		for _, s := range shapes(r) {
			in = append(in, random(t, r, s...))
		}
		return in, run
	}
}

// matrix draws the shape of one matrix.
func matrix(r *rand.Rand) [][]int { return [][]int{{1 + r.IntN(4), 1 + r.IntN(5)}} }

// same draws one shape for two inputs.
func same(r *rand.Rand) [][]int {
	s := matrix(r)[0]
	return [][]int{s, s}
}

// positive moves values away from 0, where functions have no derivative or none
// that a difference quotient can find.
func positive(g func(x *nn.Variable) *nn.Variable) func(x vars) vars {
	return each(func(x *nn.Variable) *nn.Variable { return g(f.AddScalar(f.Square(x), 0.5)) })
}

func images(r *rand.Rand) [][]int {
	return [][]int{{1 + r.IntN(2), 1 + r.IntN(3), 4 + r.IntN(4), 4 + r.IntN(4)}}
}

var gradientCases = map[string]gradientCase{
	"sigmoid, tanh, softplus, elu": on(each(func(x *nn.Variable) *nn.Variable {
		return f.ELU(f.Softplus(f.Tanh(f.Sigmoid(x))), 0.5)
	}), matrix),
	"log, sqrt, pow": on(positive(func(x *nn.Variable) *nn.Variable { return f.PowScalar(f.Sqrt(f.Log(f.AddScalar(x, 2))), 1.5) }), matrix),
	"pow of two":     on(func(x vars) vars { return list(f.Pow(f.AddScalar(f.Square(x[0]), 0.5), x[1])) }, same),
	"softmax":        on(each(func(x *nn.Variable) *nn.Variable { return f.SoftmaxAlong(x, -1) }), matrix),
	"log softmax in the middle": on(each(f.LogSoftmax), func(r *rand.Rand) [][]int {
		return [][]int{{1 + r.IntN(3), 1 + r.IntN(3), 1 + r.IntN(3)}}
	}),
	"logsumexp":  on(each(func(x *nn.Variable) *nn.Variable { return f.LogSumExp(x, 0) }), matrix),
	"interplay":  on(func(x vars) vars { return list(f.LinearInterpolate(f.Sigmoid(x[0]), x[1], x[0])) }, same),
	"broadcasts": on(broadcasts, func(r *rand.Rand) [][]int { a, b := 1+r.IntN(3), 1+r.IntN(20); return [][]int{{2, a, b}, {a, 1}, {b}} }),
	"reductions": on(func(x vars) vars {
		return list(f.Sum(x[0], 0, 2), f.Mean(x[0], 1), f.SumKeepDims(x[0]), f.Mean(x[0]), f.Max(x[0], 2), f.MinKeepDims(x[0], 0))
	}, func(r *rand.Rand) [][]int { return [][]int{{1 + r.IntN(3), 1 + r.IntN(3), 1 + r.IntN(3)}} }),
	"arrays": on(arrays, func(r *rand.Rand) [][]int { return [][]int{{2 + r.IntN(2), 2 + r.IntN(3), 1 + r.IntN(3)}} }),
	"joins": on(func(x vars) vars {
		return append(f.SplitAxis(f.Concat(list(x[0], x[1], x[0]), 1), 3, 1), f.Stack(x, -1))
	}, same),
	"parts that nobody uses": on(func(x vars) vars { return list(f.SplitAxis(x[0], 2, 1)[1], f.Separate(x[0], 0)[0]) }, func(r *rand.Rand) [][]int {
		return [][]int{{1 + r.IntN(3), 2 * (1 + r.IntN(3))}}
	}),
	"transposed matrices": on(func(x vars) vars {
		return list(f.MatMulTrans(x[0], x[1], true, true), f.MatMulTrans(x[0], x[2], true, false), f.MatMulTrans(x[2], x[1], true, true))
	}, func(r *rand.Rand) [][]int {
		m, n, k := 1+r.IntN(4), 1+r.IntN(4), 1+r.IntN(4)
		return [][]int{{k, m}, {n, k}, {k, n}}
	}),
	"linear": on(func(x vars) vars { return list(f.Linear(x[0], x[1], x[2])) }, func(r *rand.Rand) [][]int {
		n, in, out := 1+r.IntN(5), 1+r.IntN(6), 1+r.IntN(6)
		return [][]int{{n, in}, {out, in}, {out}}
	}),
	"linear, weights used again": on(func(x vars) vars {
		return list(f.Linear(f.Tanh(f.Linear(f.Tanh(f.Linear(x[0], x[1], x[2])), x[1], x[2])), x[1], x[2]))
	}, func(r *rand.Rand) [][]int { n := 1 + r.IntN(4); return [][]int{{2, n}, {n, n}, {n}} }),
	"convolution":   convolutionCase,
	"deconvolution": deconvolutionCase,
	"average pooling": on(each(func(x *nn.Variable) *nn.Variable {
		return f.AveragePooling2D(x, 3, f.Stride(2), f.Padding(1), f.ExcludePad())
	}), images),
	"unpooling": on(each(func(x *nn.Variable) *nn.Variable {
		return f.Unpooling2D(x, 3, f.Stride(2), f.Padding(1), f.CoverAll(true))
	}), images),
	"resizing":        on(each(func(x *nn.Variable) *nn.Variable { return f.ResizeImages(x, 7, 3) }), images),
	"response":        on(each(func(x *nn.Variable) *nn.Variable { return f.LocalResponseNormalization(x, 3, 1, 0.5, 0.75) }), images),
	"normalize":       on(each(func(x *nn.Variable) *nn.Variable { return f.Normalize(x, 1e-5) }), matrix),
	"batch normalize": on(batchNormalize, func(r *rand.Rand) [][]int { s := images(r)[0]; s[0]++; return [][]int{s, {s[1]}, {s[1]}} }),
	"batch rows":      on(batchNormalize, func(r *rand.Rand) [][]int { c := 1 + r.IntN(10); return [][]int{{6 + r.IntN(15), c}, {c}, {c}} }),
	"layer normalize": on(func(x vars) vars { return list(f.LayerNormalization(x[0], x[1], x[2], 0.1)) }, func(r *rand.Rand) [][]int { d := 2 + r.IntN(20); return [][]int{{3, d}, {d}, {d}} }),
	"fixed normalize": on(fixedNormalize, func(r *rand.Rand) [][]int { c := 1 + r.IntN(3); return [][]int{{2, c, 3}, {c}, {c}, {c}, {c}} }),
	"lstm over steps": on(lstmSteps, func(r *rand.Rand) [][]int {
		n, u := 2+r.IntN(2), 1+r.IntN(4)
		return [][]int{{n, u}, {n, 4 * u}, {n - 1, 4 * u}}
	}),
	"gru": on(func(x vars) vars { return list(f.GRU(x[0], x[1], x[2])) }, func(r *rand.Rand) [][]int {
		n, u := 1+r.IntN(3), 1+r.IntN(4)
		return [][]int{{n, u}, {n, 3 * u}, {n, 3 * u}}
	}),
	"losses of pairs": on(func(x vars) vars { return list(f.MeanSquaredError(x[0], x[1]), f.HuberLoss(x[0], x[1], 0.5)) }, same),
	"cross entropy":   crossEntropyCase,
	"word losses":     wordLossCase,
	"embedding":       embeddingCase,
	"prelu": on(func(x vars) vars {
		return list(f.PReLU(f.AddScalar(f.Square(x[0]), 0.1), x[1]), f.PReLU(f.AddScalar(f.Neg(f.Square(x[0])), -0.1), x[1]))
	}, func(r *rand.Rand) [][]int { c := 1 + r.IntN(3); return [][]int{{2, c, 2}, {c}} }),
	"residual in place":  on(func(x vars) vars { h := f.Tanh(x[0]); return list(f.Add(f.Tanh(f.Neg(h)), h)) }, matrix),
	"transpose sequence": on(func(x vars) vars { return f.TransposeSequence(x) }, func(r *rand.Rand) [][]int { n := 1 + r.IntN(3); return [][]int{{n + 1, 2}, {n, 2}, {1, 2}} }),
}

func broadcasts(x vars) vars {
	b := f.AddScalar(f.Square(x[1]), 1)
	return list(f.Add(x[0], x[1]), f.Sub(x[2], x[0]), f.Mul(x[1], x[2]), f.Div(x[0], b), f.Pow(b, x[2]))
}

func arrays(x vars) vars {
	s := x[0].Shape()
	return list(
		f.Transpose(x[0], 2, 0, 1), f.SwapAxes(x[0], 0, -1), f.Pad(x[0], [][2]int{{1, 0}, {0, 1}, {2, 2}}, 3),
		f.Tile(x[0], 2, 1, 2), f.Flip(x[0], -2), f.BroadcastTo(x[0], append([]int{2}, s...)...),
		f.GetItem(x[0], f.At(-1), f.Every(f.Span(-2, 9), 2)), f.GetItem(x[0], f.Until(1)), f.Squeeze(f.ExpandDims(x[0], -1), -1),
	)
}

func batchNormalize(x vars) vars {
	y, _, _ := f.BatchNormalization(x[0], x[1], x[2], 0.1)
	return list(y)
}

func fixedNormalize(x vars) vars {
	return list(f.FixedBatchNormalization(x[0], x[1], x[2], x[3], f.AddScalar(f.Square(x[4]), 1), 0.1))
}

// lstmSteps feeds one batch, then a smaller one: a sequence has ended.
func lstmSteps(x vars) vars {
	c, h := f.LSTM(x[0], x[1])
	c2, h2 := f.LSTM(c, x[2])
	return list(c2, h2, h)
}

func convolutionCase(t *testing.T, r *rand.Rand) ([]*tensor.Dense, func(x vars) vars) {
	groups, kh, kw := 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3)
	c, oc := groups*(1+r.IntN(2)), groups*(1+r.IntN(2))
	options := []f.WindowOption{f.StrideHW(1+r.IntN(2), 1+r.IntN(2)), f.PaddingHW(r.IntN(2), r.IntN(2)), f.Dilation(1 + r.IntN(2)), f.Groups(groups)}
	in := []*tensor.Dense{random(t, r, 1+r.IntN(2), c, 5+r.IntN(3), 5+r.IntN(3)), random(t, r, oc, c/groups, kh, kw), random(t, r, oc)}
	return in, func(x vars) vars { return list(f.Convolution2D(x[0], x[1], x[2], options...)) }
}

func deconvolutionCase(t *testing.T, r *rand.Rand) ([]*tensor.Dense, func(x vars) vars) {
	c, oc, k, stride := 1+r.IntN(3), 1+r.IntN(3), 2+r.IntN(2), 1+r.IntN(2)
	in := []*tensor.Dense{random(t, r, 1+r.IntN(2), c, 3, 4), random(t, r, c, oc, k, k), random(t, r, oc)}
	return in, func(x vars) vars { return list(f.Deconvolution2D(x[0], x[1], x[2], f.Stride(stride), f.Padding(1))) }
}

func crossEntropyCase(t *testing.T, r *rand.Rand) ([]*tensor.Dense, func(x vars) vars) {
	n, c, d := 2+r.IntN(3), 2+r.IntN(3), 1+r.IntN(3)
	labels := make([]int32, n*d)
	weights := make([]float32, c)
	for i := range labels {
		labels[i] = int32(r.IntN(c+1)) - 1
	}
	for i := range weights {
		weights[i] = r.Float32()
	}
	in := []*tensor.Dense{random(t, r, n, c, d), array(t, labels, n, d)}
	return in, func(x vars) vars {
		return list(f.SoftmaxCrossEntropy(x[0], x[1], f.ClassWeight(weights)),
			f.SoftmaxCrossEntropy(x[0], x[1], f.ByBatch()), f.SoftmaxCrossEntropy(x[0], x[1], f.PerElement()))
	}
}

func embeddingCase(t *testing.T, r *rand.Rand) ([]*tensor.Dense, func(x vars) vars) {
	ids := make([]int32, 6)
	for i := range ids {
		ids[i] = int32(r.IntN(4))
	}
	floats := []float32{0, 3, 3, 1}
	in := []*tensor.Dense{array(t, ids, 2, 3), random(t, r, 4, 3)}
	return in, func(x vars) vars { // twice, so that gradients are added in place
		return list(f.EmbedID(x[0], x[1]), f.EmbedID(nn.From(x[0].Tape(), floats, 2, 2), x[1]), f.EmbedIDIgnore(x[0], f.Tanh(x[1]), 2), f.EmbedIDIgnore(x[0], x[1], 1))
	}
}

func wordLossCase(t *testing.T, r *rand.Rand) ([]*tensor.Dense, func(x vars) vars) {
	n, d, words, k := 1+r.IntN(3), 1+r.IntN(4), 2+r.IntN(5), 1+r.IntN(3)
	counts, labels, ignoring, samples := make([]int, words), make([]int32, n), make([]int32, n), make([]int32, n*k)
	for i := range counts {
		counts[i] = r.IntN(9)
	}
	for i := range labels {
		labels[i], ignoring[i] = int32(r.IntN(words)), int32(r.IntN(words+1)-1)
	}
	for i := range samples {
		samples[i] = int32(r.IntN(words))
	}
	tree := f.HuffmanTree(counts)
	in := []*tensor.Dense{random(t, r, n, d), random(t, r, words, d), random(t, r, tree.Nodes(), d)}
	return in, func(x vars) vars {
		tape := x[0].Tape()
		return list(
			f.NegativeSampling(x[0], x[1], nn.From(tape, ignoring, n), nn.From(tape, samples, n, k)),
			f.BinaryHierarchicalSoftmax(x[0], x[2], nn.From(tape, labels, n), tree))
	}
}

// TestGradientsNumerically compares Backward with difference quotients of
// sum(y*w), w random, on random shapes.
func TestGradientsNumerically(t *testing.T) {
	for name, c := range gradientCases {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				checkNumerically(t, seeded(t, seed), c)
			}
		})
	}
}

func checkNumerically(t *testing.T, r *rand.Rand, c gradientCase) {
	t.Helper()
	inputs, run := c(t, r)
	tape := nn.NewTape(nn.Train, nn.CheckFinite(), nn.Recycle())
	x := make(vars, len(inputs))
	for i, a := range inputs {
		x[i] = tape.Variable(a)
	}
	var weights []*tensor.Dense
	var terms vars
	for _, y := range run(x) {
		if y.Err() != nil {
			t.Fatal(y.Err())
		}
		weights = append(weights, random(t, r, y.Shape()...))
		terms = append(terms, f.Reshape(f.Sum(f.Mul(y, tape.Input(weights[len(weights)-1]))), 1))
	}
	if err := f.Sum(f.Concat(terms, 0)).Backward(); err != nil {
		t.Fatal(err)
	}
	objective := func() float64 {
		free := make(vars, len(inputs))
		for i, a := range inputs {
			free[i] = nn.NewTape(nn.Train, nn.NoBackprop()).Input(a)
		}
		total := 0.0
		for i, y := range run(free) {
			for k, v := range y.Floats() {
				total += float64(v) * float64(nn.Floats(weights[i])[k])
			}
		}
		return total
	}
	const step = 1.0 / 128
	for i, a := range inputs {
		data := nn.Floats(a)
		for range min(len(data), 12) {
			k := r.IntN(len(data))
			old := data[k]
			data[k] = old + step
			up := objective()
			data[k] = old - step
			down := objective()
			data[k] = old
			want := (up - down) / (2 * step)
			if got := float64(x[i].GradFloats()[k]); math.Abs(got-want) > 5e-3*(1+math.Abs(want)) {
				t.Fatalf("input %d %v element %d: gradient %v, difference quotient %v", i, a.Shape(), k, got, want)
			}
		}
	}
}

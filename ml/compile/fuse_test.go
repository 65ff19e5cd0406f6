package compile_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/compile"
	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

// reshape gives each row of the batch a shape.
func reshape(shape ...int) func(x *nn.Variable) *nn.Variable {
	return func(x *nn.Variable) *nn.Variable { return f.Reshape(x, append([]int{x.Dim(0)}, shape...)...) }
}

func add(shape ...int) func(x *nn.Variable) *nn.Variable {
	c := &nn.NewParameter("added", nn.Normal(1), shape...).Variable
	return func(x *nn.Variable) *nn.Variable { return f.Add(x, c) }
}

func mul(shape ...int) func(x *nn.Variable) *nn.Variable {
	c := &nn.NewParameter("factors", nn.Normal(1), shape...).Variable
	return func(x *nn.Variable) *nn.Variable { return f.Mul(x, c) }
}

// TestViewsBehindConvolutions: what is seen in another shape than its layer made has
// other axes there than in memory.
func TestViewsBehindConvolutions(t *testing.T) {
	check := func(n network) { t.Run(n.name, func(t *testing.T) { exactly(t, n) }) }
	pixels := conv("c", 8, 1)
	residual := func(x *nn.Variable) *nn.Variable {
		return f.ReLU(f.Add(chain(pixels, reshape(8, 16), add(1, 8, 1))(x), reshape(8, 16)(x)))
	}
	check(network{"residual sum of sequences", residual, []int{8, 4, 4}})
	for name, step := range map[string]func(x *nn.Variable) *nn.Variable{"factors": mul(1, 4, 1, 1), "sum": add(1, 4, 1, 1), "normalisation": norm("n", 4)} {
		check(network{name + " of other channels", chain(pixels, reshape(4, 8, 4), f.ReLU, step), []int{8, 4, 4}})
		check(network{name + " of other channels of a deconvolution", chain(under("up", links.Deconvolution2D(8, 2, links.Stride(2))), reshape(4, 8, 16), f.ReLU, step), []int{3, 4, 4}})
	}
	for name, step := range map[string]func(x *nn.Variable) *nn.Variable{"sum": add(1, 8, 1, 1), "activation": f.ReLU} {
		check(network{name + " and pooling of other pixels", chain(pixels, reshape(8, 12, 2), step, maxPool(2)), []int{8, 4, 6}})
	}
	check(network{"normalisation of other axes", chain(
		func(x *nn.Variable) *nn.Variable { return f.Reshape(x, x.Dim(0)*6, 5) }, linear("l", 6),
		func(x *nn.Variable) *nn.Variable { return f.Reshape(x, x.Dim(0)/6, 6, 6) }, add(6), norm("n", 6)), []int{30}})

	back := network{"back to its own shape", chain(pixels, reshape(4, 8, 4), f.ReLU, reshape(8, 4, 4), mul(1, 8, 1, 1)), []int{8, 4, 4}}
	check(back)
	if s := compiled(t, back).String(); !strings.Contains(s, "conv 1x1 8 to 8 + ReLU + Mul") {
		t.Errorf("a product in the shape of the convolution is no part of it:\n%s", s)
	}
}

// TestInfiniteConstants: an infinity behind a layer is no part of its weights.
func TestInfiniteConstants(t *testing.T) {
	inf := float32(math.Inf(1))
	numbers := func(v ...float32) *nn.Variable { return nn.From(nil, v, 1, len(v), 1, 1) }
	for name, step := range map[string]func(x *nn.Variable) *nn.Variable{
		"sum":                      func(x *nn.Variable) *nn.Variable { return f.Add(x, numbers(-inf)) },
		"product":                  func(x *nn.Variable) *nn.Variable { return f.Mul(x, numbers(inf)) },
		"sum for each channel":     func(x *nn.Variable) *nn.Variable { return f.Add(x, numbers(0, -inf, 0)) },
		"product for each channel": func(x *nn.Variable) *nn.Variable { return f.Mul(numbers(inf, -inf, inf), x) },
	} {
		t.Run(name, func(t *testing.T) {
			exactly(t, network{name, chain(conv("c", 3, 2), step, f.Sigmoid), []int{2, 5, 5}})
		})
	}
}

// TestOverflow: what would make a layer's weights infinite is done behind it.
func TestOverflow(t *testing.T) {
	twice := func(layer, step func(x *nn.Variable) *nn.Variable) func(x *nn.Variable) *nn.Variable {
		return chain(layer, step, step, f.Sigmoid) // zeros and ones
	}
	times := func(n int) func(x *nn.Variable) *nn.Variable {
		return func(x *nn.Variable) *nn.Variable {
			return f.Mul(x, nn.From(nil, slices.Repeat([]float32{1e30}, n), 1, n, 1, 1))
		}
	}
	plus := func(shape ...int) func(x *nn.Variable) *nn.Variable {
		return func(x *nn.Variable) *nn.Variable {
			return f.Add(x, nn.From(nil, slices.Repeat([]float32{3e38}, shape[1]), shape...))
		}
	}
	images := conv("c", 3, 2)
	exactly(t, network{"factors", twice(images, times(1)), []int{2, 5, 5}})
	exactly(t, network{"factors for channels", twice(images, times(3)), []int{2, 5, 5}})
	exactly(t, network{"sums", twice(images, plus(1, 1, 1, 1)), []int{2, 5, 5}})
	exactly(t, network{"sums for channels", twice(images, plus(1, 3, 1, 1)), []int{2, 5, 5}})
	exactly(t, network{"sums of a dense layer", twice(linear("l", 3), plus(1, 3)), []int{4}})
}

// TestNormOfNoVariance: a batch normalisation whose statistics can't be is refused with the
// weights that it follows.
func TestNormOfNoVariance(t *testing.T) {
	c := func(v float32) *nn.Variable { return nn.From(nil, []float32{v}, 1) }
	norm := func(x *nn.Variable) *nn.Variable {
		return f.FixedBatchNormalization(x, c(1), c(0), c(0), c(-1), 1e-5)
	}
	_, err := compile.Network(chain(conv("c", 1, 2), norm), 2, 5, 5)
	if !errors.Is(err, compile.ErrWeights) || !strings.Contains(err.Error(), "after folding the batch normalisations, factors and biases that follow c/W") {
		t.Errorf("error %v", err)
	}
}

// TestComputedWeights: weights that are computed and aren't finite are refused, and nothing
// that follows is blamed.
func TestComputedWeights(t *testing.T) {
	for name, forward := range map[string]step{
		"dense": func(x *nn.Variable) *nn.Variable {
			return f.Linear(x, f.Exp(nn.From(x.Tape(), []float32{99, 1}, 1, 2)), nil)
		},
		"conv": func(x *nn.Variable) *nn.Variable {
			w := f.Exp(nn.From(x.Tape(), []float32{99, 1}, 1, 2, 1, 1))
			return f.Convolution2D(f.Reshape(x, x.Dim(0), 2, 1, 1), w, nil)
		},
	} {
		_, err := compile.Network(forward, 2)
		if !errors.Is(err, compile.ErrWeights) || !strings.HasSuffix(err.Error(), compile.ErrWeights.Error()) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestManyPixels: images that are convolved part by part are finished so.
func TestManyPixels(t *testing.T) {
	const c = 6
	for name, layer := range map[string]func(x *nn.Variable) *nn.Variable{
		"conv":                 conv("c", c, 3),
		"conv with a border":   conv("c", c, 3, links.Pad(1)),
		"conv of single pixel": conv("c", c, 1),
		"depthwise":            conv("c", c, 3, links.Pad(1), links.Groups(c)),
		"deconv":               under("c", links.Deconvolution2D(c, 2, links.Stride(2), links.InitBias(nn.Normal(1)))),
	} {
		for what, step := range map[string]func(x *nn.Variable) *nn.Variable{"Mul": mul(1, c, 1, 1), "FixedBatchNormalization": norm("n", c)} {
			t.Run(name+" and "+what, func(t *testing.T) {
				n := network{name, chain(layer, f.ReLU, step), []int{c, 190, 130}}
				exactly(t, n)
				if s := compiled(t, n).String(); !strings.Contains(s, " + ReLU + "+what+" (") {
					t.Errorf("nothing is fused:\n%s", s)
				}
			})
		}
	}
}

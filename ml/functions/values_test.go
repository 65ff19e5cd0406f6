package functions_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// TestValues lists small results that can be checked by eye, directly and in
// the machine.
func TestValues(t *testing.T) {
	x := []float32{1, -2, 3, 3, 0, -6}
	for name, c := range map[string]struct {
		run  func(x *nn.Variable) *nn.Variable
		want []float32
	}{
		"flatten":        {f.Flatten, x},
		"absolute":       {f.Absolute, []float32{1, 2, 3, 3, 0, 6}},
		"maximum":        {func(x *nn.Variable) *nn.Variable { return f.Maximum(x, f.Neg(x)) }, []float32{1, 2, 3, 3, 0, 6}},
		"clip":           {func(x *nn.Variable) *nn.Variable { return f.Clip(x, -1, 2) }, []float32{1, -1, 2, 2, 0, -1}},
		"max of all":     {func(x *nn.Variable) *nn.Variable { return f.Max(x) }, []float32{3}},
		"max, kept":      {func(x *nn.Variable) *nn.Variable { return f.MaxKeepDims(x, 1) }, []float32{3, 3}},
		"min":            {func(x *nn.Variable) *nn.Variable { return f.Min(x, 0) }, []float32{1, -2, -6}},
		"global average": {func(x *nn.Variable) *nn.Variable { return f.GlobalAveragePooling2D(f.Reshape(x, 1, 2, 1, 3)) }, []float32{2. / 3, -1}},
		"square":         {func(x *nn.Variable) *nn.Variable { return f.PowScalar(x, 2) }, []float32{1, 4, 9, 9, 0, 36}},
		"accuracy": {func(x *nn.Variable) *nn.Variable {
			return f.Accuracy(x, nn.From(x.Tape(), []int32{2, 5}, 2), f.IgnoreLabel(5))
		}, []float32{1}},
		"binary accuracy": {func(x *nn.Variable) *nn.Variable {
			return f.BinaryAccuracy(x, nn.From(x.Tape(), []int32{1, 0, 0, -1, 1, 1}, 2, 3))
		}, []float32{.6}},
		"ignored loss": {func(x *nn.Variable) *nn.Variable {
			return f.SoftmaxCrossEntropy(x, nn.From(x.Tape(), []int32{-1, -1}, 2))
		}, []float32{0}},
		"sigmoid loss, no labels": {func(x *nn.Variable) *nn.Variable {
			return f.SigmoidCrossEntropy(x, nn.From(x.Tape(), slices.Repeat([]int32{-1}, 6), 2, 3), f.PerElement())
		}, make([]float32, 6)},
	} {
		t.Run(name, func(t *testing.T) {
			got := everywhere(t, each(c.run), array(t, slices.Clone(x), 2, 3))[0]
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestKinkGradients checks where the gradient goes at ties and corners.
// TestWordLosses holds the losses of words against sums written out.
func TestWordLosses(t *testing.T) {
	x := nn.From(nil, []float32{1, 2, -1, 0.5}, 2, 2)
	w := nn.From(nil, []float32{0.5, 0, 0, 0.25, -1, 1}, 3, 2)
	nll := func(score float64) float64 { return math.Log1p(math.Exp(-score)) } // -log sigmoid
	sampled := f.NegativeSampling(x, w, nn.From(nil, []int32{0, -1}, 2), nn.From(nil, []int32{1, 2, 0, 0}, 2, 2))
	if want := nll(0.5) + nll(-0.5) + nll(-1); math.Abs(float64(sampled.Float())-want) > 1e-6 {
		t.Errorf("negative sampling: %v, want %v", sampled.Float(), want)
	}
	// Words 0 and 2 are rare: ((0 2) 1) or the like, with ties to the smaller.
	tree := f.HuffmanTree([]int{1, 5, 1})
	if tree.Words() != 3 || tree.Nodes() != 2 {
		t.Fatalf("%d words, %d nodes", tree.Words(), tree.Nodes())
	}
	decided := f.BinaryHierarchicalSoftmax(x, nn.From(nil, []float32{1, 0, 0, 1}, 2, 2), nn.From(nil, []int32{1, 2}, 2), tree)
	// Word 1: right at the root. Word 2: left at the root, right below it.
	if want := nll(-1) + nll(-1) + nll(-0.5); math.Abs(float64(decided.Float())-want) > 1e-6 {
		t.Errorf("hierarchical softmax: %v, want %v", decided.Float(), want)
	}
	// Over all words the probabilities of a row sum to 1.
	sum := 0.0
	for word := range int32(3) {
		row := f.GetItem(x, f.Until(1))
		sum += math.Exp(-float64(f.BinaryHierarchicalSoftmax(row, f.GetItem(w, f.Until(2)), nn.From(nil, []int32{word}, 1), tree).Float()))
	}
	if math.Abs(sum-1) > 1e-6 {
		t.Errorf("probabilities sum to %v", sum)
	}
}

func TestKinkGradients(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(x *nn.Variable) *nn.Variable
		want []float32
	}{
		"absolute at 0": {f.Absolute, []float32{1, -1, 0, 1}},
		"max of ties":   {func(x *nn.Variable) *nn.Variable { return f.Max(x) }, []float32{1, 0, 0, 1}},
		"min":           {func(x *nn.Variable) *nn.Variable { return f.Min(x) }, []float32{0, 1, 0, 0}},
		"clip":          {func(x *nn.Variable) *nn.Variable { return f.Clip(x, -1, 1) }, []float32{0, 0, 1, 0}},
		"maximum":       {func(x *nn.Variable) *nn.Variable { return f.Maximum(x, f.Copy(x).Detach()) }, []float32{1, 1, 1, 1}},
		"pooling a tie": {func(x *nn.Variable) *nn.Variable { return f.MaxPooling2D(f.Reshape(x, 1, 1, 2, 2), 2) }, []float32{1, 0, 0, 0}},
		"normalise 0":   {func(x *nn.Variable) *nn.Variable { return f.Normalize(f.MulScalar(f.Reshape(x, 1, 4), 0), 1) }, []float32{0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			x := nn.NewVariable(array(t, []float32{2, -3, 0, 2}, 4))
			if err := f.Sum(c.run(x)).Backward(); err != nil {
				t.Fatal(err)
			}
			if got := x.GradFloats(); !slices.Equal(got, c.want) {
				t.Errorf("gradient %v, want %v", got, c.want)
			}
		})
	}
}

// TestIntegersThroughArrayFunctions moves tokens about before they are looked
// up, directly and in the machine.
func TestIntegersThroughArrayFunctions(t *testing.T) {
	table := array(t, []float32{0, 10, 20, 30, 40, 50}, 6, 1)
	tokens := array(t, []int32{0, 1, 2, 3, 4, 5}, 2, 3)
	got := everywhere(t, func(x vars) vars {
		turned := f.Transpose(x[0])          // 0 3 / 1 4 / 2 5
		parts := f.SplitAxis(turned, 3, 0)   // 0 3, 1 4, 2 5
		joined := f.Concat(parts[1:], 1)     // 1 4 2 5
		last := f.GetItem(joined, f.At(0))   // 1 4 2 5
		best := f.Argmax(f.Flatten(x[1]), 0) // 5
		return list(f.EmbedID(f.Reshape(last, 2, 2), x[1]), f.EmbedID(best, x[1]))
	}, tokens, table)
	if want := []float32{10, 40, 20, 50}; !slices.Equal(got[0], want) {
		t.Errorf("embedded %v, want %v", got[0], want)
	}
	if !slices.Equal(got[1], []float32{50}) {
		t.Errorf("embedding of the argmax %v, want 50", got[1])
	}
	y := f.Argmax(nn.From(nil, []float32{1, 5, 5, 9, 0, 9}, 2, 3), 1)
	if got := nn.Ints(y.Data()); !slices.Equal(got, []int32{1, 0}) || y.RequiresGrad() {
		t.Errorf("argmax %v, want the first of ties and no gradient", got)
	}
	flags := f.Transpose(nn.From(nil, []bool{true, false, false, false}, 2, 2))
	if flags.Data().Dtype() != tensor.Bool || !nn.Bools(flags.Data())[0] {
		t.Errorf("transposed flags %v", flags.Data())
	}
}

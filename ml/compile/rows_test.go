package compile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/compile"
	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// TestMixedRowsAreRefused: networks that one row alone doesn't show to mix rows.
// Each names the line of the program.
func TestMixedRowsAreRefused(t *testing.T) {
	lstm := links.Add(&links.Chain{}, "lstm", links.NStepLSTM(1, 4, 3))
	count := func(x *nn.Variable) float32 { return float32(x.Dim(0)) }
	const mixes, counts, part = "puts rows of the batch together", "does something else with two rows", "which should be twice as large"
	for _, c := range []struct {
		name    string
		forward func(x *nn.Variable) *nn.Variable
		says    string
	}{
		{"minus the first row", func(x *nn.Variable) *nn.Variable { return f.Sub(x, f.GetItem(x, f.At(0))) }, mixes},
		{"minus the first row, kept as a row", func(x *nn.Variable) *nn.Variable { return f.Sub(x, f.GetItem(x, f.Span(0, 1))) }, mixes},
		{"plus the row above", func(x *nn.Variable) *nn.Variable {
			rows := f.Separate(x, 0)
			return f.Add(x, f.Stack(append(rows[1:], rows[0]), 0))
		}, mixes},
		{"mean over a reshape", func(x *nn.Variable) *nn.Variable { return f.Sub(x, f.Mean(f.Reshape(x, x.Dim(0)*4))) }, mixes},
		{"mean of columns joined with rows", func(x *nn.Variable) *nn.Variable { return f.MeanKeepDims(f.Reshape(f.Transpose(x), 2, x.Dim(0)*2), 1) }, mixes},
		{"softmax of all", func(x *nn.Variable) *nn.Variable {
			return f.Reshape(f.SoftmaxAlong(f.Reshape(x, 1, -1), 1), x.Dim(0), -1)
		}, mixes},
		{"norm of all", func(x *nn.Variable) *nn.Variable {
			return f.Reshape(f.Normalize(f.Reshape(x, 1, -1), 1e-5), x.Dim(0), -1)
		}, mixes},
		{"rows cut anew", func(x *nn.Variable) *nn.Variable { return f.Sum(f.Reshape(x, 4, x.Dim(0)), 0) }, mixes},
		{"rows as steps", func(x *nn.Variable) *nn.Variable {
			_, _, y := lstm.Forward(nil, nil, []*nn.Variable{x})
			return y[0]
		}, mixes},
		{"by the number of rows", func(x *nn.Variable) *nn.Variable { return f.MulScalar(x, 1/count(x)) }, counts},
		{"by a constant of the number", func(x *nn.Variable) *nn.Variable {
			return f.Div(x, nn.From(x.Tape(), []float32{count(x)}, 1, 1))
		}, counts},
		{"another number for each row", func(x *nn.Variable) *nn.Variable {
			place := make([]float32, x.Dim(0))
			for i := range place {
				place[i] = float32(i)
			}
			return f.Add(x, f.BroadcastTo(nn.From(x.Tape(), place, len(place), 1), x.Shape()...))
		}, counts},
		{"more with more rows", func(x *nn.Variable) *nn.Variable {
			if x.Dim(0) > 1 {
				return f.Tanh(x)
			}
			return x
		}, counts},
		{"an operation that nobody knows", func(x *nn.Variable) *nn.Variable { return nn.Apply1(unknown{}, x) }, "isn't known to keep the rows"},
		{"constant rows", func(x *nn.Variable) *nn.Variable { return f.Add(x, nn.From(x.Tape(), make([]float32, 8), 2, 4)) }, part},
		{"the first row only", func(x *nn.Variable) *nn.Variable { return f.ExpandDims(f.Exp(f.Separate(x, 0)[0]), 0) }, part},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := compile.Network(c.forward, 4)
			if !errors.Is(err, compile.ErrForward) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "compile/rows_test.go:") {
				t.Errorf("error %v, want ErrForward with %q and the line", err, c.says)
			}
		})
	}
	_, err := compile.Network(func(x *nn.Variable) *nn.Variable {
		if x.Dim(0) > 1 {
			panic("one row!")
		}
		return f.Exp(x)
	}, 4)
	if !errors.Is(err, compile.ErrForward) || !strings.Contains(err.Error(), "one row!") {
		t.Errorf("a panic with two rows: %v", err)
	}
}

// TestOutputsOutOfOrderAreRefused: networks that keep rows apart but don't return
// the first row's result and then the second's.
func TestOutputsOutOfOrderAreRefused(t *testing.T) {
	const order, half = "isn't the first row's result followed by the second's", "which should be twice as large"
	reversed := func(x *nn.Variable) []*nn.Variable {
		rows := f.Separate(x, 0)
		slices.Reverse(rows)
		return rows
	}
	for _, c := range []struct {
		name    string
		forward func(x *nn.Variable) *nn.Variable
		says    string
	}{
		{"joined along the batch", func(x *nn.Variable) *nn.Variable { return f.Concat([]*nn.Variable{x, x}, 0) }, order},
		{"three parts", func(x *nn.Variable) *nn.Variable { return f.Concat([]*nn.Variable{x, f.Exp(x), x}, 0) }, order},
		{"joined and computed with", func(x *nn.Variable) *nn.Variable {
			return f.ReLU(linearOf(4, 3)(f.Concat([]*nn.Variable{x, f.Neg(x)}, -2)))
		}, order},
		{"joined, then flat", func(x *nn.Variable) *nn.Variable { return f.Reshape(f.Concat([]*nn.Variable{x, x}, 0), -1) }, order},
		{"batch last", func(x *nn.Variable) *nn.Variable { return f.Transpose(x) }, order},
		{"batch last, as rows", func(x *nn.Variable) *nn.Variable { return f.Reshape(f.Transpose(x), x.Dim(0), 4) }, order},
		{"batch in the middle", func(x *nn.Variable) *nn.Variable { return f.Transpose(f.Reshape(x, -1, 2, 2), 1, 0, 2) }, order},
		{"stacked in front", func(x *nn.Variable) *nn.Variable { return f.Stack([]*nn.Variable{x, f.Exp(x)}, 0) }, order},
		{"columns as rows", func(x *nn.Variable) *nn.Variable { return f.Concat(f.SplitAxis(x, 2, 1), 0) }, order},
		{"rows stacked backward", func(x *nn.Variable) *nn.Variable { return f.Stack(reversed(x), 0) }, order},
		{"rows joined backward", func(x *nn.Variable) *nn.Variable {
			parts := f.SplitAxis(x, x.Dim(0), 0)
			slices.Reverse(parts)
			return f.Concat(parts, 0)
		}, order},
		{"tiled along the batch", func(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Tile{Reps: []int{2, 1}}, x) }, order},
		{"repeated in front", func(x *nn.Variable) *nn.Variable { return f.BroadcastTo(x, 3, x.Dim(0), 4) }, order},
		{"blocks before rows", func(x *nn.Variable) *nn.Variable {
			return f.Reshape(f.Transpose(f.Reshape(x, x.Dim(0), 2, 2), 1, 0, 2), 2*x.Dim(0), 2)
		}, order},
		{"constants behind all rows", func(x *nn.Variable) *nn.Variable {
			return f.Concat([]*nn.Variable{x, nn.From(x.Tape(), make([]float32, x.Dim(0)*4), x.Shape()...)}, 0)
		}, order},
		{"a constant row in front", func(x *nn.Variable) *nn.Variable {
			return f.Concat([]*nn.Variable{nn.From(x.Tape(), make([]float32, 4), 1, 4), x}, 0)
		}, half},
		{"a row of padding", func(x *nn.Variable) *nn.Variable { return f.Pad(x, [][2]int{{1, 1}, {0, 0}}, 0) }, half},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := compile.Network(c.forward, 4)
			if !errors.Is(err, compile.ErrForward) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "compile/") {
				t.Errorf("error %v, want ErrForward with %q and the line", err, c.says)
			}
		})
	}
}

// twice is an nn.Rowwise with two items of its output for each of its input.
type twice struct{ op.ReLU }

func (twice) Rowwise() {}

func (twice) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	shape := slices.Clone(in[0].Shape)
	shape[0] *= 2
	return []nn.Spec{nn.FloatSpec(shape...)}, nil
}

func (twice) Forward(c *nn.Call) error {
	for i, v := range append(slices.Clone(c.X(0)), c.X(0)...) {
		c.Y(0)[i] = v
	}
	return nil
}

// TestItemsOfARowwiseOperation: an operation that says that it keeps rows apart
// must have an item of its output for each of its input, else it isn't known whose
// they are. What it makes of one row alone is that row's all the same.
func TestItemsOfARowwiseOperation(t *testing.T) {
	_, err := compile.Network(func(x *nn.Variable) *nn.Variable { return f.Reshape(nn.Apply1(twice{}, x), x.Dim(0), -1) }, 4)
	if !errors.Is(err, compile.ErrForward) || !strings.Contains(err.Error(), "compile/rows_test.go:") ||
		!strings.Contains(err.Error(), "output 0 is (4, 4), input 0 (2, 4)") {
		t.Errorf("error %v, want ErrForward with both shapes and the line", err)
	}
	forward := func(x *nn.Variable) *nn.Variable {
		var out []*nn.Variable
		for _, row := range f.Separate(x, 0) {
			out = append(out, nn.Apply1(twice{}, row))
		}
		return f.Stack(out, 0)
	}
	m, err := compile.Network(forward, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	x := rows(m, 2)
	near(t, "each row alone", run(t, m.NewWorker(2), x, 2), forward(nn.From(nn.NewTape(nn.Evaluate), x, 2, 3, 2)).Floats())
}

// unknown adds up everything and says nothing of rows.
type unknown struct{ op.ReLU }

func (unknown) Forward(c *nn.Call) error {
	total := float32(0)
	for _, v := range c.X(0) {
		total += v
	}
	for i := range c.Y(0) {
		c.Y(0)[i] = total
	}
	return nil
}

// doubled is an operation that says that it keeps rows apart.
type doubled struct{ op.ReLU }

func (doubled) Rowwise() {}

func (doubled) Forward(c *nn.Call) error {
	for i, v := range c.X(0) {
		c.Y(0)[i] = 2 * v
	}
	return nil
}

// liar says so and doesn't.
type liar struct{ unknown }

func (liar) Rowwise() {}

// TestResultsAreCompared: a network that no analysis sees through gives itself
// away by what it computes.
func TestResultsAreCompared(t *testing.T) {
	for _, o := range []nn.Op{liar{}, backward{}} {
		_, err := compile.Network(func(x *nn.Variable) *nn.Variable { return nn.Apply1(o, x) }, 4)
		if !errors.Is(err, compile.ErrForward) || !strings.Contains(err.Error(), "of two rows together, row 0 has") {
			t.Errorf("%T: error %v, want one that compares the results", o, err)
		}
	}
}

// backward says that it keeps rows apart, and puts the last first.
type backward struct{ doubled }

func (backward) Forward(c *nn.Call) error {
	x, n := c.X(0), 4
	for i := range x {
		c.Y(0)[i] = x[len(x)-n-i/n*n+i%n]
	}
	return nil
}

// TestRowsApart: what moves the batch around, joins it with other axes or walks
// over its rows and keeps them apart is compiled, and has the results of the batch.
func TestRowsApart(t *testing.T) {
	lstm := links.Add(&links.Chain{}, "lstm", links.NStepLSTM(1, 2, 3))
	step := links.Add(&links.Chain{}, "step", links.LSTM(3))
	layer := linearOf(2, 3)
	w := nn.NewParameter("w", nn.Normal(1), 2, 5)
	for name, forward := range map[string]func(x *nn.Variable) *nn.Variable{
		"time first": func(x *nn.Variable) *nn.Variable {
			y := layer(f.Reshape(f.Transpose(x, 1, 0, 2), -1, 2))
			return f.Transpose(f.Reshape(y, 3, -1, 3), 1, 0, 2)
		},
		"batch last": func(x *nn.Variable) *nn.Variable {
			return f.Transpose(f.Add(f.Transpose(x), f.Sum(f.Transpose(x), 0, 1)))
		},
		"row by row": func(x *nn.Variable) *nn.Variable {
			var out []*nn.Variable
			for _, row := range f.Separate(x, 0) {
				out = append(out, f.Sub(row, f.MeanKeepDims(row, 0)))
			}
			return f.Stack(out, 0)
		},
		"sequences": func(x *nn.Variable) *nn.Variable {
			_, _, ys := lstm.Forward(nil, nil, f.Separate(x, 0))
			return f.Stack(ys, 0)
		},
		"steps": func(x *nn.Variable) *nn.Variable {
			step.ResetState()
			var y *nn.Variable
			for _, s := range f.Separate(x, 1) {
				y = step.Forward(s)
			}
			return y
		},
		"zeros of the batch": func(x *nn.Variable) *nn.Variable {
			zeros := nn.From(x.Tape(), make([]float32, x.Dim(0)*3), x.Dim(0), 3)
			return f.Concat([]*nn.Variable{zeros, f.Sum(x, 2)}, 1)
		},
		"weights repeated for the batch": func(x *nn.Variable) *nn.Variable {
			all := f.BroadcastTo(f.Reshape(&w.Variable, 1, 2, 5), x.Dim(0), 2, 5)
			return f.MatMul(x, all)
		},
		"mean of each row": func(x *nn.Variable) *nn.Variable { return f.Mean(x, 1, 2) },
		"attention": func(x *nn.Variable) *nn.Variable {
			return f.MatMul(f.SoftmaxAlong(f.MatMulTrans(x, x, false, true), 2), x)
		},
		"padded":                 func(x *nn.Variable) *nn.Variable { return f.Flip(f.Pad(x, [][2]int{{0, 0}, {1, 2}, {0, 1}}, 1), 1) },
		"an operation of my own": func(x *nn.Variable) *nn.Variable { return nn.Apply1(doubled{}, x) },
		"flat":                   func(x *nn.Variable) *nn.Variable { return f.Reshape(f.Exp(x), -1) },
	} {
		t.Run(name, func(t *testing.T) {
			m, err := compile.Network(forward, 3, 2)
			if err != nil {
				t.Fatal(err)
			}
			const batch = 5
			x := rows(m, batch)
			want := forward(nn.From(nn.NewTape(nn.Evaluate), x, batch, 3, 2))
			if want.Err() != nil {
				t.Fatal(want.Err())
			}
			near(t, name, run(t, m.NewWorker(batch), x, batch), want.Floats())
		})
	}
}

package compile

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// rowsTogether is the number of rows of the trace that a model is held against.
const rowsTogether = 2

// together is a network's trace of two rows, which says what a batch means.
type together struct {
	b      *builder
	owners *owners // of the output
}

// withTwo checks that a trace of two rows keeps them apart and treats them as one
// alone.
func withTwo(one *builder, two *graph.Trace) (*together, error) {
	b := &builder{trace: two, konst: make([]*tensor.Dense, len(two.Values))}
	for i, v := range two.Values {
		if v.Kind == graph.Parameter || v.Kind == graph.Constant {
			b.konst[i] = v.Data
		}
	}
	for _, s := range two.Steps {
		if b.constant(s) {
			if err := b.evaluate(s); err != nil {
				return nil, stepError(s.Op, s.Site, err)
			}
		}
	}
	o, err := b.owned()
	if err != nil {
		return nil, err
	}
	if err := compare(one, b); err != nil {
		return nil, err
	}
	t := &together{b, o}
	return t, t.checkOutput(one.trace)
}

func output(t *graph.Trace) nn.Spec { return t.Values[t.Outputs[0]].Spec }

// maker is the step that computed a value, not one that only gave it its shape.
func (b *builder) maker(v int) (made *graph.Step) {
	for i := len(b.trace.Steps) - 1; i >= 0; i-- {
		s := &b.trace.Steps[i]
		if !slices.Contains(s.Out, v) {
			continue
		}
		made = s
		if _, view := s.Op.(nn.View); !view {
			break
		}
		v = s.In[0]
	}
	return made
}

// checkOutput refuses an output of two rows that isn't the result of the first row
// and then that of the second: a model lays results out so, and a network that
// doesn't means something else. Elements that depend on no row may lie in either.
func (t *together) checkOutput(one *graph.Trace) error {
	if t.owners == nil {
		return nil // it is refused as a constant
	}
	out, both := output(one), output(t.b.trace)
	err := error(nil)
	switch {
	case both.Size() != rowsTogether*out.Size():
		err = fmt.Errorf("%w: its output has the shape %s for one row and %s for two, which should be twice as large: something before it has a fixed number of rows, or takes some rows only; make it for any number of rows, or for exactly one",
			ErrForward, nn.FormatShape(out.Shape), nn.FormatShape(both.Shape))
	case !t.owners.halves:
		err = fmt.Errorf("%w: its output for two rows, %s, isn't the first row's result followed by the second's, so that it can't be cut into rows: the batch must be its first axis, in the order of the rows, and parts of one row are joined along another axis",
			ErrForward, nn.FormatShape(both.Shape))
	default:
		return nil
	}
	if s := t.b.maker(t.b.trace.Outputs[0]); s != nil {
		return stepError(s.Op, s.Site, err)
	}
	return err
}

// maxWork bounds what checking results may cost, in multiply-adds of both rows: a
// second of one core. A larger network is checked by its operations alone.
const maxWork = 1 << 32

// checkResults runs two different rows together, as the network does, and each
// alone, as the model does. It needs no knowledge of what the operations mean.
func (t *together) checkResults(m *Model) error {
	if t.work() > maxWork {
		return nil
	}
	x, y, err := t.example()
	if err != nil {
		return err
	}
	w := m.NewWorker(1)
	n, worst := m.OutputLen(), float32(0)
	for _, v := range y {
		if a := float32(math.Abs(float64(v))); a <= math.MaxFloat32 {
			worst = max(worst, a)
		}
	}
	for r := range rowsTogether {
		together := y[r*n : (r+1)*n]
		alone, err := w.Run(x[r*m.InputLen():(r+1)*m.InputLen()], 1)
		if err != nil {
			return err
		}
		for i := range n {
			if !close(alone[i], together[i], worst) {
				return fmt.Errorf("%w: of two rows together, row %d has %v as value %d of its result, and %v alone: its result depends on the rows beside it or on their number",
					ErrForward, r, together[i], i, alone[i])
			}
		}
	}
	return nil
}

// close allows for the other order in which a model adds up: rows that mix differ
// by far more.
func close(a, b, scale float32) bool {
	d := math.Abs(float64(a) - float64(b))
	return a == b || d <= 1e-6+0.01*float64(scale) || a != a && b != b
}

// example evaluates the network on two different rows that it takes: numbers
// between 0 and 1, or those two, for words, or zeros.
func (t *together) example() (x, y []float32, err error) {
	random := rand.New(rand.NewPCG(1, 1))
	shape := t.b.trace.Values[t.b.trace.Inputs[0]].Spec.Shape
	for _, draw := range []func() float32{
		random.Float32,
		func() float32 { return float32(random.IntN(2)) },
		func() float32 { return 0 },
	} {
		x = make([]float32, size(shape))
		for i := range x {
			x[i] = draw()
		}
		if y, err = t.run(arrayOf(x, shape)); !errors.Is(err, nn.ErrValue) {
			break
		}
	}
	return x, y, err
}

// run evaluates the trace as it stands.
func (t *together) run(x *tensor.Dense) ([]float32, error) {
	values := make([]*tensor.Dense, len(t.b.trace.Values))
	copy(values, t.b.konst)
	values[t.b.trace.Inputs[0]] = x
	last := lastUses(t.b.trace)
	for i, s := range t.b.trace.Steps {
		if t.b.isConstant(s) {
			continue
		}
		in := make([]*tensor.Dense, len(s.In))
		for k, v := range s.In {
			in[k] = values[v]
		}
		if _, ok := s.Op.(op.Dropout); ok {
			values[s.Out[0]] = in[0]
			continue
		}
		c, err := nn.NewCall(s.Op, nil, in...)
		if err == nil {
			err = s.Op.Forward(c)
		}
		if err != nil {
			return nil, stepError(s.Op, s.Site, err)
		}
		for k, v := range s.Out {
			values[v] = c.Out[k]
		}
		for _, v := range s.In {
			if last[v] == i {
				values[v] = nil
			}
		}
	}
	return nn.Floats(values[t.b.trace.Outputs[0]]), nil
}

// work is the cost of run.
func (t *together) work() float64 {
	total := 0.0
	for _, s := range t.b.trace.Steps {
		if t.b.isConstant(s) {
			continue
		}
		each := 1
		switch o := s.Op.(type) {
		case op.Conv2D, op.Deconv2D:
			each = size(t.b.trace.Values[s.In[1]].Spec.Shape[1:])
		case op.Linear, op.MatMul:
			each = max(1, t.b.trace.Values[s.In[1]].Spec.Size()/max(1, t.columns(s)))
		case op.MaxPool2D:
			each = o.KH * o.KW
		case op.AvgPool2D:
			each = o.KH * o.KW
		}
		for _, v := range s.Out {
			total += float64(each) * float64(t.b.trace.Values[v].Spec.Size())
		}
	}
	return total
}

// columns is the number of matrices' columns in the output of a product.
func (t *together) columns(s graph.Step) int {
	shape := t.b.trace.Values[s.Out[0]].Spec.Shape
	n := shape[len(shape)-1]
	if len(shape) == 3 {
		n *= shape[0]
	}
	return n
}

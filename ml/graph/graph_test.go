package graph_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

func array[T nn.Element](t *testing.T, data []T, shape ...int) *tensor.Dense {
	t.Helper()
	a, err := nn.NewArray(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func record(t *testing.T, mode nn.Mode, forward func(x []*nn.Variable) []*nn.Variable, in ...*tensor.Dense) *graph.Trace {
	t.Helper()
	trace, err := graph.Record(mode, forward, in...)
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// layer is a dense layer with a repeated, a constant and an unused operation.
func layer(w, b *nn.Parameter) func(x []*nn.Variable) []*nn.Variable {
	return func(x []*nn.Variable) []*nn.Variable {
		h := x[0]
		for range 2 {
			h = f.ReLU(f.Linear(h, &w.Variable, &b.Variable))
		}
		f.Exp(h) // leads to no output
		h = f.Dropout(h, 0.5)
		return []*nn.Variable{f.Mul(h, nn.From(x[0].Tape(), []float32{2, 3}, 2))}
	}
}

func TestTraceListsWhatLeadsToTheOutputs(t *testing.T) {
	w := nn.NewParameter("l1/W", nn.Constant(1), 2, 2)
	b := nn.NewParameter("l1/b", nn.Constant(0), 2)
	trace := record(t, nn.Evaluate, layer(w, b), array(t, []float32{1, 2}, 1, 2))
	var ops []nn.Op
	for _, s := range trace.Steps {
		ops = append(ops, s.Op)
		if !strings.HasPrefix(s.Site, "graph/graph_test.go:") {
			t.Errorf("%s was called at %q", s.Op.Name(), s.Site)
		}
	}
	if want := []nn.Op{op.Linear{}, op.ReLU{}, op.Linear{}, op.ReLU{}, op.Mul{}}; !slices.Equal(ops, want) {
		t.Errorf("steps %v, want %v", ops, want)
	}
	if got := trace.Params(); !slices.Equal(got, []*nn.Parameter{w, b}) {
		t.Errorf("parameters %v", got)
	}
	kinds := map[graph.Kind]int{}
	for _, v := range trace.Values {
		kinds[v.Kind]++
	}
	if kinds[graph.Input] != 1 || kinds[graph.Parameter] != 2 || kinds[graph.Constant] != 1 || kinds[graph.Computed] != 5 {
		t.Errorf("kinds of values: %v", kinds)
	}
	if users := trace.Users(); !slices.Equal(users[trace.Steps[0].In[1]], []int{0, 2}) {
		t.Errorf("W is used by the steps %v, want 0 and 2", users[trace.Steps[0].In[1]])
	}
	if s := trace.String(); !strings.Contains(s, "= Linear{} %0 l1/W l1/b\n") {
		t.Errorf("trace prints as\n%s", s)
	}
}

func TestTraceOfTraining(t *testing.T) {
	w := nn.NewParameter("l1/W", nn.Constant(1), 2, 2)
	b := nn.NewParameter("l1/b", nn.Constant(0), 2)
	trace := record(t, nn.Train, layer(w, b), array(t, []float32{1, 2}, 1, 2))
	if !slices.ContainsFunc(trace.Steps, func(s graph.Step) bool { return s.Op == op.Dropout{Ratio: 0.5} }) {
		t.Errorf("no dropout in\n%v", trace)
	}
}

func TestRecordErrors(t *testing.T) {
	x := array(t, []float32{1, 2}, 1, 2)
	if _, err := graph.Record(nn.Train, func([]*nn.Variable) []*nn.Variable { return nil }, x); !errors.Is(err, graph.ErrNoOutput) {
		t.Errorf("no output: %v", err)
	}
	_, err := graph.Record(nn.Train, func(x []*nn.Variable) []*nn.Variable {
		return []*nn.Variable{f.Reshape(x[0], 3)}
	}, x)
	if !errors.Is(err, nn.ErrShape) || !strings.Contains(err.Error(), "graph/graph_test.go:") {
		t.Errorf("failing forward: %v", err)
	}
}

// TestInputWithoutComputation returns an input as it is.
func TestInputWithoutComputation(t *testing.T) {
	trace := record(t, nn.Evaluate, func(x []*nn.Variable) []*nn.Variable { return x }, array(t, []float32{1}, 1))
	if len(trace.Steps) != 0 || trace.Outputs[0] != trace.Inputs[0] {
		t.Errorf("trace %+v", trace)
	}
}

// TestMixedWithGorgonia differentiates through Gorgonia's own operations around
// ours: sum((2*tanh(x))^2).
func TestMixedWithGorgonia(t *testing.T) {
	x := array(t, []float32{-1, 0.5, 2, 0.1}, 2, 2)
	trace := record(t, nn.Train, func(x []*nn.Variable) []*nn.Variable {
		parts := f.SplitAxis(f.Tanh(x[0]), 2, 1)
		return []*nn.Variable{f.Concat(parts, 1)}
	}, x)
	g, err := graph.Build(trace, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := gorgonia.Let(g.Inputs[0], x); err != nil {
		t.Fatal(err)
	}
	doubled := gorgonia.Must(gorgonia.Mul(g.Outputs[0], gorgonia.NewConstant(float32(2))))
	cost := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(doubled))))
	grads, err := gorgonia.Grad(cost, g.Inputs...)
	if err != nil {
		t.Fatal(err)
	}
	vm := gorgonia.NewTapeMachine(g.Expr)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	got := grads[0].Value().Data().([]float32)
	for i, v := range nn.Floats(x) {
		y := math.Tanh(float64(v))
		if want := 8 * y * (1 - y*y); math.Abs(float64(got[i])-want) > 1e-5 {
			t.Errorf("gradient %d is %v, want %v", i, got[i], want)
		}
	}
}

func TestMachineErrors(t *testing.T) {
	table := nn.NewParameter("embed/W", nn.Constant(1), 4, 2)
	forward := func(x []*nn.Variable) []*nn.Variable { return []*nn.Variable{f.EmbedID(x[0], &table.Variable)} }
	g, err := graph.Build(record(t, nn.Evaluate, forward, array(t, []int32{0, 1}, 2)), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := gorgonia.Let(g.Inputs[0], array(t, []int32{0, 9}, 2)); err != nil {
		t.Fatal(err)
	}
	vm := gorgonia.NewTapeMachine(g.Expr)
	defer vm.Close()
	if err := vm.RunAll(); err == nil || !strings.Contains(err.Error(), "EmbedID") {
		t.Errorf("an id outside the table: %v", err)
	}
}

// TestMachineDropsBySeed runs dropout in a machine: the mask is a function of
// the seed and goes on from run to run.
func TestMachineDropsBySeed(t *testing.T) {
	ones := array(t, slices.Repeat([]float32{1}, 100), 10, 10)
	forward := func(x []*nn.Variable) []*nn.Variable { return []*nn.Variable{f.Dropout(x[0], 0.5)} }
	run := func(seed uint64) (masks [2][]float32) {
		g, err := graph.Build(record(t, nn.Train, forward, ones), seed)
		if err != nil {
			t.Fatal(err)
		}
		if err := gorgonia.Let(g.Inputs[0], ones); err != nil {
			t.Fatal(err)
		}
		vm := gorgonia.NewTapeMachine(g.Expr)
		defer vm.Close()
		for i := range masks {
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			masks[i] = slices.Clone(g.Outputs[0].Value().Data().([]float32))
			vm.Reset()
		}
		return masks
	}
	a, b, c := run(1), run(1), run(2)
	if !slices.Equal(a[0], b[0]) || !slices.Equal(a[1], b[1]) {
		t.Error("one seed, two masks")
	}
	if slices.Equal(a[0], a[1]) || slices.Equal(a[0], c[0]) {
		t.Error("the mask does not change with the run or the seed")
	}
}

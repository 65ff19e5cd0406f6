package nn_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// square is a user's own operation: y = x*x.
type square struct{}

func (square) Name() string { return "square" }
func (square) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if in[0].Dtype != tensor.Float32 {
		return nil, nn.ShapeErrorf("x holds float32")
	}
	return []nn.Spec{nn.FloatSpec(slices.Clone(in[0].Shape)...)}, nil
}
func (square) Forward(c *nn.Call) error {
	for i, v := range c.X(0) {
		c.Y(0)[i] = v * v
	}
	return nil
}
func (square) Backward(c *nn.Call) error {
	for i, v := range c.X(0) {
		c.GX(0)[i] = 2 * v * c.GY(0)[i]
	}
	return nil
}

// product is y = a*b elementwise, equal shapes.
type product struct{}

func (product) Name() string { return "product" }
func (product) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if !in[0].Equal(in[1]) {
		return nil, nn.ShapeErrorf("a and b need equal shapes")
	}
	return []nn.Spec{nn.FloatSpec(slices.Clone(in[0].Shape)...)}, nil
}
func (product) Forward(c *nn.Call) error {
	for i, v := range c.X(0) {
		c.Y(0)[i] = v * c.X(1)[i]
	}
	return nil
}
func (product) Backward(c *nn.Call) error {
	for i := range c.X(0) {
		if g := c.GX(0); g != nil {
			g[i] = c.GY(0)[i] * c.X(1)[i]
		}
		if g := c.GX(1); g != nil {
			g[i] = c.GY(0)[i] * c.X(0)[i]
		}
	}
	return nil
}

func sq(x *nn.Variable) *nn.Variable     { return nn.Apply1(square{}, x) }
func mul(a, b *nn.Variable) *nn.Variable { return nn.Apply1(product{}, a, b) }

func leaf(v float32) *nn.Variable {
	a, err := nn.NewArray([]float32{v})
	if err != nil {
		panic(err)
	}
	return nn.NewVariable(a)
}

func TestBackwardThroughLoopsAndSharedInputs(t *testing.T) {
	x := leaf(3)
	y := mul(sq(x), x) // x^3
	z := mul(y, y)     // x^6
	if err := z.Backward(); err != nil {
		t.Fatal(err)
	}
	if got, want := x.GradFloats()[0], float32(6*math.Pow(3, 5)); got != want {
		t.Errorf("d(x^6)/dx at 3 = %v, want %v", got, want)
	}
	if y.Grad() != nil {
		t.Error("intermediate gradient was kept without RetainGrad")
	}
	if err := z.Backward(); err != nil {
		t.Fatal(err)
	}
	if got, want := x.GradFloats()[0], float32(12*math.Pow(3, 5)); got != want {
		t.Errorf("two backward passes give %v, want the sum %v", got, want)
	}
	x.ClearGrad()
	if x.Grad() != nil {
		t.Error("gradient after ClearGrad")
	}
}

func TestRecycledStepsGiveEqualResults(t *testing.T) {
	w := nn.NewParameter("w", nn.Constant(2), 3)
	tape := nn.NewTape(nn.Train, nn.Recycle(), nn.CheckFinite())
	for step := range 4 {
		x := nn.From(tape, []float32{1, 2, 3}, 3)
		y := mul(sq(x), mul(&w.Variable, &w.Variable))
		g, _ := nn.NewArray([]float32{1, 1, 1}, 3)
		if err := y.SetGrad(g); err != nil {
			t.Fatal(err)
		}
		w.ClearGrad()
		if err := y.Backward(); err != nil {
			t.Fatal(err)
		}
		if got, want := w.GradFloats(), []float32{4, 16, 36}; !slices.Equal(got, want) {
			t.Fatalf("step %d: gradient %v, want %v", step, got, want)
		}
		y.Retain()
		dropped := sq(x)
		tape.Release()
		sq(sq(nn.From(tape, []float32{7, 8, 9}, 3))) // in the memory that was released
		if got, want := y.Floats(), []float32{4, 16, 36}; !slices.Equal(got, want) {
			t.Errorf("retained variable after Release is %v, want %v", got, want)
		}
		if !errors.Is(sq(dropped).Err(), nn.ErrReleased) {
			t.Errorf("use after Release: %v", sq(dropped).Err())
		}
		tape.Release()
	}
}

func TestErrorsNameLayerShapesAndCallSite(t *testing.T) {
	w := nn.NewParameter("predictor/l1/W", nn.Constant(1), 2, 3)
	tape := nn.NewTape(nn.Train)
	y := mul(nn.From(tape, make([]float32, 4), 4), &w.Variable)
	y = sq(sq(y))
	err := y.Backward()
	if !errors.Is(err, nn.ErrShape) || tape.Err() != err || y.Err() != err {
		t.Fatalf("Backward %v, tape %v, variable %v", err, tape.Err(), y.Err())
	}
	for _, part := range []string{"nn/nn_test.go:", "product", "layer predictor/l1", "(4)", "predictor/l1/W (2, 3)"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
	if y.Data() != nil || !math.IsNaN(float64(y.Float())) || y.Shape() != nil {
		t.Error("a failed variable has data")
	}
}

func TestErrorKinds(t *testing.T) {
	tape := nn.NewTape(nn.Train)
	strided, _ := nn.NewArray([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	view, err := strided.Slice(nil, tensor.S(1))
	if err != nil {
		t.Fatal(err)
	}
	if got := tape.Input(view.(*tensor.Dense)).Floats(); !slices.Equal(got, []float32{2, 5}) {
		t.Errorf("strided view became %v", got)
	}
	lazy := nn.NewParameter("l/W", nn.Constant(1))
	for name, c := range map[string]struct {
		v    *nn.Variable
		want error
	}{
		"too few elements": {nn.From(tape, []float32{1}, 2), nn.ErrShape},
		"empty dimension":  {nn.From(tape, []float32{}, 0), nn.ErrShape},
		"huge shape":       {nn.From(tape, []float32{1}, 1<<40, 1<<40), nn.ErrShape},
		"float64":          {tape.Input(tensor.New(tensor.WithShape(2), tensor.Of(tensor.Float64))), nn.ErrShape},
		"nil array":        {tape.Input(nil), nn.ErrValue},
		"nil variable":     {nn.Apply1(square{}, nil), nn.ErrValue},
		"lazy parameter":   {sq(&lazy.Variable), nn.ErrUninitialized},
		"integers":         {sq(nn.From(tape, []int32{1}, 1)), nn.ErrShape},
	} {
		if !errors.Is(c.v.Err(), c.want) {
			t.Errorf("%s: got %v, want %v", name, c.v.Err(), c.want)
		}
	}
	still := sq(nn.From(nn.NewTape(nn.Evaluate), []float32{1}))
	if err := still.Backward(); !errors.Is(err, nn.ErrNoGradient) {
		t.Errorf("Backward in evaluation: %v", err)
	}
	two := sq(nn.NewVariable(strided))
	if err := two.Backward(); !errors.Is(err, nn.ErrNoGradient) {
		t.Errorf("Backward of six elements: %v", err)
	}
}

func TestCheckFiniteNamesTheCulprit(t *testing.T) {
	tape := nn.NewTape(nn.Train, nn.CheckFinite())
	x := nn.From(tape, []float32{1e30}, 1)
	err := sq(x).Err()
	if !errors.Is(err, nn.ErrNotFinite) || !strings.Contains(err.Error(), "square") || !strings.Contains(err.Error(), "nn_test.go:") {
		t.Errorf("overflow: %v", err)
	}
	w := nn.NewParameter("l1/W", nn.Constant(float32(math.NaN())), 1)
	err = mul(nn.From(tape, []float32{1}, 1), &w.Variable).Err()
	if !errors.Is(err, nn.ErrNotFinite) || !strings.Contains(err.Error(), "l1/W") {
		t.Errorf("NaN weight: %v", err)
	}
	if err := w.CheckFinite(); !errors.Is(err, nn.ErrNotFinite) {
		t.Errorf("parameter check: %v", err)
	}
	b, _ := nn.NewArray([]float32{3e38}, 1)
	tape = nn.NewTape(nn.Train, nn.CheckFinite())
	v := tape.Variable(b)
	y := mul(v, nn.From(tape, []float32{0.5}, 1))
	inf, _ := nn.NewArray([]float32{float32(math.Inf(1))}, 1)
	if err := y.SetGrad(inf); err != nil {
		t.Fatal(err)
	}
	if err := y.Backward(); !errors.Is(err, nn.ErrNotFinite) || !strings.Contains(err.Error(), "Backward of product") {
		t.Errorf("infinite gradient: %v", err)
	}
}

func TestModes(t *testing.T) {
	if tape := nn.NewTape(nn.Evaluate); tape.Training() || tape.Recording() {
		t.Error("Evaluate trains or records")
	}
	tape := nn.NewTape(nn.Evaluate)
	a, _ := nn.NewArray([]float32{2}, 1)
	if sq(tape.Variable(a)).Creator() != nil {
		t.Error("Evaluate recorded a call")
	}
	tape = nn.NewTape(nn.Evaluate, nn.RecordAll())
	y := sq(tape.Input(a))
	if y.Creator() == nil || !strings.Contains(y.Creator().Site(), "nn_test.go:") {
		t.Error("RecordAll did not record the call with its site")
	}
	if y.RequiresGrad() {
		t.Error("a square of an input needs a gradient")
	}
}

func TestUnchainBackwardCutsHistory(t *testing.T) {
	x := leaf(2)
	h := sq(x)
	h.UnchainBackward()
	y := mul(h, x)
	if err := y.Backward(); err != nil {
		t.Fatal(err)
	}
	if got := x.GradFloats()[0]; got != 4 {
		t.Errorf("gradient %v, want 4: only the last product counts", got)
	}
}

func TestParametersAreAFunctionOfSeedNameAndShape(t *testing.T) {
	draw := func(name string, seed uint64) []float32 {
		p := nn.NewParameter(name, nn.LeCunNormal())
		p.SetSeed(seed)
		if err := p.Initialize(40, 50); err != nil {
			t.Fatal(err)
		}
		return p.Floats()
	}
	a := draw("a/W", 1)
	if !slices.Equal(a, draw("a/W", 1)) {
		t.Error("same seed and name, other values")
	}
	if slices.Equal(a, draw("b/W", 1)) || slices.Equal(a, draw("a/W", 2)) {
		t.Error("other seed or name, same values")
	}
	sum := 0.0
	for _, v := range a {
		sum += float64(v) * float64(v)
	}
	if sd := math.Sqrt(sum / 2000); math.Abs(sd-math.Sqrt(1.0/50)) > 0.01 {
		t.Errorf("LeCunNormal of fan-in 50 has standard deviation %.4f", sd)
	}
	p := nn.NewParameter("a/W", nn.Constant(1), 2)
	if err := p.Initialize(3); !errors.Is(err, nn.ErrShape) {
		t.Errorf("another shape: %v", err)
	}
}

package nn_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

func TestInitializersHaveTheSpreadThatTheyPromise(t *testing.T) {
	const out, in = 60, 40
	for name, c := range map[string]struct {
		init nn.Initializer
		sd   float64
	}{
		"Normal":        {nn.Normal(0.3), 0.3},
		"Uniform":       {nn.Uniform(0.3), 0.3 / math.Sqrt(3)},
		"LeCunNormal":   {nn.LeCunNormal(), math.Sqrt(1. / in)},
		"HeNormal":      {nn.HeNormal(), math.Sqrt(2. / in)},
		"GlorotUniform": {nn.GlorotUniform(), math.Sqrt(2. / (in + out))},
	} {
		sum, squares := 0.0, 0.0
		for _, v := range nn.NewParameter(name, c.init, out, in).Floats() {
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		n := float64(out * in)
		if sd := math.Sqrt(squares / n); math.Abs(sd-c.sd) > 0.06*c.sd || math.Abs(sum/n) > 0.08*c.sd {
			t.Errorf("%s: mean %.4f and standard deviation %.4f, want 0 and %.4f", name, sum/n, sd, c.sd)
		}
	}
	if got := nn.NewParameter("p", nn.Values([]float32{1, 2}), 3).Floats(); !slices.Equal(got, []float32{1, 2, 0}) {
		t.Errorf("Values: %v", got)
	}
}

func TestSetAndShare(t *testing.T) {
	p := nn.NewParameter("a/W", nn.Constant(1))
	if p.Initialized() || p.Data() != nil {
		t.Error("a lazy parameter has data")
	}
	a, _ := nn.NewArray([]float32{1, 2}, 2)
	if err := p.Set(a); err != nil {
		t.Fatal(err)
	}
	nn.Floats(a)[0] = 9
	if !slices.Equal(p.Floats(), []float32{1, 2}) {
		t.Errorf("Set did not copy: %v", p.Floats())
	}
	q := nn.NewParameter("b/W", nn.Constant(1))
	if err := q.Share(p); err != nil {
		t.Fatal(err)
	}
	p.Floats()[1] = 7
	if !slices.Equal(q.Floats(), []float32{1, 7}) {
		t.Errorf("Share copied: %v", q.Floats())
	}
	ints, _ := nn.NewArray([]int32{1, 2}, 2)
	wide, _ := nn.NewArray([]float32{1, 2, 3}, 3)
	for name, bad := range map[string]*tensor.Dense{"integers": ints, "another shape": wide} {
		if err := p.Set(bad); !errors.Is(err, nn.ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.Set(nil); !errors.Is(err, nn.ErrValue) {
		t.Errorf("nil: %v", err)
	}
	if err := p.Share(nn.NewParameter("c/W", nn.Constant(1))); !errors.Is(err, nn.ErrUninitialized) {
		t.Errorf("sharing what has no data: %v", err)
	}
	if nn.NewPersistent("mean", nn.Constant(0), 2).RequiresGrad() {
		t.Error("a persistent parameter gets a gradient")
	}
}

func TestGradientsThatAreKept(t *testing.T) {
	x := leaf(3)
	x.SetName("x")
	h := sq(x)
	h.RetainGrad()
	y := sq(h)
	if err := y.Backward(); err != nil {
		t.Fatal(err)
	}
	if h.GradFloats()[0] != 18 || x.GradFloats()[0] != 108 || y.Grad() != nil {
		t.Errorf("gradients %v of h, %v of x, %v of y; want 18, 108, none", h.GradFloats(), x.GradFloats(), y.Grad())
	}
	wide, _ := nn.NewArray([]float32{1, 2}, 2)
	if err := y.SetGrad(wide); !errors.Is(err, nn.ErrShape) {
		t.Errorf("gradient of another shape: %v", err)
	}
	if err := y.SetGrad(nil); !errors.Is(err, nn.ErrValue) {
		t.Errorf("nil gradient: %v", err)
	}
	var none *nn.Variable
	if err := none.Backward(); !errors.Is(err, nn.ErrValue) {
		t.Errorf("backward of nil: %v", err)
	}
	if none.Data() != nil || none.Err() == nil || none.Tape() != nil {
		t.Error("a nil variable has data, a tape or no error")
	}
}

func TestRecordInEvaluation(t *testing.T) {
	tape := nn.NewTape(nn.Evaluate, nn.Record())
	a, _ := nn.NewArray([]float32{2}, 1)
	x := tape.Variable(a)
	if err := sq(x).Backward(); err != nil || x.GradFloats()[0] != 4 {
		t.Errorf("gradient %v, error %v", x.GradFloats(), err)
	}
}

func TestOutputsOfImpossibleSizeAreErrors(t *testing.T) {
	if y := nn.Apply1(huge{}, leaf(1)); !errors.Is(y.Err(), nn.ErrShape) {
		t.Errorf("an output of 2^60 elements: %v", y.Err())
	}
	if y := nn.Apply(square{}, 2, leaf(1)); !errors.Is(y[1].Err(), nn.ErrValue) {
		t.Errorf("two outputs of an operation with one: %v", y[1].Err())
	}
}

// huge claims an output that no memory holds.
type huge struct{ square }

func (huge) Outputs([]nn.Spec) ([]nn.Spec, error) {
	return []nn.Spec{nn.FloatSpec(1<<30, 1<<30)}, nil
}

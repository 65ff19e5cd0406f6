package optimizers_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/serializers/npz"
)

// net is the network of the recorded runs: l1 relu l2 relu l3.
type net struct {
	links.Chain
	l1, l2, l3 *links.LinearLink
}

func newNet(l1, l2, l3 int) *net {
	n := &net{}
	n.l1 = links.Add(n, "l1", links.Linear(l1))
	n.l2 = links.Add(n, "l2", links.Linear(l2))
	n.l3 = links.Add(n, "l3", links.Linear(l3))
	return n
}

func (n *net) loss(x, t *nn.Variable) *nn.Variable {
	h := functions.ReLU(n.l1.Forward(x))
	h = functions.ReLU(n.l2.Forward(h))
	return functions.SoftmaxCrossEntropy(n.l3.Forward(h), t)
}

func readFixture(t *testing.T, path string) map[string]npz.Array {
	t.Helper()
	entries, err := npz.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	arrays := map[string]npz.Array{}
	for _, e := range entries {
		arrays[e.Name] = e.Array
	}
	return arrays
}

func floats(t *testing.T, a npz.Array) []float32 {
	t.Helper()
	f, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// configure makes the optimizer of a case, with the settings of the run that
// was recorded.
func configure(name string, n links.Link) optimizers.Optimizer {
	sgd := func(h optimizers.Hook) optimizers.Optimizer {
		o := optimizers.SGD(n)
		o.LR = 0.05
		o.AddHook(h)
		return o
	}
	switch name {
	case "sgd":
		return sgd(optimizers.WeightDecay(0))
	case "sgd_wd":
		return sgd(optimizers.WeightDecay(0.01))
	case "sgd_lasso":
		return sgd(optimizers.Lasso(0.01))
	case "sgd_hardclip":
		return sgd(optimizers.GradientHardClipping(-0.02, 0.02))
	case "momentum", "momentum_clip":
		o := optimizers.MomentumSGD(n)
		o.LR, o.Momentum = 0.05, 0.9
		if name == "momentum_clip" {
			o.AddHook(optimizers.GradientClipping(0.3))
		}
		return o
	case "nesterov":
		o := optimizers.NesterovAG(n)
		o.LR, o.Momentum = 0.05, 0.9
		return o
	case "adam", "amsgrad", "adamw", "adam_a01_eps", "adam_wd_clip":
		o := optimizers.Adam(n)
		switch name {
		case "amsgrad":
			o.AMSGrad = true
		case "adamw":
			o = optimizers.AdamW(n)
			o.WeightDecayRate = 0.01
		case "adam_a01_eps":
			o.Alpha, o.Beta1, o.Eps = 0.01, 0.5, 1e-4
		case "adam_wd_clip":
			o.AddHook(optimizers.WeightDecay(0.01))
			o.AddHook(optimizers.GradientClipping(0.5))
		}
		return o
	case "adagrad":
		o := optimizers.AdaGrad(n)
		o.LR = 0.05
		return o
	case "adadelta":
		return optimizers.AdaDelta(n)
	case "rmsprop":
		o := optimizers.RMSprop(n)
		o.LR = 0.01
		return o
	case "rmspropgraves":
		return optimizers.RMSpropGraves(n)
	case "smorms3":
		return optimizers.SMORMS3(n)
	}
	return nil
}

// TestAgainstChainer repeats recorded runs of Chainer 7.8.1: the loss of every
// step and the parameters after the last.
func TestAgainstChainer(t *testing.T) {
	recorded := readFixture(t, "testdata/optimizers_io.npz")
	cases := 0
	for key := range recorded {
		name, ok := strings.CutSuffix(key, ":loss")
		if !ok {
			continue
		}
		cases++
		t.Run(name, func(t *testing.T) { checkCase(t, name, recorded) })
	}
	if cases != 17 {
		t.Errorf("%d cases are recorded, want 17", cases)
	}
}

func checkCase(t *testing.T, name string, recorded map[string]npz.Array) {
	n := newNet(9, 9, 4)
	for path, p := range links.Params(n) {
		a := recorded["start:/"+path]
		if err := p.Set(tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(floats(t, a)))); err != nil {
			t.Fatal(err)
		}
	}
	o := configure(name, n)
	if o == nil {
		t.Fatalf("the recorded case %s is not covered", name)
	}
	xs, losses := floats(t, recorded["X"]), floats(t, recorded[name+":loss"])
	labels, err := recorded["T"].Int64s()
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range losses {
		k := step % 5
		batch := make([]int32, 5)
		for i := range batch {
			batch[i] = int32(labels[5*k+i])
		}
		links.ClearGrads(n)
		loss := n.loss(nn.From(nil, xs[30*k:30*(k+1)], 5, 6), nn.From(nil, batch, 5))
		if err := loss.Backward(); err != nil {
			t.Fatal(err)
		}
		within(t, fmt.Sprintf("loss of step %d", step), []float32{loss.Float()}, []float32{want}, 1e-5)
		if err := o.Update(); err != nil {
			t.Fatal(err)
		}
	}
	absolute := 1e-5
	if name == "adadelta" || name == "smorms3" {
		absolute = 1e-4
	}
	for path, p := range links.Params(n) {
		within(t, path, p.Floats(), floats(t, recorded[name+":/"+path]), absolute)
	}
}

func within(t *testing.T, what string, got, want []float32, absolute float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= absolute+1e-4*math.Abs(float64(want[i]))) {
			t.Errorf("%s[%d] = %v, want %v", what, i, got[i], want[i])
		}
	}
}

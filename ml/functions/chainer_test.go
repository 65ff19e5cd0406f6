package functions_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers/npz"
)

// fixture is one case of functions_io.npz.
type fixture struct {
	x, y, gy []*tensor.Dense
	gx       []*tensor.Dense // nil where Chainer gives none
}

func loadFixtures(t *testing.T) map[string]*fixture {
	t.Helper()
	entries, err := npz.ReadFile("testdata/functions_io.npz")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*fixture{}
	arrays := map[string]*tensor.Dense{}
	for _, e := range entries {
		arrays[e.Name] = dense(t, e.Array)
		name, _, _ := strings.Cut(e.Name, ":")
		out[name] = &fixture{}
	}
	for name, c := range out {
		for i := 0; arrays[fmt.Sprintf("%s:x%d", name, i)] != nil; i++ {
			c.x = append(c.x, arrays[fmt.Sprintf("%s:x%d", name, i)])
			c.gx = append(c.gx, arrays[fmt.Sprintf("%s:gx%d", name, i)])
		}
		for i := 0; arrays[fmt.Sprintf("%s:y%d", name, i)] != nil; i++ {
			c.y = append(c.y, arrays[fmt.Sprintf("%s:y%d", name, i)])
			c.gy = append(c.gy, arrays[fmt.Sprintf("%s:gy%d", name, i)])
		}
		if mask := arrays[name+":mask"]; mask != nil {
			c.x, c.gx = append(c.x, mask), append(c.gx, nil)
		}
	}
	return out
}

func dense(t *testing.T, a npz.Array) *tensor.Dense {
	t.Helper()
	var d *tensor.Dense
	var err error
	switch data := a.Data.(type) {
	case []float32:
		d, err = nn.NewArray(data, a.Shape...)
	case []int32:
		d, err = nn.NewArray(data, a.Shape...)
	case []bool:
		d, err = nn.NewArray(data, a.Shape...)
	default:
		t.Fatalf("fixture array of type %v", a.Type)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// compare reports the first element that is off by more than absolute +
// relative*|want|.
func compare(t *testing.T, what string, got, want *tensor.Dense, absolute, relative float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: nothing computed", what)
		return
	}
	if !slices.Equal(got.Shape(), want.Shape()) {
		t.Errorf("%s: shape %v, want %v", what, got.Shape(), want.Shape())
		return
	}
	g, w := nn.Floats(got), nn.Floats(want)
	for i := range w {
		if d := math.Abs(float64(g[i]) - float64(w[i])); !(d <= absolute+relative*math.Abs(float64(w[i]))) {
			t.Errorf("%s: element %d is %v, want %v", what, i, g[i], w[i])
			return
		}
	}
}

// TestAgainstChainer computes every case forward and backward on a recycling
// tape that hands out poisoned memory, so that a forgotten element shows.
func TestAgainstChainer(t *testing.T) {
	for name, c := range loadFixtures(t) {
		t.Run(name, func(t *testing.T) {
			run, ok := chainerCases[name]
			if !ok {
				t.Fatal("no function for this case")
			}
			tape := nn.NewTape(nn.Train, nn.Recycle(), nn.CheckFinite())
			for range 2 { // the second time in used memory
				x := make(vars, len(c.x))
				for i := range c.x {
					x[i] = tape.Variable(c.x[i])
				}
				y := run(x)
				checkOutputs(t, y, c)
				if hasGradients(c) {
					checkGradients(t, tape, x, y, c)
				}
				tape.Release()
			}
		})
	}
}

func hasGradients(c *fixture) bool {
	return slices.ContainsFunc(c.gx, func(g *tensor.Dense) bool { return g != nil })
}

func checkOutputs(t *testing.T, y vars, c *fixture) {
	t.Helper()
	if len(y) != len(c.y) {
		t.Fatalf("%d outputs, want %d", len(y), len(c.y))
	}
	for i, v := range y {
		if v.Err() != nil {
			t.Fatal(v.Err())
		}
		compare(t, fmt.Sprintf("y%d", i), v.Data(), c.y[i], 1e-5, 1e-4)
	}
}

// checkGradients goes back from sum(y*gy).
func checkGradients(t *testing.T, tape *nn.Tape, x, y vars, c *fixture) {
	t.Helper()
	terms := make(vars, len(y))
	for i, v := range y {
		terms[i] = f.ExpandDims(f.Sum(f.Mul(v, tape.Input(c.gy[i]))), 0)
	}
	if err := f.Sum(f.Concat(terms, 0)).Backward(); err != nil {
		t.Fatal(err)
	}
	for i, want := range c.gx {
		if want != nil {
			compare(t, fmt.Sprintf("gx%d", i), x[i].Grad(), want, 1e-4, 1e-3)
		}
	}
}

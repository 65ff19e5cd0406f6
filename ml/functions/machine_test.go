package functions_test

import (
	"fmt"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
)

// machine runs a traced function and its gradients in Gorgonia's TapeMachine.
// forward returns its outputs followed by a scalar to differentiate, which may
// be left out. It returns the outputs' values and the gradients by the float
// inputs.
func machine(t *testing.T, forward func(x vars) vars, differentiate bool, inputs ...*tensor.Dense) (out, grads []*tensor.Dense) {
	t.Helper()
	trace, err := graph.Record(nn.Train, forward, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.Build(trace, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range g.Inputs {
		if err := gorgonia.Let(n, inputs[i]); err != nil {
			t.Fatal(err)
		}
	}
	var wrt, dwrt gorgonia.Nodes
	if differentiate {
		for i, n := range g.Inputs {
			if inputs[i].Dtype() == tensor.Float32 {
				wrt = append(wrt, n)
			}
		}
		if dwrt, err = gorgonia.Grad(g.Outputs[len(g.Outputs)-1], wrt...); err != nil {
			t.Fatal(err)
		}
	}
	vm := gorgonia.NewTapeMachine(g.Expr)
	defer vm.Close()
	for range 2 { // the second run must not see the first one's state
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		out, grads = nil, nil
		for _, n := range g.Outputs {
			out = append(out, value(t, n))
		}
		for _, n := range dwrt {
			grads = append(grads, value(t, n))
		}
		vm.Reset()
	}
	return out, grads
}

func value(t *testing.T, n *gorgonia.Node) *tensor.Dense {
	t.Helper()
	switch v := n.Value().(type) {
	case *tensor.Dense:
		return v.Clone().(*tensor.Dense)
	case *gorgonia.F32:
		return tensor.New(tensor.WithShape(), tensor.WithBacking([]float32{float32(*v)}))
	default:
		t.Fatalf("node %v has the value %T", n, v)
		return nil
	}
}

// TestTapeMachineAgainstChainer runs every case of Chainer's in Gorgonia's
// machine and differentiates it with gorgonia.Grad.
func TestTapeMachineAgainstChainer(t *testing.T) {
	for name, c := range loadFixtures(t) {
		t.Run(name, func(t *testing.T) {
			forward := func(x vars) vars {
				y := chainerCases[name](x)
				if !hasGradients(c) {
					return y
				}
				terms := make(vars, len(y))
				for i, v := range y {
					terms[i] = f.ExpandDims(f.Sum(f.Mul(v, v.Tape().Input(c.gy[i]))), 0)
				}
				return append(y, f.Sum(f.Concat(terms, 0)))
			}
			out, grads := machine(t, forward, hasGradients(c), c.x...)
			for i, want := range c.y {
				compare(t, fmt.Sprintf("y%d", i), out[i], want, 1e-5, 1e-4)
			}
			for i := range c.x {
				if c.x[i].Dtype() != tensor.Float32 || len(grads) == 0 {
					continue
				}
				if c.gx[i] != nil {
					compare(t, fmt.Sprintf("gx%d", i), grads[0], c.gx[i], 1e-4, 1e-3)
				}
				grads = grads[1:]
			}
		})
	}
}

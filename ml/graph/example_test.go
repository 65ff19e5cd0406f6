package graph_test

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
)

// A forward pass written as Go code becomes a list of operations, which
// Gorgonia's machine runs.
func Example() {
	w := nn.NewParameter("l1/W", nn.Values([]float32{1, 2, 3, 4, -5, -6}), 3, 2)
	forward := func(x []*nn.Variable) []*nn.Variable {
		return []*nn.Variable{functions.ReLU(functions.Linear(x[0], &w.Variable, nil))}
	}
	x, err := nn.NewArray([]float32{1, 1}, 1, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	trace, err := graph.Record(nn.Evaluate, forward, x)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(trace)
	g, err := graph.Build(trace, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := gorgonia.Let(g.Inputs[0], x); err != nil {
		fmt.Println(err)
		return
	}
	vm := gorgonia.NewTapeMachine(g.Expr)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(g.Outputs[0].Value().Data())
	// Output:
	// %2 (1, 3) = Linear{} %0 l1/W
	// %3 (1, 3) = ReLU{} %2
	// [3 7 0]
}

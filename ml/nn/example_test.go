package nn_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// A loop builds the network that it walks through, and Backward follows it
// back.
func Example() {
	w := nn.NewParameter("W", nn.Values([]float32{2}), 1)
	tape := nn.NewTape(nn.Train)
	y := nn.From(tape, []float32{5}, 1)
	for range 3 {
		y = functions.Mul(y, &w.Variable) // 5*w^3
	}
	if err := y.Backward(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(y.Float(), w.GradFloats())
	// Output: 40 [60]
}

// A mistake anywhere in a network is one error at its end, which names the
// layer, the shapes and the line of user code.
func ExampleVariable_Backward_error() {
	w := nn.NewParameter("predictor/l1/W", nn.LeCunNormal(), 10, 784)
	images := nn.From(nn.NewTape(nn.Train), make([]float32, 2*783), 2, 783)
	h := functions.ReLU(functions.Linear(images, &w.Variable, nil))
	loss := functions.Sum(h)
	fmt.Println(loss.Backward())
	// Output:
	// nn/example_test.go:32: Linear (layer predictor/l1): shapes do not fit: x has 783 columns, W wants 784; given (2, 783), predictor/l1/W (10, 784)
}

// Evaluation neither drops nor records.
func ExampleNewTape() {
	for _, mode := range []nn.Mode{nn.Train, nn.Evaluate} {
		tape := nn.NewTape(mode, nn.Seed(7))
		x := nn.From(tape, []float32{1, 1, 1, 1, 1, 1}, 6)
		fmt.Println(functions.Dropout(x, 0.5).Floats())
	}
	// Output:
	// [2 0 2 0 0 2]
	// [1 1 1 1 1 1]
}

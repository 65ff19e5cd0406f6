package compile_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

func Example() {
	pool := func(x *nn.Variable) *nn.Variable { return functions.MaxPooling2D(x, 2) }
	net := links.Sequential(
		links.Convolution2D(8, 5), functions.ReLU, pool,
		links.Linear(10), functions.Softmax)

	model, err := compile.Network(net.Forward, 1, 28, 28)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(model)

	worker := model.NewWorker(32) // one for each goroutine
	y, err := worker.Run(make([]float32, 3*28*28), 3)
	fmt.Println(len(y), err)
	// Output:
	// conv 5x5 1 to 8 + ReLU + max 2x2 (8, 12, 12) NHWC
	// -- all rows
	// dense 1152x10 (10)
	// softmax (10)
	// 30 <nil>
}

package functions_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Shapes broadcast as in NumPy.
func ExampleAdd() {
	a := nn.From(nil, []float32{1, 2, 3, 4}, 2, 2)
	row := nn.From(nil, []float32{10, 20}, 2)
	fmt.Println(functions.Add(a, row).Floats())
	// Output: [11 22 13 24]
}

// x[1:, ::2] of a 2x3 array.
func ExampleGetItem() {
	x := nn.From(nil, []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	y := functions.GetItem(x, functions.From(1), functions.Every(functions.All(), 2))
	fmt.Println(y.Shape(), y.Floats())
	// Output: (1, 2) [4 6]
}

// Options say what differs from a 1x1 step without padding.
func ExampleConvolution2D() {
	x := nn.From(nil, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 3, 3)
	w := nn.From(nil, []float32{1, 1, 1, 1}, 1, 1, 2, 2)
	fmt.Println(functions.Convolution2D(x, w, nil).Floats())
	fmt.Println(functions.Convolution2D(x, w, nil, functions.Stride(2), functions.Padding(1)).Floats())
	// Output:
	// [12 16 24 28]
	// [1 5 11 28]
}

// The loss of scores against labels, and how many are right.
func ExampleSoftmaxCrossEntropy() {
	scores := nn.From(nil, []float32{5, 0, 0, 5, 0, 5}, 3, 2)
	labels := nn.From(nil, []int32{0, 1, 0}, 3)
	fmt.Printf("%.3f\n", functions.SoftmaxCrossEntropy(scores, labels).Float())
	fmt.Printf("%.3f\n", functions.Accuracy(scores, labels).Float())
	// Output:
	// 1.673
	// 0.667
}

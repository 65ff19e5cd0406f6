package kernel_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
)

// A dense layer, y = relu(x W' + b), with Chainer's weights of outputs x inputs.
func ExamplePackB() {
	w := []float32{
		1, 2,
		3, 4,
		-5, -6,
	}
	layer := kernel.PackB(w, 2, 3, true)
	y := make([]float32, 3)
	layer.Mul(1, []float32{1, 1}, 2, []float32{0.5, 0.5, 0.5}, kernel.ReLUActivation, y, 3)
	fmt.Println(y)
	// Output: [3.5 7.5 0]
}

// A convolution, its ReLU and the pooling behind it in one step.
func ExamplePackConv() {
	shape := kernel.ConvShape{C: 1, H: 3, W: 3, OC: 1, KH: 2, KW: 2, StrideH: 1, StrideW: 1}
	half := &kernel.PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	conv, err := kernel.PackConv(shape, []float32{1, 0, 0, -1}, nil, kernel.ReLUActivation, half)
	if err != nil {
		fmt.Println(err)
		return
	}
	h, w, c := conv.Out()
	y := make([]float32, h*w*c)
	conv.Run(1, []float32{9, 8, 7, 6, 5, 4, 3, 2, 1}, y)
	fmt.Println(h, w, c, y)
	// Output: 1 1 1 [4]
}

// Gradients of y = x W' + b use the same product with other transposes.
func ExampleGemm() {
	x, gy := []float32{1, 2, 3, 4}, []float32{1, 0, 0, 1} // 2 rows of 2
	gw := make([]float32, 4)
	kernel.Gemm(true, false, 2, 2, 2, 1, gy, 2, x, 2, 0, gw, 2)
	fmt.Println(gw)
	// Output: [1 2 3 4]
}

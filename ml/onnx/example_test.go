package onnx_test

import (
	"fmt"
	"os"

	"github.com/hibana-engine/hibana/ml/onnx"
)

func Example() {
	data, err := os.ReadFile("testdata/cnn_bn_dropout_torch_opset13.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := onnx.Compile(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(model.InputShape(), model.OutputShape())
	y, err := model.NewWorker(8).Run(make([]float32, 2*model.InputLen()), 2)
	fmt.Println(len(y), err)
	// Output:
	// [1 14 17] [10]
	// 20 <nil>
}

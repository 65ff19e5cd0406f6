package datasets

import (
	"sync"

	"github.com/hibana-engine/hibana/ml/datasets/mnist"
)

// MNIST gives the 60,000 training and 10,000 test images of handwritten
// digits. An example's shape is (1, 28, 28) and its values go from 0
// (background) to 1 (ink). The images are shipped inside the program and
// unpacked when the first example is asked for.
func MNIST() (train, test Dataset[Example]) {
	return digits(60_000, mnist.Train), digits(10_000, mnist.Test)
}

func digits(n int, unpack func() (mnist.Set, error)) Dataset[Example] {
	load := sync.OnceValues(unpack)
	shape := []int{1, mnist.Rows, mnist.Cols}
	return Func(n, func(i int) (Example, error) {
		set, err := load()
		if err != nil {
			return Example{}, err
		}
		return Example{X: GreyToFloat(set.Image(i)), Shape: shape, Label: int32(set.Labels[i])}, nil
	})
}

// GreyToFloat maps bytes 0 to 255 to values 0 to 1.
func GreyToFloat(pixels []byte) []float32 {
	out := make([]float32, len(pixels))
	for i, p := range pixels {
		out[i] = float32(p) / 255
	}
	return out
}

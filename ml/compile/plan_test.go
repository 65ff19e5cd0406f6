package compile_test

import (
	"strings"
	"testing"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// TestImagesBehindDenseLayers: what works on images behind a dense layer stays in the
// part of the program that runs for few rows.
func TestImagesBehindDenseLayers(t *testing.T) {
	numbers, head := linear("numbers", 4), linear("head", 3)
	excited := func(x *nn.Variable) *nn.Variable {
		return f.Mul(x, f.Reshape(f.Sigmoid(numbers(flat(f.MeanKeepDims(x, 2, 3)))), x.Dim(0), 4, 1, 1))
	}
	n := network{"excited", chain(conv("c", 4, 3), excited, flat, head), []int{2, 6, 6}}
	exactly(t, n)
	if s := compiled(t, n).String(); !strings.Contains(s, "Mul per channel (4, 4, 4) NHWC\n-- all rows\ndense 64x3") {
		t.Errorf("the program is\n%s", s)
	}
}

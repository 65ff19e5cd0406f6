package compile_test

import (
	"testing"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// TestBlocksOfNumbers: a function of single elements has one block for each of its
// constants, and those that come to nothing none.
func TestBlocksOfNumbers(t *testing.T) {
	const block = 4096 // bytes
	weights := func(rest ...func(x *nn.Variable) *nn.Variable) int {
		return compiled(t, network{"", chain(append([]func(x *nn.Variable) *nn.Variable{conv("c", 4, 3), f.ReLU}, rest...)...), []int{2, 6, 6}}).WeightBytes()
	}
	var factors []func(x *nn.Variable) *nn.Variable
	for range 6 {
		factors = append(factors, mul(4, 1, 1))
	}
	sum := func(x *nn.Variable) *nn.Variable { // takes more temporary blocks than there are
		y := f.Tanh(x)
		for _, g := range factors {
			y = f.Sub(g(x), y)
		}
		return y
	}
	plain := weights()
	if got := weights(factors[0]) - plain; got != block {
		t.Errorf("factors take %d bytes, want %d", got, block)
	}
	if got := weights(norm("n", 4)) - plain; got != 2*block {
		t.Errorf("a normalisation takes %d bytes, want %d", got, 2*block)
	}
	if got := weights(sum) - plain; got != 6*block {
		t.Errorf("a function cut in parts takes %d bytes, want %d", got, 6*block)
	}
	exactly(t, network{"sum", chain(conv("c", 4, 3), f.ReLU, sum), []int{2, 6, 6}})
}

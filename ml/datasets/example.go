package datasets

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Example is an input with the class that it belongs to.
type Example struct {
	// X holds the input's values, row-major.
	X []float32
	// Shape is X's shape without a batch axis, such as (1, 28, 28) for a grey
	// image: (channel, height, width).
	Shape []int
	// Label is the class, counted from 0.
	Label int32
	// Name says in messages which example it is, such as its file; "" if it has
	// no name.
	Name string
}

// describe writes name and shape for a message.
func (e Example) describe() string {
	text := fmt.Sprintf("has shape %s with %d values", nn.FormatShape(e.Shape), len(e.X))
	if e.Name != "" {
		return e.Name + " " + text
	}
	return text
}

// Stack copies the inputs of a batch into one array with a leading batch axis,
// float32 (n, Shape...), and the labels into another, int32 (n). All examples
// must have the same shape.
func Stack(batch []Example) (x, labels *tensor.Dense, err error) {
	if len(batch) == 0 {
		return nil, nil, fmt.Errorf("stacking a batch: it is empty")
	}
	first := batch[0]
	size := len(first.X)
	values := make([]float32, len(batch)*size)
	classes := make([]int32, len(batch))
	for i, e := range batch {
		if !slices.Equal(e.Shape, first.Shape) || len(e.X) != size {
			hint := ""
			if len(e.Shape) == 3 && len(first.Shape) == 3 {
				hint = "; datasets.Images scales images to its Height and Width"
			}
			return nil, nil, fmt.Errorf("stacking a batch: example %d %s, the first %s%s", i, e.describe(), first.describe(), hint)
		}
		copy(values[i*size:], e.X)
		classes[i] = e.Label
	}
	if x, err = nn.NewArray(values, append([]int{len(batch)}, first.Shape...)...); err != nil {
		return nil, nil, fmt.Errorf("stacking a batch: %w", err)
	}
	if labels, err = nn.NewArray(classes, len(batch)); err != nil {
		return nil, nil, fmt.Errorf("stacking a batch: %w", err)
	}
	return x, labels, nil
}

package links

import (
	"iter"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Report takes the values that a network wants to have seen beside its loss,
// such as the accuracy. A nil Report takes nothing. It is chainer.report
// without the global reporter.
type Report struct{ values map[string]float64 }

// Add reports the value of a variable with one element. A failed variable is
// left out: its error is found where the loss is used.
func (r *Report) Add(name string, v *nn.Variable) {
	if r != nil && v.Err() == nil {
		r.AddValue(name, float64(v.Float()))
	}
}

// AddValue reports a number.
func (r *Report) AddValue(name string, value float64) {
	if r == nil {
		return
	}
	if r.values == nil {
		r.values = map[string]float64{}
	}
	r.values[name] = value
}

// All walks over the reported values in the order of their names.
func (r *Report) All() iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for _, name := range slices.Sorted(maps.Keys(r.values)) {
			if !yield(name, r.values[name]) {
				return
			}
		}
	}
}

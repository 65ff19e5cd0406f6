package functions

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// Index selects from one axis in [GetItem]; positions below zero count from the
// end, as in Python.
type Index struct {
	from, until, step int
	open              bool // until the end
	drop              bool // one element, the axis disappears
}

// All selects a whole axis: x[:].
func All() Index { return Index{step: 1, open: true} }

// At selects one element and removes the axis: x[i].
func At(i int) Index { return Index{from: i, step: 1, drop: true} }

// From selects what follows an element: x[from:].
func From(from int) Index { return Index{from: from, step: 1, open: true} }

// Until selects what precedes an element: x[:until].
func Until(until int) Index { return Index{until: until, step: 1} }

// Span selects a range: x[from:until].
func Span(from, until int) Index { return Index{from: from, until: until, step: 1} }

// Every takes each step-th element of a selection, step >= 1: x[::step] is
// Every(All(), step).
func Every(i Index, step int) Index {
	i.step = step
	return i
}

// String writes the index as Python does, in its brackets.
func (i Index) String() string {
	if i.drop {
		return fmt.Sprintf("[%d]", i.from)
	}
	text := ":"
	if i.from != 0 {
		text = fmt.Sprint(i.from, text)
	}
	if !i.open {
		text += fmt.Sprint(i.until)
	}
	if i.step != 1 {
		text += fmt.Sprint(":", i.step)
	}
	return "[" + text + "]"
}

// GetItem selects from the first axes of x; the others stay whole.
// GetItem(x, From(1), Every(All(), 2)) is x[1:, ::2].
func GetItem(x *nn.Variable, indices ...Index) *nn.Variable {
	s := x.Shape()
	if x.Shape() == nil || len(indices) > len(s) {
		return invalid("GetItem", nn.ShapeErrorf("%d indices", len(indices)), x)
	}
	ranges := make([]op.Range, len(indices))
	for i, index := range indices {
		r, ok := index.resolve(s[i])
		if !ok {
			return invalid("GetItem", nn.ShapeErrorf("%v selects nothing from axis %d of %d", index, i, s[i]), x)
		}
		ranges[i] = r
	}
	return nn.Apply1(op.Slice{Ranges: ranges}, x)
}

// resolve applies an index to an axis of n elements, with Python's clamping of
// ranges.
func (i Index) resolve(n int) (op.Range, bool) {
	from, until := i.from, i.until
	if from < 0 {
		from += n
	}
	if i.drop {
		return op.Range{From: from, Count: 1, Step: 1, Drop: true}, from >= 0 && from < n
	}
	if until < 0 {
		until += n
	}
	if i.open || until > n {
		until = n
	}
	from = max(from, 0)
	if i.step < 1 || from >= until {
		return op.Range{}, false
	}
	return op.Range{From: from, Count: (until - from + i.step - 1) / i.step, Step: i.step}, true
}

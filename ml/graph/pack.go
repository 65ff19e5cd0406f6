package graph

import (
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// pack makes one Gorgonia value of a call's arrays: the only one as it is, or a
// vector of all, since a Gorgonia node has one value.
func pack(arrays []*tensor.Dense, packed nn.Spec) gorgonia.Value {
	if len(arrays) == 1 {
		return toValue(arrays[0])
	}
	if packed.Dtype == tensor.Int32 {
		return packAs(arrays, packed, nn.Ints)
	}
	if packed.Dtype == tensor.Bool {
		return packAs(arrays, packed, nn.Bools)
	}
	return packAs(arrays, packed, nn.Floats)
}

func packAs[T nn.Element](arrays []*tensor.Dense, packed nn.Spec, elements func(*tensor.Dense) []T) gorgonia.Value {
	all := make([]T, 0, packed.Size())
	for _, a := range arrays {
		all = append(all, elements(a)...)
	}
	return tensor.New(tensor.WithShape(packed.Shape...), tensor.WithBacking(all))
}

// unpackAll is the reverse of pack for gradients; a single array stays as it is.
func unpackAll(packed *tensor.Dense, specs []nn.Spec) []*tensor.Dense {
	if len(specs) == 1 {
		return []*tensor.Dense{packed}
	}
	out := make([]*tensor.Dense, len(specs))
	offset := 0
	for i, s := range specs {
		out[i] = cut(packed, offset, s)
		offset += s.Size()
	}
	return out
}

// cut copies an array out of a packed vector.
func cut(packed *tensor.Dense, offset int, s nn.Spec) *tensor.Dense {
	until := offset + s.Size()
	var data any
	switch packed.Dtype() {
	case tensor.Float32:
		data = slices.Clone(nn.Floats(packed)[offset:until])
	case tensor.Int32:
		data = slices.Clone(nn.Ints(packed)[offset:until])
	default:
		data = slices.Clone(nn.Bools(packed)[offset:until])
	}
	return tensor.New(tensor.WithShape(s.Shape...), tensor.WithBacking(data))
}

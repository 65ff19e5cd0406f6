package op

import (
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// layout says where the elements of an array lie in memory: element
// (i0, i1, ...) at offset + i0*stride[0] + i1*stride[1] + .... A stride of 0
// repeats an element, a negative one goes backward. Most array operations are
// a copy between two layouts of one shape.
type layout struct {
	offset int
	stride []int
}

// rowMajor is the layout of a dense array.
func rowMajor(shape []int) layout {
	stride := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		stride[i] = n
		n *= shape[i]
	}
	return layout{stride: stride}
}

// broadcast is the layout in which an array of the given shape looks like a
// larger one: missing leading and size 1 dimensions repeat (NumPy's rule).
func broadcast(shape, to []int) layout {
	l := rowMajor(shape)
	stride := make([]int, len(to))
	shift := len(to) - len(shape)
	for i, d := range shape {
		if d != 1 || to[shift+i] == 1 {
			stride[shift+i] = l.stride[i]
		}
	}
	return layout{stride: stride}
}

// broadcastShape is the shape that both broadcast to.
func broadcastShape(a, b []int) ([]int, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := slices.Clone(a)
	shift := len(a) - len(b)
	for i, d := range b {
		switch {
		case out[shift+i] == d || d == 1:
		case out[shift+i] == 1:
			out[shift+i] = d
		default:
			return nil, nn.ShapeErrorf("%s and %s differ in a dimension that is not 1", nn.FormatShape(a), nn.FormatShape(b))
		}
	}
	return out, nil
}

// walk calls f for each run along the last dimension of shape, with where the
// run starts in both layouts; its n elements are da and db apart.
func walk(shape []int, a, b layout, f func(a, b, n, da, db int)) {
	dims := len(shape)
	if dims == 0 {
		f(a.offset, b.offset, 1, 1, 1)
		return
	}
	n, da, db := shape[dims-1], a.stride[dims-1], b.stride[dims-1]
	index := make([]int, dims-1)
	oa, ob := a.offset, b.offset
	for {
		f(oa, ob, n, da, db)
		d := dims - 2
		for ; d >= 0; d-- {
			index[d]++
			oa += a.stride[d]
			ob += b.stride[d]
			if index[d] < shape[d] {
				break
			}
			oa -= shape[d] * a.stride[d]
			ob -= shape[d] * b.stride[d]
			index[d] = 0
		}
		if d < 0 {
			return
		}
	}
}

// move copies the elements of shape from one layout to another.
func move[T any](dst []T, to layout, src []T, from layout, shape []int) {
	walk(shape, to, from, func(d, s, n, dd, ds int) {
		switch {
		case dd == 1 && ds == 1:
			copy(dst[d:d+n], src[s:s+n])
			return
		case dd == 1 && ds == 0:
			run, v := dst[d:d+n], src[s]
			for i := range run {
				run[i] = v
			}
			return
		}
		for ; n > 0; n-- {
			dst[d] = src[s]
			d += dd
			s += ds
		}
	})
}

// moveArray is move for arrays of any element type.
func moveArray(dst *tensor.Dense, to layout, src *tensor.Dense, from layout, shape []int) {
	switch dst.Dtype() {
	case tensor.Float32:
		move(nn.Floats(dst), to, nn.Floats(src), from, shape)
	case tensor.Int32:
		move(nn.Ints(dst), to, nn.Ints(src), from, shape)
	default:
		move(nn.Bools(dst), to, nn.Bools(src), from, shape)
	}
}

// accumulate adds the elements of shape in one layout to those in another.
func accumulate(dst []float32, to layout, src []float32, from layout, shape []int) {
	walk(shape, to, from, func(d, s, n, dd, ds int) {
		switch {
		case dd == 1 && ds == 1:
			kernel.Add(dst[d:d+n], dst[d:d+n], src[s:])
			return
		case dd == 0 && ds == 1:
			dst[d] += kernel.Sum(src[s : s+n])
			return
		case dd == 0:
			var sum float64
			for ; n > 0; n-- {
				sum += float64(src[s])
				s += ds
			}
			dst[d] += float32(sum)
			return
		}
		for ; n > 0; n-- {
			dst[d] += src[s]
			d += dd
			s += ds
		}
	})
}

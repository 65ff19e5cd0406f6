package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// resizing is a Resize or Upsample that is being read. Every mode treats one axis
// after another.
type resizing struct {
	*importer
	mode, coordinates, nearest string
	cubic                      float64
	exclude, antialias         bool

	crop [][2]float64 // by axis, the part of it that is resized: tf_crop_and_resize
}

// resize reads Resize and Upsample.
func resize(im *importer, in []value) ([]value, error) {
	r := resizing{importer: im, mode: im.attrString("mode", "nearest"), cubic: float64(im.attrFloat("cubic_coeff_a", -0.75)),
		exclude: im.attr("exclude_outside", 0) != 0, antialias: im.attr("antialias", 0) != 0}
	if im.opset < 11 { // the attributes came then
		r.coordinates, r.nearest = "asymmetric", "floor"
	} else {
		r.coordinates = im.attrString("coordinate_transformation_mode", "half_pixel")
		r.nearest = im.attrString("nearest_mode", "round_prefer_floor")
	}
	if r.mode == "bilinear" && im.opset < 9 {
		r.mode = "linear"
	}
	x := in[0]
	scales, sizes, err := r.targets(in)
	if err != nil {
		return nil, err
	}
	if r.coordinates == "tf_crop_and_resize" {
		return r.cropped(in, scales, sizes)
	}
	return one(r.each(x, scales, sizes))
}

// each resizes one axis after another.
func (r resizing) each(x value, scales []float64, sizes []int) (value, error) {
	for axis, scale := range scales {
		if sizes[axis] == x.shape[axis] && scale == 1 && r.crop == nil {
			continue
		}
		var err error
		if x, err = r.axis(x, axis, sizes[axis], scale); err != nil {
			return value{}, err
		}
	}
	return x, nil
}

// cropped resizes a part of each axis, which input 1 gives by its begin and end; what
// lies outside the array has one value.
func (r resizing) cropped(in []value, scales []float64, sizes []int) ([]value, error) {
	x := in[0]
	rank := len(x.shape)
	axes, err := r.axes(rank)
	if err != nil {
		return nil, err
	}
	if len(in) < 2 || r.data(in[1]) == nil || elements(in[1].shape) != 2*len(axes) || !isFloat(x.dtype) {
		return nil, fmt.Errorf("%w: coordinate_transformation_mode %q of %s needs input 1, roi, of %d floats that are known when the file is read", ErrUnsupported, r.coordinates, typeName(x.dtype), 2*len(axes))
	}
	roi := r.data(in[1]).Float32s()
	r.crop = slices.Repeat([][2]float64{{0, 1}}, rank)
	for i, a := range axes {
		r.crop[a] = [2]float64{float64(roi[i]), float64(roi[i+len(axes)])}
	}
	y, err := r.each(x, scales, sizes)
	if err != nil {
		return nil, err
	}
	c := &calls{importer: r.importer}
	for axis, n := range sizes {
		inside, all := make([]float32, n), true
		for i := range inside {
			p := r.cropPlace(axis, float64(i), float64(x.shape[axis]), float64(n))
			if p >= 0 && p <= float64(x.shape[axis]-1) {
				inside[i] = 1
			} else {
				all = false
			}
		}
		if all {
			continue
		}
		shape := slices.Repeat([]int{1}, rank)
		shape[axis] = n
		mask, err := r.floats("", inside, shape)
		if err != nil {
			return nil, err
		}
		y = c.do(op.Select{}, mask, y, c.number(r.attrFloat("extrapolation_value", 0)))
	}
	return c.results(y)
}

// cropPlace is where output element i lies among n input elements of a cropped axis.
func (r resizing) cropPlace(axis int, i, n, size float64) float64 {
	start, end := r.crop[axis][0], r.crop[axis][1]
	if size > 1 {
		return start*(n-1) + i*(end-start)*(n-1)/(size-1)
	}
	return (start + end) / 2 * (n - 1)
}

// axes are those that are resized, in the order of scales and sizes.
func (r resizing) axes(rank int) ([]int, error) {
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	if list := r.attrInts("axes"); list != nil {
		if _, err := axesOf(list, rank); err != nil {
			return nil, err
		}
		axes = axes[:len(list)]
		for i, a := range list {
			axes[i], _ = axis(a, rank)
		}
	}
	return axes, nil
}

// targets returns by what each axis is scaled, and to which size.
func (r resizing) targets(in []value) (scales []float64, sizes []int, err error) {
	shape := in[0].shape
	rank := len(shape)
	scales, sizes = slices.Repeat([]float64{1}, rank), slices.Clone(shape)
	axes, err := r.axes(rank)
	if err != nil {
		return nil, nil, err
	}
	at := 2
	if r.opset < 11 {
		at = 1
	}
	if given, ok, err := r.list(in, 3, ""); err != nil || ok {
		if err != nil {
			return nil, nil, err
		}
		return scales, sizes, r.bySizes(given, shape, axes, scales, sizes)
	}
	by := r.node.attrs["scales"]
	var factors []float32
	switch {
	case has(in, at) && r.data(in[at]) != nil:
		factors = r.data(in[at]).Float32s()
	case by != nil:
		factors = by.floats
	default:
		return nil, nil, fmt.Errorf("%w: scales or sizes must be known when the file is read", ErrUnsupported)
	}
	if len(factors) != len(axes) {
		return nil, nil, fmt.Errorf("%w: %d scales for %d axes", ErrFormat, len(factors), len(axes))
	}
	for i, a := range axes {
		scales[a] = float64(factors[i])
		n := math.Floor(float64(shape[a]) * scales[a])
		if !(n >= 1 && n <= math.MaxInt32) {
			return nil, nil, fmt.Errorf("%w: an axis of %d scaled by %v", ErrFormat, shape[a], scales[a])
		}
		sizes[a] = int(n)
	}
	return scales, sizes, nil
}

// bySizes scales axes to sizes, or all by one factor so that none is larger, or
// smaller, than said.
func (r resizing) bySizes(given []int64, shape, axes []int, scales []float64, sizes []int) error {
	if len(given) != len(axes) {
		return fmt.Errorf("%w: %d sizes for %d axes", ErrFormat, len(given), len(axes))
	}
	var all []float64
	for i, a := range axes {
		if given[i] < 1 || given[i] > math.MaxInt32 {
			return fmt.Errorf("%w: sizes %v", ErrFormat, given)
		}
		sizes[a] = int(given[i])
		scales[a] = float64(given[i]) / float64(shape[a])
		all = append(all, scales[a])
	}
	var factor float64
	switch policy := r.attrString("keep_aspect_ratio_policy", "stretch"); policy {
	case "stretch":
		return nil
	case "not_larger":
		factor = slices.Min(all)
	case "not_smaller":
		factor = slices.Max(all)
	default:
		return fmt.Errorf("%w: keep_aspect_ratio_policy %q", ErrFormat, policy)
	}
	for _, a := range axes {
		scales[a] = factor
		sizes[a] = int(math.Floor(factor*float64(shape[a]) + 0.5))
	}
	return nil
}

// axis resizes one axis.
func (r resizing) axis(x value, axis, size int, scale float64) (value, error) {
	n := x.shape[axis]
	if size > r.left/(elements(x.shape)/n) {
		return value{}, r.beyond("%s with axis %d resized to %d", shapeName(x.shape), axis, size)
	}
	places := make([]float64, size)
	for i := range places {
		if r.crop != nil {
			places[i] = r.cropPlace(axis, float64(i), float64(n), float64(size))
			places[i] = min(max(places[i], 0), float64(n-1)) // outside it counts for nothing
			continue
		}
		var err error
		if places[i], err = r.place(float64(i), float64(n), float64(size), scale); err != nil {
			return value{}, err
		}
	}
	if r.mode == "nearest" {
		index := make([]int32, size)
		for i, p := range places {
			k, err := r.round(p)
			if err != nil {
				return value{}, err
			}
			index[i] = int32(min(max(k, 0), float64(n-1)))
		}
		return r.apply(op.Take{Axis: axis, Index: index}, x)
	}
	if !isFloat(x.dtype) && x.dtype != 0 {
		return value{}, fmt.Errorf("%w: mode %q of %s", ErrUnsupported, r.mode, typeName(x.dtype))
	}
	support, weight, err := r.filter(scale)
	if err != nil {
		return value{}, err
	}
	taps := 2 * int(math.Ceil(support))
	if taps > maxSide {
		return value{}, fmt.Errorf("%w: an axis scaled by %v, with windows of %d elements, the most is %d", ErrTooLarge, scale, taps, maxSide)
	}
	if taps*size > r.left {
		return value{}, r.beyond("an axis of %d windows of %d elements", size, taps)
	}
	o := op.Resample{Axis: axis, Taps: taps}
	for _, p := range places {
		index, weights := r.taps(p, n, taps, weight)
		o.Index, o.Weight = append(o.Index, index...), append(o.Weight, weights...)
	}
	return r.apply(o, x)
}

// place is where output element i lies among n input elements.
func (r resizing) place(i, n, size, scale float64) (float64, error) {
	half := (i+0.5)/scale - 0.5
	switch r.coordinates {
	case "half_pixel":
		return half, nil
	case "pytorch_half_pixel":
		if size == 1 {
			return 0, nil
		}
		return half, nil
	case "align_corners":
		if size == 1 {
			return 0, nil
		}
		if math.Abs(scale*n-size) > 1e-6*size {
			return 0, fmt.Errorf("%w: align_corners with an axis of %v scaled by %v, which runtimes place differently", ErrUnsupported, n, scale)
		}
		return i * (n - 1) / (size - 1), nil
	case "asymmetric":
		return i / scale, nil
	case "half_pixel_symmetric":
		return n/2*(1-size/(scale*n)) + half, nil
	case "tf_half_pixel_for_nn":
		return (i + 0.5) / scale, nil
	}
	return 0, fmt.Errorf("%w: coordinate_transformation_mode %q", ErrUnsupported, r.coordinates)
}

// round is the element that is nearest to a place.
func (r resizing) round(p float64) (float64, error) {
	switch r.nearest {
	case "round_prefer_floor":
		return math.Ceil(p - 0.5), nil
	case "round_prefer_ceil":
		return math.Floor(p + 0.5), nil
	case "floor":
		return math.Floor(p), nil
	case "ceil":
		return math.Ceil(p), nil
	}
	return 0, fmt.Errorf("%w: nearest_mode %q", ErrFormat, r.nearest)
}

// filter is the weight of an element by its distance, and how far it reaches. An
// antialiased one reaches over as many elements as become one.
func (r resizing) filter(scale float64) (support float64, weight func(d float64) float64, err error) {
	switch a := r.cubic; r.mode {
	case "linear":
		support, weight = 1, func(d float64) float64 { return math.Max(0, 1-math.Abs(d)) }
	case "cubic":
		support, weight = 2, func(d float64) float64 {
			switch d = math.Abs(d); {
			case d < 1:
				return ((a+2)*d-(a+3))*d*d + 1
			case d < 2:
				return a * (((d-5)*d+8)*d - 4)
			}
			return 0
		}
	default:
		return 0, nil, fmt.Errorf("%w: mode %q", ErrFormat, r.mode)
	}
	if !r.antialias || scale >= 1 {
		return support, weight, nil
	}
	narrow := weight
	return support / scale, func(d float64) float64 { return narrow(d * scale) }, nil
}

// taps are the elements around a place with their weights; those outside are the
// outermost, or nothing.
func (r resizing) taps(p float64, n, taps int, weight func(d float64) float64) ([]int32, []float32) {
	first := math.Floor(p) - float64(taps/2) + 1
	index, weights, sum := make([]int32, taps), make([]float64, taps), 0.0
	for k := range taps {
		at := first + float64(k)
		weights[k] = weight(at - p)
		if r.exclude && (at < 0 || at >= float64(n)) {
			weights[k] = 0
		}
		index[k] = int32(min(max(at, 0), float64(n-1)))
		sum += weights[k]
	}
	out := make([]float32, taps)
	for k, w := range weights {
		if r.exclude || r.antialias {
			w /= sum
		}
		out[k] = float32(w)
	}
	return index, out
}

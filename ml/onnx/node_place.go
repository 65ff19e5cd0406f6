package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// tile reads Tile.
func tile(im *importer, in []value) ([]value, error) {
	list, _, err := im.list(in, 1, "")
	if err != nil {
		return nil, err
	}
	if len(list) != len(in[0].shape) {
		return nil, fmt.Errorf("%w: %d repeats for %s", ErrFormat, len(list), shapeName(in[0].shape))
	}
	reps := make([]int, len(list))
	for i, n := range list {
		if n < 1 || n > maxReshaped {
			return nil, fmt.Errorf("%w: repeats %v", ErrUnsupported, list)
		}
		reps[i] = int(n)
	}
	return one(im.apply(op.Tile{Reps: reps}, in[0]))
}

// blocks reads DepthToSpace and SpaceToDepth.
func blocks(im *importer, in []value) ([]value, error) {
	x, b := in[0].shape, int(im.attr("blocksize", 0))
	if len(x) != 4 || b < 1 || b > maxSide {
		return nil, fmt.Errorf("%w: blocks of %d of %s", ErrFormat, b, shapeName(x))
	}
	n, c, h, w := x[0], x[1], x[2], x[3]
	calls := &calls{importer: im}
	if im.node.op == "SpaceToDepth" {
		if h%b != 0 || w%b != 0 {
			return nil, fmt.Errorf("%w: blocks of %d of %s", ErrFormat, b, shapeName(x))
		}
		order := []int{0, 3, 5, 1, 2, 4}
		switch mode := im.attrString("mode", "DCR"); mode {
		case "DCR":
		case "CRD":
			order = []int{0, 1, 3, 5, 2, 4}
		default:
			return nil, fmt.Errorf("%w: mode %q", ErrFormat, mode)
		}
		y := calls.do(op.Transpose{Axes: order}, calls.shaped(in[0], n, c, h/b, b, w/b, b))
		return calls.results(calls.shaped(y, n, c*b*b, h/b, w/b))
	}
	if c%(b*b) != 0 {
		return nil, fmt.Errorf("%w: blocks of %d of %s", ErrFormat, b, shapeName(x))
	}
	d := c / (b * b)
	var y value
	switch mode := im.attrString("mode", "DCR"); mode {
	case "DCR":
		y = calls.do(op.Transpose{Axes: []int{0, 3, 4, 1, 5, 2}}, calls.shaped(in[0], n, b, b, d, h, w))
	case "CRD":
		y = calls.do(op.Transpose{Axes: []int{0, 1, 4, 2, 5, 3}}, calls.shaped(in[0], n, d, b, b, h, w))
	default:
		return nil, fmt.Errorf("%w: mode %q", ErrFormat, mode)
	}
	return calls.results(calls.shaped(y, n, d, h*b, w*b))
}

// oneHot reads OneHot with a known depth.
func oneHot(im *importer, in []value) ([]value, error) {
	index, depth, values := in[0], in[1], in[2]
	n, err := im.knownNumber(depth)
	if err != nil || n < 1 || n > maxInts {
		return nil, fmt.Errorf("%w: input 1, the depth, is %d, want a number that is known when the file is read: %v", ErrUnsupported, n, err)
	}
	rank := len(index.shape) + 1
	a, err := axis(im.attr("axis", -1), rank)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(values.shape, []int{2}) {
		return nil, fmt.Errorf("%w: values have the shape %s, want (2)", ErrFormat, shapeName(values.shape))
	}
	c := &calls{importer: im}
	index = c.shaped(index, slices.Insert(slices.Clone(index.shape), a, 1)...)
	if c.err == nil && index.isInt() {
		index, c.err = im.asFloats(index)
	}
	if c.err == nil && values.isInt() {
		values, c.err = im.asFloats(values)
	}
	if c.err != nil {
		return nil, c.err
	}
	places, err := im.counting(rank, a, int(n))
	if err != nil {
		return nil, err
	}
	below := c.do(op.Zip{Function: "Less"}, index, c.number(0))
	index = c.do(op.Add{}, index, c.do(op.Affine{Scale: float32(n)}, below))
	hit := c.do(op.Zip{Function: "Equal"}, index, places)
	off := c.do(op.Slice{Ranges: []op.Range{{From: 0, Count: 1, Step: 1}}}, values)
	on := c.do(op.Slice{Ranges: []op.Range{{From: 1, Count: 1, Step: 1}}}, values)
	y := c.do(op.Select{}, hit, on, off)
	y.dtype = in[2].dtype
	return c.results(y)
}

// knownNumber is one number that is known when the file is read.
func (im *importer) knownNumber(v value) (int64, error) {
	if v.isInt() && len(v.ints) == 1 {
		return v.ints[0], nil
	}
	if d := im.data(v); d != nil && elements(v.shape) == 1 {
		return int64(d.Float32s()[0]), nil
	}
	return 0, fmt.Errorf("%w: it isn't one", ErrUnsupported)
}

// eyeLike reads EyeLike.
func eyeLike(im *importer, in []value) ([]value, error) {
	s := in[0].shape
	if len(s) != 2 || elements(s) > maxInts {
		return nil, fmt.Errorf("%w: a matrix of shape %s", ErrUnsupported, shapeName(s))
	}
	k, ints := im.attr("k", 0), make([]int64, elements(s))
	for i := range ints {
		if int64(i%s[1])-int64(i/s[1]) == k {
			ints[i] = 1
		}
	}
	dtype := im.attr("dtype", in[0].dtype)
	if !isNumber(dtype) {
		return nil, fmt.Errorf("%w: elements of %s", ErrUnsupported, typeName(dtype))
	}
	return []value{{index: -1, shape: slices.Clone(s), ints: ints, dtype: dtype}}, nil
}

// indices are known integers, below zero from behind, of an axis of n elements.
func indices(v value, n int) ([]int, error) {
	if !v.isInt() {
		return nil, fmt.Errorf("%w: indices must be known when the file is read", ErrUnsupported)
	}
	out := make([]int, len(v.ints))
	for i, k := range v.ints {
		var err error
		if out[i], err = axis(k, n); err != nil {
			return nil, fmt.Errorf("%w: index %d of %d", ErrFormat, k, n)
		}
	}
	return out, nil
}

// takeFlat picks elements by their numbers.
func (im *importer) takeFlat(x value, at []int32, shape []int) (value, error) {
	if len(at) == 0 {
		return value{}, fmt.Errorf("%w: no index", ErrUnsupported)
	}
	y, err := im.reshape(x, []int{elements(x.shape)})
	if err == nil {
		y, err = im.apply(op.Take{Index: at}, y)
	}
	if err != nil {
		return value{}, err
	}
	return im.reshape(y, shape)
}

// strides are how far apart the elements of each axis lie.
func strides(shape []int) []int {
	out, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = n
		n *= shape[i]
	}
	return out
}

// alongAxis are the numbers of the elements of an array of shape that indices of
// another shape choose along an axis.
func alongAxis(index []int, of, shape []int, axis int) ([]int32, error) {
	if err := within(of, shape, axis); err != nil {
		return nil, err
	}
	at, from, to := make([]int32, len(index)), strides(of), strides(shape)
	for i, k := range index {
		n := k * to[axis]
		for d := range of {
			if d != axis {
				n += i / from[d] % of[d] * to[d]
			}
		}
		at[i] = int32(n)
	}
	return at, nil
}

// within refuses indices of an axis that are more than there are elements along another one.
func within(of, shape []int, axis int) error {
	wrong := len(of) != len(shape)
	for i := 0; i < len(of) && !wrong; i++ {
		wrong = i != axis && of[i] > shape[i]
	}
	if wrong {
		return fmt.Errorf("%w: indices of shape %s for %s", ErrFormat, shapeName(of), shapeName(shape))
	}
	return nil
}

// gatherElements reads GatherElements.
func gatherElements(im *importer, in []value) ([]value, error) {
	a, err := axis(im.attr("axis", 0), len(in[0].shape))
	if err != nil {
		return nil, err
	}
	if in[1].whole() {
		return one(im.takeAlong(in[0], in[1], a))
	}
	index, err := indices(in[1], in[0].shape[a])
	if err != nil {
		return nil, err
	}
	at, err := alongAxis(index, in[1].shape, in[0].shape, a)
	if err != nil {
		return nil, err
	}
	return one(im.takeFlat(in[0], at, in[1].shape))
}

// takeAlong picks elements of an axis by numbers that depend on the row; along the other
// axes there may be fewer of them.
func (im *importer) takeAlong(x, index value, a int) (value, error) {
	if err := within(index.shape, x.shape, a); err != nil {
		return value{}, err
	}
	ranges := make([]op.Range, len(x.shape))
	for i, n := range index.shape {
		ranges[i] = whole(n)
	}
	ranges[a] = whole(x.shape[a])
	c := &calls{importer: im}
	return c.do(op.TakeAlong{Axis: a}, c.do(op.Slice{Ranges: ranges}, x), index), c.err
}

// scatterElements reads ScatterElements and Scatter with known indices.
func scatterElements(im *importer, in []value) ([]value, error) {
	a, err := axis(im.attr("axis", 0), len(in[0].shape))
	if err != nil {
		return nil, err
	}
	index, err := indices(in[1], in[0].shape[a])
	if err != nil {
		return nil, err
	}
	at, err := alongAxis(index, in[1].shape, in[0].shape, a)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(in[1].shape, in[2].shape) {
		return nil, fmt.Errorf("%w: indices of shape %s and updates of %s", ErrFormat, shapeName(in[1].shape), shapeName(in[2].shape))
	}
	return one(im.scatter(in[0], in[2], at))
}

// scatter puts updates at the elements of these numbers.
func (im *importer) scatter(x, updates value, at []int32) (value, error) {
	if err := sameTypes(x, updates); err != nil {
		return value{}, err
	}
	if r := im.attrString("reduction", "none"); r != "none" {
		return im.scatterTo(r, x, updates, at)
	}
	n := elements(x.shape)
	from := make([]int32, n)
	for i := range from {
		from[i] = int32(i)
	}
	for i, k := range at {
		from[k] = int32(n + i)
	}
	c := &calls{importer: im}
	all := c.do(op.Concat{}, c.shaped(x, n), c.shaped(updates, len(at)))
	y := c.shaped(c.do(op.Take{Index: from}, all), x.shape...)
	return y, c.err
}

// scatterTo combines elements with their updates, as many for each as there are.
func (im *importer) scatterTo(reduction string, x, updates value, at []int32) (value, error) {
	o, ok := map[string]nn.Op{"add": op.Add{}, "mul": op.Mul{}, "min": op.Minimum{}, "max": op.Maximum{}}[reduction]
	if !ok {
		return value{}, fmt.Errorf("%w: reduction %q", ErrFormat, reduction)
	}
	n := elements(x.shape)
	c := &calls{importer: im}
	y, all := c.shaped(x, n), c.shaped(updates, len(at))
	for len(at) > 0 { // those that are the first for their element, then the second ones, ...
		if err := im.unroll(1); err != nil {
			return value{}, err
		}
		from, given := make([]int32, n), value{index: -1, shape: []int{n}, ints: make([]int64, n)}
		more := false
		for i, k := range at {
			switch {
			case k < 0: // has been
			case given.ints[k] != 0:
				more = true
			default:
				from[k], given.ints[k], at[i] = int32(i), 1, -1
			}
		}
		y = c.do(op.Select{}, given, c.do(o, y, c.do(op.Take{Index: from}, all)), y)
		if !more {
			break
		}
	}
	return c.shaped(y, x.shape...), c.err
}

// tensorScatter reads TensorScatter with known places: updates written into a cache
// from a place on, for each row another one.
func tensorScatter(im *importer, in []value) ([]value, error) {
	cache, update := in[0].shape, in[1].shape
	a, err := axis(im.attr("axis", -2), len(cache))
	if err != nil {
		return nil, err
	}
	want := slices.Clone(cache)
	if len(update) == len(cache) {
		want[a] = update[a]
	}
	if a == 0 || !slices.Equal(update, want) || update[a] > cache[a] {
		return nil, fmt.Errorf("%w: an update of shape %s of a cache of %s", ErrFormat, shapeName(update), shapeName(cache))
	}
	start := make([]int64, cache[0])
	if has(in, 2) {
		if !in[2].isInt() || len(in[2].ints) != cache[0] {
			return nil, fmt.Errorf("%w: input 2 must be %d integers that are known when the file is read", ErrUnsupported, cache[0])
		}
		start = in[2].ints
	}
	mode := im.attrString("mode", "linear")
	if mode != "linear" && mode != "circular" {
		return nil, fmt.Errorf("%w: mode %q", ErrFormat, mode)
	}
	size := int64(cache[a])
	at, from, to := make([]int32, elements(update)), strides(update), strides(cache)
	for i := range at {
		n := 0
		for d := range update {
			p := int64(i / from[d] % update[d])
			if d == a {
				if p += start[i/from[0]]; mode == "circular" {
					p = (p%size + size) % size
				}
				if p < 0 || p >= size {
					return nil, fmt.Errorf("%w: place %d of %d", ErrFormat, p, size)
				}
			}
			n += int(p) * to[d]
		}
		at[i] = int32(n)
	}
	return one(im.scatter(in[0], in[1], at))
}

// manyAxes are the numbers of the first of the elements that known indices of
// several axes choose, and the shape behind those axes.
func manyAxes(index value, shape []int, batch int) (at []int, rest []int, err error) {
	r := len(index.shape)
	if !index.isInt() {
		return nil, nil, fmt.Errorf("%w: indices must be known when the file is read", ErrUnsupported)
	}
	if r == 0 || r-1 < batch || index.shape[r-1]+batch > len(shape) || index.shape[r-1] < 1 || !slices.Equal(index.shape[:batch], shape[:batch]) {
		return nil, nil, fmt.Errorf("%w: indices of shape %s for %s", ErrFormat, shapeName(index.shape), shapeName(shape))
	}
	k, step := index.shape[r-1], strides(shape)
	each := elements(index.shape[batch : r-1]) // tuples of each element of the batch
	for i := 0; i < len(index.ints); i += k {
		n := 0
		if batch > 0 {
			n = i / k / each * step[batch-1]
		}
		for d, v := range index.ints[i : i+k] {
			p, err := axis(v, shape[batch+d])
			if err != nil {
				return nil, nil, fmt.Errorf("%w: index %d of %d", ErrFormat, v, shape[batch+d])
			}
			n += p * step[batch+d]
		}
		at = append(at, n)
	}
	return at, shape[batch+k:], nil
}

// spread turns the numbers of first elements into those of all of n behind each.
func spread(at []int, n int) []int32 {
	out := make([]int32, 0, len(at)*n)
	for _, a := range at {
		for i := range n {
			out = append(out, int32(a+i))
		}
	}
	return out
}

// gatherND reads GatherND with known indices.
func gatherND(im *importer, in []value) ([]value, error) {
	batch := im.attr("batch_dims", 0)
	if batch < 0 || batch >= int64(min(len(in[0].shape), len(in[1].shape))) {
		return nil, fmt.Errorf("%w: batch_dims %d", ErrFormat, batch)
	}
	at, rest, err := manyAxes(in[1], in[0].shape, int(batch))
	if err != nil {
		return nil, err
	}
	if len(at)*elements(rest) > im.left {
		return nil, im.beyond("%d slices of shape %s", len(at), shapeName(rest))
	}
	shape := slices.Concat(in[1].shape[:len(in[1].shape)-1], rest)
	return one(im.takeFlat(in[0], spread(at, elements(rest)), shape))
}

// scatterND reads ScatterND with known indices.
func scatterND(im *importer, in []value) ([]value, error) {
	at, rest, err := manyAxes(in[1], in[0].shape, 0)
	if err != nil {
		return nil, err
	}
	if want := slices.Concat(in[1].shape[:len(in[1].shape)-1], rest); !slices.Equal(want, in[2].shape) {
		return nil, fmt.Errorf("%w: updates of shape %s, want %s", ErrFormat, shapeName(in[2].shape), shapeName(want))
	}
	return one(im.scatter(in[0], in[2], spread(at, elements(rest))))
}

package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// The longest signals: of those that aren't a power of two each element of the
// result takes all of the signal.
const maxSignal, maxOddSignal = 1 << 16, 1 << 13

// dft reads DFT.
func dft(im *importer, in []value) ([]value, error) {
	x := in[0]
	rank := len(x.shape)
	at := im.attr("axis", 1)
	if im.opset >= 20 {
		at = -2
		if has(in, 2) {
			n, err := im.knownNumber(in[2])
			if err != nil {
				return nil, fmt.Errorf("input 2, the axis: %w", err)
			}
			at = n
		}
	}
	a, err := axis(at, rank)
	if err != nil {
		return nil, err
	}
	if a == rank-1 || rank < 2 {
		return nil, fmt.Errorf("%w: axis %d of %s, whose last one has the parts of a number", ErrFormat, a, shapeName(x.shape))
	}
	o := op.DFT{Length: x.shape[a], Inverse: im.attr("inverse", 0) != 0, OneSided: im.attr("onesided", 0) != 0}
	if o.OneSided && o.Inverse {
		o.Length = 2 * (x.shape[a] - 1)
	}
	if has(in, 1) {
		if o.Length, err = im.knownSize(in, 1, maxSignal); err != nil {
			return nil, err
		}
	}
	axes := make([]int, 0, rank) // the signal's behind the others
	for i := range rank - 1 {
		if i != a {
			axes = append(axes, i)
		}
	}
	axes = append(axes, a, rank-1)
	c := &calls{importer: im}
	y := c.do(op.Transpose{Axes: axes}, x)
	if c.err != nil {
		return nil, c.err
	}
	others := y.shape[:rank-2]
	y = c.spectrum(o, c.shaped(y, elements(others), x.shape[a], x.shape[rank-1]))
	if c.err != nil {
		return nil, c.err
	}
	y = c.shaped(y, slices.Concat(others, y.shape[1:])...)
	back := make([]int, rank)
	for i, k := range axes {
		back[k] = i
	}
	return c.results(c.do(op.Transpose{Axes: back}, y))
}

// spectrum transforms signals of (N, n, parts).
func (c *calls) spectrum(o op.DFT, x value) value {
	n := o.Length
	if c.err == nil && (n < 1 || n > maxSignal || n&(n-1) != 0 && n > maxOddSignal) {
		c.err = fmt.Errorf("%w: a transform of %d elements, the most is %d, or %d where it isn't a power of two", ErrUnsupported, n, maxSignal, maxOddSignal)
	}
	return c.do(o, x)
}

// stft reads STFT: the spectrum of each frame of a signal.
func stft(im *importer, in []value) ([]value, error) {
	x := in[0]
	c := &calls{importer: im}
	if len(x.shape) == 2 {
		x = c.shaped(x, x.shape[0], x.shape[1], 1)
	}
	if c.err != nil || len(x.shape) != 3 {
		return nil, fmt.Errorf("%w: a signal of shape %s: %v", ErrFormat, shapeName(in[0].shape), c.err)
	}
	step, err := im.knownSize(in, 1, x.shape[1])
	if err != nil {
		return nil, err
	}
	length := x.shape[1]
	switch {
	case has(in, 3):
		if length, err = im.knownSize(in, 3, x.shape[1]); err != nil {
			return nil, err
		}
	case has(in, 2) && len(in[2].shape) == 1:
		length = in[2].shape[0]
	}
	if length > x.shape[1] || has(in, 2) && !slices.Equal(in[2].shape, []int{length}) {
		return nil, fmt.Errorf("%w: frames of %d, %d apart, of a signal of %d", ErrFormat, length, step, x.shape[1])
	}
	frames := (x.shape[1]-length)/step + 1
	if frames > im.left/length {
		return nil, im.beyond("a signal as %d frames of %d elements", frames, length)
	}
	index := make([]int32, 0, frames*length)
	for f := range frames {
		for i := range length {
			index = append(index, int32(f*step+i))
		}
	}
	batch, parts := x.shape[0], x.shape[2]
	y := c.shaped(c.do(op.Take{Axis: 1, Index: index}, x), batch*frames, length, parts)
	if has(in, 2) {
		y = c.do(op.Mul{}, y, c.shaped(in[2], length, 1))
	}
	y = c.spectrum(op.DFT{Length: length, OneSided: im.attr("onesided", 1) != 0}, y)
	if c.err != nil {
		return nil, c.err
	}
	return c.results(c.shaped(y, batch, frames, y.shape[1], 2))
}

// window reads HannWindow, HammingWindow and BlackmanWindow.
func window(im *importer, in []value) ([]value, error) {
	n, err := im.knownSize(in, 0, maxInts)
	if err != nil {
		return nil, err
	}
	size := float64(n)
	if im.attr("periodic", 1) == 0 {
		size--
	}
	v := make([]float32, n)
	for i := range v {
		turn := 2 * math.Pi * float64(i) / size
		if size == 0 { // a window of one element
			turn = math.Pi
		}
		switch im.node.op {
		case "HannWindow":
			v[i] = float32(0.5 - 0.5*math.Cos(turn))
		case "HammingWindow":
			v[i] = float32(25./46 - 21./46*math.Cos(turn))
		default:
			v[i] = float32(0.42 - 0.5*math.Cos(turn) + 0.08*math.Cos(2*turn))
		}
	}
	return im.table(v, []int{len(v)})
}

// table is an array of floats that an operator makes of known numbers.
func (im *importer) table(v []float32, shape []int) ([]value, error) {
	dtype := im.attr("output_datatype", typeFloat)
	if !isFloat(dtype) {
		return nil, fmt.Errorf("%w: elements of %s", ErrUnsupported, typeName(dtype))
	}
	return one(im.typed(dtype)(im.floats("", v, shape)))
}

// knownSize is a size, input i, that is known when the file is read.
func (im *importer) knownSize(in []value, i, most int) (int, error) {
	n, err := im.knownNumber(in[i])
	if err != nil || n < 1 || n > int64(most) {
		return 0, fmt.Errorf("%w: input %d must be a number from 1 to %d that is known when the file is read", ErrUnsupported, i, most)
	}
	return int(n), nil
}

// mel reads MelWeightMatrix: how much each bin of a spectrum counts for each band
// of what ears tell apart.
func mel(im *importer, in []value) ([]value, error) {
	var v [5]float64 // bands, length of the transform, samples a second, edges
	for i, x := range in {
		var err error
		if v[i], err = im.knownFloat(x); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
	}
	bands, bins := int(v[0]), int(v[1])/2+1
	low, high := 2595*math.Log10(1+v[3]/700), 2595*math.Log10(1+v[4]/700)
	if bands < 1 || bands > maxSide || !(v[1] >= 1) || bins > maxSignal || bands*bins > im.left || !(v[2] > 0) || !(v[3] >= 0) || !(high > low) {
		return nil, fmt.Errorf("%w: %d bands of %d bins, from %v to %v Hz of %v", ErrUnsupported, bands, bins, v[3], v[4], v[2])
	}
	edges := make([]int, bands+2)
	for i := range edges {
		hertz := 700 * (math.Pow(10, (float64(i)*(high-low)/float64(len(edges))+low)/2595) - 1)
		edge := math.Floor((v[1] + 1) * hertz / v[2])
		if edge < 0 || edge >= float64(bins) {
			return nil, fmt.Errorf("%w: %v Hz, which a transform of %v hasn't got at %v samples a second", ErrFormat, hertz, v[1], v[2])
		}
		edges[i] = int(edge)
	}
	out := make([]float32, bins*bands)
	for b := range bands {
		from, center, to := edges[b], edges[b+1], edges[b+2]
		if from == center {
			out[center*bands+b] = 1
		}
		for k := from; k <= center && from < center; k++ {
			out[k*bands+b] = float32(k-from) / float32(center-from)
		}
		for k := center; k < to; k++ {
			out[k*bands+b] = float32(to-k) / float32(to-center)
		}
	}
	return im.table(out, []int{bins, bands})
}

// knownFloat is one number that is known when the file is read.
func (im *importer) knownFloat(v value) (float64, error) {
	if d := im.data(v); d != nil && elements(v.shape) == 1 {
		return float64(d.Float32s()[0]), nil
	}
	n, err := im.knownNumber(v)
	return float64(n), err
}

// det reads Det.
func det(im *importer, in []value) ([]value, error) {
	s := in[0].shape
	r := len(s)
	if r < 2 || s[r-1] != s[r-2] || s[r-1] > maxSquare {
		return nil, fmt.Errorf("%w: matrices of shape %s, want square ones of at most %d", ErrUnsupported, shapeName(s), maxSquare)
	}
	c := &calls{importer: im}
	y := c.do(op.Det{}, c.shaped(in[0], elements(s[:r-2]), s[r-1], s[r-1]))
	return c.results(c.shaped(y, s[:r-2]...))
}

// maxSquare bounds matrices whose cost grows with the cube of their side.
const maxSquare = 1 << 10

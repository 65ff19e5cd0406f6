package op

import (
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
)

// GridSample takes images, lines or volumes at places that lie between their
// elements. A place has its last axis first, as (x, y) or (x, y, z), and is counted
// from -1 to 1: with Align from the first element's centre to the last one's, else
// from the first element's outer edge to the last one's. With Elements it is counted in
// elements, from 0 at the first one's centre. Mode is "nearest", "linear"
// or "cubic". Outside, Padding says what is there: "zeros", the outermost element
// ("border") or the elements mirrored ("reflection"). It has no gradient. Inputs
// x (N, C, ...) and the places (N, ..., r) for its r axes behind the channels;
// output (N, C, ...) of the places' axes.
type GridSample struct {
	Mode, Padding string
	Align         bool
	Elements      bool
}

func (GridSample) Name() string { return "GridSample" }

// Rowwise says that it keeps images apart.
func (GridSample) Rowwise() {}

func (o GridSample) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "x", "grid"); err != nil {
		return nil, err
	}
	x, grid := in[0].Shape, in[1].Shape
	if len(x) < 3 || len(grid) != len(x) || grid[0] != x[0] || grid[len(grid)-1] != len(x)-2 {
		return nil, nn.ShapeErrorf("want x (N, C, ...) and places (N, ..., r) for r axes behind the channels")
	}
	if !slices.Contains([]string{"nearest", "linear", "cubic"}, o.Mode) {
		return nil, nn.ValueErrorf("mode %q", o.Mode)
	}
	if !slices.Contains([]string{"zeros", "border", "reflection"}, o.Padding) {
		return nil, nn.ValueErrorf("padding %q", o.Padding)
	}
	return one(slices.Concat([]int{x[0], x[1]}, grid[1:len(grid)-1])...), nil
}

func (o GridSample) Forward(c *nn.Call) error {
	x := c.In[0].Shape()
	sizes, channels := x[2:], x[1]
	each, rank := size(sizes), len(sizes)
	places := size(c.Out[0].Shape()[2:])
	stride := rowMajor(sizes).stride
	taps, along := make([]sample, 0, 128), make([]sample, 0, 4)
	for i := range x[0] * places {
		n, p := i/places, i%places
		taps = append(taps[:0], sample{0, 1})
		for axis, length := range sizes {
			at := c.X(1)[i*rank+rank-1-axis]
			along = o.axis(along[:0], at, length)
			taps = spreadSamples(taps, along, stride[axis])
		}
		for ch := range channels {
			image := c.X(0)[(n*channels+ch)*each:][:each]
			sum := float32(0)
			for _, t := range taps {
				sum += t.weight * image[t.at]
			}
			c.Y(0)[(n*channels+ch)*places+p] = sum
		}
	}
	return nil
}

// sample is an element with its weight.
type sample struct {
	at     int
	weight float32
}

// spreadSamples are the elements that those of the axes before become along one more.
func spreadSamples(taps, along []sample, stride int) []sample {
	n := len(taps)
	for _, t := range taps[:n:n] {
		for _, a := range along {
			taps = append(taps, sample{t.at + a.at*stride, t.weight * a.weight})
		}
	}
	return append(taps[:0], taps[n:]...)
}

// axis appends the elements of an axis that make the one at a place.
func (o GridSample) axis(taps []sample, at float32, length int) []sample {
	x, low, high := ((at+1)*float32(length)-1)/2, float32(-0.5), float32(length)-0.5
	switch {
	case o.Elements:
		x = at
	case o.Align:
		x, low, high = (at+1)/2*float32(length-1), 0, float32(length-1)
	}
	if o.Mode == "nearest" {
		x = float32(math.RoundToEven(float64(x)))
	}
	if x < low || x > high {
		switch o.Padding {
		case "border":
			x = min(max(x, 0), float32(length-1))
		case "reflection":
			x = mirrored(x, low, high)
		}
	}
	if x != x || math.Abs(float64(x)) > math.MaxInt32 { // nothing is near it
		if x != x {
			taps = append(taps, sample{0, x})
		}
		return taps
	}
	first := int(math.Floor(float64(x)))
	d := x - float32(first)
	weights, n := [4]float32{1}, 1
	switch o.Mode {
	case "linear":
		weights, n = [4]float32{1 - d, d}, 2
	case "cubic":
		first--
		weights, n = cubicWeights(d), 4
	}
	for i, w := range weights[:n] {
		k := first + i
		switch {
		case o.Padding == "reflection":
			k = int(mirrored(float32(k), low, high))
		case o.Padding == "zeros" && (k < 0 || k >= length):
			continue
		}
		taps = append(taps, sample{min(max(k, 0), length-1), w})
	}
	return taps
}

// mirrored folds a place back between two borders.
func mirrored(x, low, high float32) float32 {
	span := high - low
	if span <= 0 {
		return low
	}
	if x >= low && x <= high {
		return x
	}
	away := float64(low - x)
	if x > high {
		away = float64(x - high)
	}
	rest := float32(math.Mod(away, float64(span)))
	if back := math.Mod(math.Floor(away/float64(span)), 2) == 0; back == (x < low) {
		return low + rest
	}
	return high - rest
}

// cubicWeights are those of the elements around a place at a distance from the
// second, by Keys' cubic with a = -0.75.
func cubicWeights(d float32) [4]float32 {
	const a = -0.75
	near := func(d float32) float32 { return ((a+2)*d-(a+3))*d*d + 1 }
	far := func(d float32) float32 { return ((a*d-5*a)*d+8*a)*d - 4*a }
	return [4]float32{far(1 + d), near(d), near(1 - d), far(2 - d)}
}

// FoldAdd adds up elements that come to lie on one another: element i along the last
// axis is added to element At[i] of the Size that the result has there; below 0 it
// is left out. It has no gradient. Input x (N, ..., len(At)); output (N, ..., Size).
type FoldAdd struct {
	At   []int32
	Size int
}

func (FoldAdd) Name() string { return "FoldAdd" }

// Rowwise says that it keeps rows apart.
func (FoldAdd) Rowwise() {}

func (o FoldAdd) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	shape := slices.Clone([]int(in[0].Shape))
	last := len(shape) - 1
	if last < 1 || shape[last] != len(o.At) || o.Size < 1 {
		return nil, nn.ShapeErrorf("want (N, ..., %d)", len(o.At))
	}
	for _, k := range o.At {
		if int(k) >= o.Size {
			return nil, nn.ShapeErrorf("place %d of %d", k, o.Size)
		}
	}
	shape[last] = o.Size
	return one(shape...), nil
}

func (o FoldAdd) Forward(c *nn.Call) error {
	x, y := c.X(0), c.Y(0)
	clear(y)
	for ; len(x) > 0; x, y = x[len(o.At):], y[o.Size:] {
		for i, k := range o.At {
			if k >= 0 {
				y[k] += x[i]
			}
		}
	}
	return nil
}

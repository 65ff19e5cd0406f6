package datasets

import (
	"math"
	"math/rand/v2"
)

// Augment changes each example at random, in every pass anew, so that an epoch
// never shows the same image twice. The random numbers depend on seed, the index
// and the pass alone, so a run repeats exactly, whatever order or goroutine asks,
// and goes on exactly from a snapshot.
func Augment[T any](d Dataset[T], seed uint64, f func(r *rand.Rand, v T) T) Dataset[T] {
	return computed[T]{d.Len(), func(i, pass int) (T, error) {
		v, err := AtPass(d, i, pass)
		if err != nil {
			return v, err
		}
		return f(rand.New(rand.NewPCG(seed, uint64(i)<<32|uint64(pass+1))), v), nil
	}}
}

// Jitter bounds a random change of an image's position. Zero fields leave the
// image as it is.
type Jitter struct {
	Shift  float64 // most pixels up, down, left and right
	Rotate float64 // most degrees either way
	Scale  float64 // most relative change of size; 0.1 means 0.9 to 1.1
}

// Apply returns a moved copy of an image example of shape (channel, height,
// width): rotated and scaled about its centre, then shifted, each by a uniform
// random amount within the bounds. Values between pixels are interpolated
// bilinearly, outside the image they are 0. It is meant for [Augment].
func (j Jitter) Apply(r *rand.Rand, e Example) Example {
	uniform := func(most float64) float64 { return (2*r.Float64() - 1) * most }
	angle := uniform(j.Rotate) * math.Pi / 180
	size := 1 + uniform(j.Scale)
	dx, dy := uniform(j.Shift), uniform(j.Shift)
	if len(e.Shape) != 3 {
		return e
	}
	height, width := e.Shape[1], e.Shape[2]
	out := Example{X: make([]float32, len(e.X)), Shape: e.Shape, Label: e.Label, Name: e.Name}
	sin, cos := math.Sincos(angle)
	cy, cx := float64(height-1)/2, float64(width-1)/2
	for y := range height {
		for x := range width {
			// Where this pixel comes from: the inverse of the movement.
			v, u := float64(y)-dy-cy, float64(x)-dx-cx
			fy := (cos*v-sin*u)/size + cy
			fx := (sin*v+cos*u)/size + cx
			for c := range e.Shape[0] {
				plane := e.X[c*height*width : (c+1)*height*width]
				out.X[(c*height+y)*width+x] = bilinear(plane, height, width, fy, fx)
			}
		}
	}
	return out
}

func bilinear(plane []float32, height, width int, y, x float64) float32 {
	y0, x0 := int(math.Floor(y)), int(math.Floor(x))
	fy, fx := float32(y-float64(y0)), float32(x-float64(x0))
	at := func(y, x int) float32 {
		if y < 0 || x < 0 || y >= height || x >= width {
			return 0
		}
		return plane[y*width+x]
	}
	top := at(y0, x0)*(1-fx) + at(y0, x0+1)*fx
	bottom := at(y0+1, x0)*(1-fx) + at(y0+1, x0+1)*fx
	return top*(1-fy) + bottom*fy
}

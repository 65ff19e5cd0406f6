package vision

import (
	"fmt"
	"math"
)

// Filter says how an image is scaled.
type Filter int

const (
	// Linear takes the four nearest pixels, as cv2.INTER_LINEAR and torch's "bilinear" do
	// (without align_corners): whatever an image is made smaller by.
	Linear Filter = iota
	// Antialias takes all pixels that a smaller image's pixel covers, as Pillow's
	// BILINEAR and torchvision's Resize do.
	Antialias
	// Nearest takes one pixel, as cv2.INTER_NEAREST and torch's "nearest" do.
	Nearest
	// NearestExact takes the pixel at the middle, as Pillow's NEAREST and torch's
	// "nearest-exact" do.
	NearestExact
)

// Resize scales an image. The centres of pixels are at a half.
func (m *Image) Resize(width, height int, f Filter) (*Image, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if width < 1 || height < 1 || width > maxPixels/height {
		return nil, fmt.Errorf("%w: %dx%d pixels scaled to %dx%d; the result has at least 1 and at most %d", ErrSize, m.Width, m.Height, width, height, maxPixels)
	}
	if f < Linear || f > NearestExact {
		return nil, fmt.Errorf("vision: filter %d is none; there are Linear, Antialias, Nearest and NearestExact", f)
	}
	across, down := newTaps(m.Width, width, f), newTaps(m.Height, height, f)
	if width == m.Width {
		across = nil
	}
	if height == m.Height {
		down = nil
	}
	// As Pillow, unless what is in between would be far larger than both images.
	if int64(width)*int64(m.Height) > 16*int64(m.Width)*int64(height) {
		return across.columns(down.rows(m)), nil
	}
	return down.rows(across.columns(m)), nil
}

// taps says of which pixels those of the result are made, along one axis.
type taps struct {
	from    []int   // the first pixel of each
	weights []int32 // n for each, together 1<<tapBits
	n       int
}

// tapBits is Pillow's PRECISION_BITS (Resample.c): a weight times a byte fits 31 bits.
const tapBits = 22

// newTaps is for an axis of in pixels that becomes one of out. nil taps change nothing.
func newTaps(in, out int, f Filter) *taps {
	t := &taps{from: make([]int, out), n: 1}
	scale := float64(in) / float64(out)
	switch f {
	case Linear:
		t.n = min(2, in)
	case Antialias:
		t.n = min(in, 2*int(math.Ceil(max(scale, 1)))+1)
	}
	t.weights = make([]int32, out*t.n)
	for i := range out {
		w := t.weights[i*t.n : (i+1)*t.n]
		switch f {
		case Linear:
			t.from[i] = linear(w, (float64(i)+0.5)*scale-0.5, in)
		case Antialias:
			t.from[i] = triangle(w, (float64(i)+0.5)*scale, max(scale, 1), in)
		case Nearest: // as OpenCV computes it
			t.from[i], w[0] = min(int(float64(i)/(float64(out)/float64(in))), in-1), 1<<tapBits
		case NearestExact:
			t.from[i], w[0] = min(int((float64(i)+0.5)*scale), in-1), 1<<tapBits
		}
	}
	return t
}

// linear weighs the two pixels beside a place and returns the first; beyond the edge
// the pixel at the edge counts alone.
func linear(w []int32, at float64, in int) int {
	at = min(max(at, 0), float64(in-1))
	from := min(int(at), in-len(w))
	second := int32(math.Round((at - float64(from)) * (1 << tapBits)))
	w[0] = 1<<tapBits - second
	if len(w) > 1 {
		w[1] = second
	}
	return from
}

// triangle weighs the pixels up to support from a centre and returns the first
// (precompute_coeffs and normalize_coeffs_8bpc of Pillow's Resample.c).
func triangle(w []int32, centre, support float64, in int) int {
	from := max(int(centre-support+0.5), 0)
	until := min(int(centre+support+0.5), in)
	weigh := func(i int) float64 { return max(0, 1-math.Abs((float64(i)-centre+0.5)/support)) }
	sum := 0.0
	for i := from; i < until; i++ {
		sum += weigh(i)
	}
	first := min(from, in-len(w)) // so that all weights are of pixels
	for i := from; i < until; i++ {
		w[i-first] = int32(0.5 + weigh(i)/sum*(1<<tapBits))
	}
	return first
}

// columns scales an image across.
func (t *taps) columns(m *Image) *Image {
	if t == nil {
		return m
	}
	out := NewImage(len(t.from), m.Height)
	to := 0
	for y := range m.Height {
		row := m.Pix[3*y*m.Width : 3*(y+1)*m.Width]
		for i, from := range t.from {
			r, g, b := int32(1<<(tapBits-1)), int32(1<<(tapBits-1)), int32(1<<(tapBits-1))
			p := row[3*from:]
			for k, w := range t.weights[i*t.n : (i+1)*t.n] {
				r += w * int32(p[3*k])
				g += w * int32(p[3*k+1])
				b += w * int32(p[3*k+2])
			}
			out.Pix[to], out.Pix[to+1], out.Pix[to+2] = level(r>>tapBits), level(g>>tapBits), level(b>>tapBits)
			to += 3
		}
	}
	return out
}

// rows scales an image down its height.
func (t *taps) rows(m *Image) *Image {
	if t == nil {
		return m
	}
	out := NewImage(m.Width, len(t.from))
	size := 3 * m.Width
	sums := make([]int32, size)
	for i, from := range t.from {
		for k := range sums {
			sums[k] = 1 << (tapBits - 1)
		}
		for k, w := range t.weights[i*t.n : (i+1)*t.n] {
			if w == 0 {
				continue
			}
			row := m.Pix[(from+k)*size:][:size]
			for x, v := range row {
				sums[x] += w * int32(v)
			}
		}
		to := out.Pix[i*size:][:size]
		for x, v := range sums {
			to[x] = level(v >> tapBits)
		}
	}
	return out
}

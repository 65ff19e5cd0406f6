package op

import "github.com/hibana-engine/hibana/ml/nn"

// Resize scales images bilinearly to H x W; corners fall on corners (Chainer's
// resize_images, align_corners). Input x (N, C, h, w); output (N, C, H, W).
type Resize struct{ H, W int }

func (Resize) Name() string { return "ResizeImages" }

func (o Resize) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkImages(in); err != nil {
		return nil, err
	}
	if o.H < 1 || o.W < 1 {
		return nil, nn.ShapeErrorf("size %dx%d", o.H, o.W)
	}
	return one(in[0].Shape[0], in[0].Shape[1], o.H, o.W), nil
}

// tap is an output position's place between two input positions.
type tap struct {
	lo, hi int
	t      float32 // weight of hi
}

func taps(from, to int) []tap {
	out := make([]tap, to)
	for i := range out {
		p := 0.0
		if to > 1 {
			p = float64(i) * float64(from-1) / float64(to-1)
		}
		lo := min(int(p), from-1)
		out[i] = tap{lo, min(lo+1, from-1), float32(p - float64(lo))}
	}
	return out
}

func (o Resize) Forward(c *nn.Call) error {
	s := c.In[0].Shape()
	x, y := c.X(0), c.Y(0)
	ys, xs := taps(s[2], o.H), taps(s[3], o.W)
	for p := range s[0] * s[1] {
		plane, out := x[p*s[2]*s[3]:], y[p*o.H*o.W:]
		for i, a := range ys {
			up, down := plane[a.lo*s[3]:], plane[a.hi*s[3]:]
			for j, b := range xs {
				u := up[b.lo] + (up[b.hi]-up[b.lo])*b.t
				d := down[b.lo] + (down[b.hi]-down[b.lo])*b.t
				out[i*o.W+j] = u + (d-u)*a.t
			}
		}
	}
	return nil
}

func (o Resize) Backward(c *nn.Call) error {
	s := c.In[0].Shape()
	gx, gy := c.GX(0), c.GY(0)
	ys, xs := taps(s[2], o.H), taps(s[3], o.W)
	clear(gx)
	for p := range s[0] * s[1] {
		plane, out := gx[p*s[2]*s[3]:], gy[p*o.H*o.W:]
		for i, a := range ys {
			up, down := plane[a.lo*s[3]:], plane[a.hi*s[3]:]
			for j, b := range xs {
				g := out[i*o.W+j]
				up[b.lo] += g * (1 - a.t) * (1 - b.t)
				up[b.hi] += g * (1 - a.t) * b.t
				down[b.lo] += g * a.t * (1 - b.t)
				down[b.hi] += g * a.t * b.t
			}
		}
	}
	return nil
}

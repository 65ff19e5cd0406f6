package op

import (
	"math"

	"github.com/hibana-engine/hibana/ml/nn"
)

func invRoot(v float32) float32 { return float32(1 / math.Sqrt(float64(v))) }

// L2Normalize divides by the length along Axis plus Eps. Input x; output of the
// same shape.
type L2Normalize struct {
	Axis int
	Eps  float32
}

func (L2Normalize) Name() string                              { return "Normalize" }
func (o L2Normalize) Outputs(in []nn.Spec) ([]nn.Spec, error) { return alongAxis(in, o.Axis) }

// vectors calls f with the first index of each vector along the axis.
func (o L2Normalize) vectors(c *nn.Call, f func(v, first, n, stride int)) {
	outer, n, inner := around(c.In[0], o.Axis)
	for i := range outer {
		for j := range inner {
			f(i*inner+j, i*n*inner+j, n, inner)
		}
	}
}

func (o L2Normalize) Forward(c *nn.Call) error {
	x, y := c.X(0), c.Y(0)
	outer, _, inner := around(c.In[0], o.Axis)
	norms := c.Keep(outer * inner)
	o.vectors(c, func(v, first, n, stride int) {
		var sum float64
		for k := first; k < first+n*stride; k += stride {
			sum += float64(x[k]) * float64(x[k])
		}
		norms[v] = float32(math.Sqrt(sum))
		for k := first; k < first+n*stride; k += stride {
			y[k] = x[k] / (norms[v] + o.Eps)
		}
	})
	c.Saved = norms
	return nil
}

// Backward takes the gradient of the length as 0 where the length is 0.
func (o L2Normalize) Backward(c *nn.Call) error {
	x, gy, gx := c.X(0), c.GY(0), c.GX(0)
	norms := c.Saved.([]float32)
	o.vectors(c, func(v, first, n, stride int) {
		var dot float64
		for k := first; k < first+n*stride; k += stride {
			dot += float64(x[k]) * float64(gy[k])
		}
		d := norms[v] + o.Eps
		along := float32(0)
		if norms[v] > 0 {
			along = float32(dot) / (norms[v] * d * d)
		}
		for k := first; k < first+n*stride; k += stride {
			gx[k] = gy[k]/d - x[k]*along
		}
	})
	return nil
}

// LocalResponseNorm divides by (K + Alpha*s)^Beta, where s sums the squares of
// the N channels around (Krizhevsky et al. 2012). Input x (N, C, ...); output of
// the same shape.
type LocalResponseNorm struct {
	N              int
	K, Alpha, Beta float32
}

func (LocalResponseNorm) Name() string { return "LocalResponseNormalization" }

func (o LocalResponseNorm) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if o.N < 1 {
		return nil, nn.ValueErrorf("%d channels", o.N)
	}
	out, err := sameShape(in)
	if err == nil && len(in[0].Shape) < 2 {
		err = nn.ShapeErrorf("want x (N, C, ...)")
	}
	return out, err
}

// sums adds v over the N channels around each channel.
func (o LocalResponseNorm) sums(c *nn.Call, dst, v []float32) {
	n, ch, inner := split3(c.In[0].Shape(), 1)
	half := o.N / 2
	clear(dst)
	for i := range n {
		for k := range ch {
			to := dst[(i*ch+k)*inner:][:inner]
			for j := max(0, k-half); j <= min(ch-1, k+half); j++ {
				for p, x := range v[(i*ch+j)*inner:][:inner] {
					to[p] += x
				}
			}
		}
	}
}

func (o LocalResponseNorm) Forward(c *nn.Call) error {
	x, y := c.X(0), c.Y(0)
	unit := c.Keep(len(x))
	squares := c.Scratch(len(x))
	defer c.Free(squares)
	for i, v := range x {
		squares[i] = v * v
	}
	o.sums(c, unit, squares)
	for i, v := range x {
		unit[i] = o.K + o.Alpha*unit[i]
		y[i] = v * pow(unit[i], -o.Beta)
	}
	c.Saved = unit
	return nil
}

func (o LocalResponseNorm) Backward(c *nn.Call) error {
	x, y, gy, gx := c.X(0), c.Y(0), c.GY(0), c.GX(0)
	unit := c.Saved.([]float32)
	ratio := c.Scratch(len(x))
	defer c.Free(ratio)
	for i := range x {
		ratio[i] = gy[i] * y[i] / unit[i]
	}
	o.sums(c, gx, ratio)
	for i, v := range x {
		gx[i] = gy[i]*pow(unit[i], -o.Beta) - 2*o.Alpha*o.Beta*v*gx[i]
	}
	return nil
}

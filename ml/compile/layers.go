package compile

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// layer computes the results of n rows. A layer is immutable and shared by the
// workers, unless it is stateful; its String is a line of Model.String.
type layer interface {
	fmt.Stringer
	run(n int, in, out [][]float32) error
}

// stateful layers need memory of their own in each worker.
type stateful interface {
	layer
	instance() layer // for one worker
	floats() int     // memory of an instance
}

// dense is act(x W + bias) on rows vectors of each row.
type dense struct {
	w    *kernel.PackedB
	bias []float32
	act  kernel.Activation
	rows int
}

func (l *dense) run(n int, in, out [][]float32) error {
	l.w.Mul(n*l.rows, in[0], l.w.K(), l.bias, l.act, out[0], l.w.N())
	return nil
}

func (l *dense) String() string {
	return fmt.Sprintf("dense %dx%d%s", l.w.K(), l.w.N(), activationName(l.act))
}

// conv is a convolution with bias, activation and pooling of the images of each
// row, NHWC; with a second input it ends a residual block.
type conv struct {
	shape  kernel.ConvShape
	w      *kernel.PackedConv
	act    kernel.Activation
	then   *pointwise
	pool   *kernel.PoolShape
	images int
}

func (l *conv) run(n int, in, out [][]float32) error {
	if len(in) == 1 {
		l.w.Run(n*l.images, in[0], out[0])
		return nil
	}
	if &out[0][0] != &in[1][0] {
		copy(out[0], in[1])
	}
	l.w.RunResidual(n*l.images, in[0], out[0])
	return nil
}

func (l *conv) String() string {
	s := fmt.Sprintf("conv %dx%d %d to %d", l.shape.KH, l.shape.KW, l.shape.C, l.shape.OC)
	if l.shape.StrideH > 1 || l.shape.StrideW > 1 {
		s += fmt.Sprintf(" stride %dx%d", l.shape.StrideH, l.shape.StrideW)
	}
	s += followed(l.act, l.then)
	if l.pool != nil {
		s += fmt.Sprintf(" + max %dx%d", l.pool.KH, l.pool.KW)
	}
	return s
}

// followed names what a layer does to what it has computed; then may be nil.
func followed(act kernel.Activation, then *pointwise) string {
	if then == nil {
		return activationName(act)
	}
	return activationName(act) + " + " + then.String()
}

func activationName(a kernel.Activation) string {
	switch a {
	case kernel.ReLUActivation:
		return " + ReLU"
	case kernel.ReLU6Activation:
		return " + ReLU6"
	case kernel.LeakyReLUActivation:
		return " + LeakyReLU"
	case kernel.SigmoidActivation:
		return " + Sigmoid"
	case kernel.TanhActivation:
		return " + Tanh"
	}
	return ""
}

// pool2D is a pooling of NHWC images; shape.N is the number of images of a row.
type pool2D struct {
	shape    kernel.PoolShape
	average  bool
	ldx, ldy int // from a pixel to the next
}

func (l *pool2D) run(n int, in, out [][]float32) error {
	s := l.shape
	s.N *= n
	if l.average {
		kernel.AvgPoolNHWC(s, in[0], l.ldx, out[0], l.ldy)
	} else {
		kernel.MaxPoolNHWC(s, in[0], l.ldx, out[0], l.ldy)
	}
	return nil
}

func (l *pool2D) String() string {
	kind := "max"
	if l.average {
		kind = "average"
	}
	return fmt.Sprintf("%s pool %dx%d", kind, l.shape.KH, l.shape.KW)
}

// relayout changes the images of each row from NCHW to NHWC or back.
type relayout struct {
	images, c, h, w int
	toNCHW          bool
}

func (l *relayout) run(n int, in, out [][]float32) error {
	if l.toNCHW {
		kernel.ToNCHW(out[0], in[0], n*l.images, l.c, l.h, l.w)
	} else {
		kernel.ToNHWC(out[0], in[0], n*l.images, l.c, l.h, l.w)
	}
	return nil
}

func (l *relayout) String() string {
	if l.toNCHW {
		return "to NCHW"
	}
	return "to NHWC"
}

// unary is an elementwise function of one array.
type unary struct {
	name string
	f    func(y, x []float32)
}

func (l *unary) run(_ int, in, out [][]float32) error { l.f(out[0], in[0]); return nil }
func (l *unary) String() string                       { return l.name }

// binary is an elementwise function of two arrays of one shape and layout. Layers that
// make use of it for other arrays don't embed it, lest they be spaced.
type binary struct {
	name string
	f    func(y, a, b []float32)
}

func (l *binary) run(_ int, in, out [][]float32) error { l.f(out[0], in[0], in[1]); return nil }
func (l *binary) String() string                       { return l.name }

// repeat computes y from x and as many repetitions of row as it takes, the left operand
// if reverse is set.
func (l *binary) repeat(y, x, row []float32, reverse bool) {
	for len(y) > 0 {
		k := min(len(y), len(row))
		if reverse {
			l.f(y[:k], row[:k], x[:k])
		} else {
			l.f(y[:k], x[:k], row[:k])
		}
		y, x = y[k:], x[k:]
	}
}

// withConstant is an elementwise function of each row and a constant row.
type withConstant struct {
	binary  binary
	row     []float32 // repeated to size
	size    int       // of a row
	reverse bool      // the constant is the left operand
}

func (l *withConstant) run(n int, in, out [][]float32) error {
	for i := range n {
		y, x := out[0][i*l.size:(i+1)*l.size], in[0][i*l.size:(i+1)*l.size]
		l.binary.repeat(y, x, l.row, l.reverse)
	}
	return nil
}

func (l *withConstant) String() string { return l.binary.name + " constant" }

// batchNorm normalises with given statistics where nothing before it takes them.
type batchNorm struct {
	gamma, beta, mean, variance []float32
	eps                         float32
	outer, inner                int // of a row
}

func (l *batchNorm) run(n int, in, out [][]float32) error {
	kernel.BatchNormInfer(out[0], in[0], l.gamma, l.beta, l.mean, l.variance, n*l.outer, len(l.gamma), l.inner, l.eps)
	return nil
}

func (l *batchNorm) String() string { return "batch normalisation" }

// softmax works along an axis; log gives its logarithm.
type softmax struct {
	outer, axis, inner int // of a row
	log                bool
}

func (l *softmax) run(n int, in, out [][]float32) error {
	if l.log {
		kernel.LogSoftmax(out[0], in[0], n*l.outer, l.axis, l.inner)
	} else {
		kernel.Softmax(out[0], in[0], n*l.outer, l.axis, l.inner)
	}
	return nil
}

func (l *softmax) String() string {
	if l.log {
		return "log softmax"
	}
	return "softmax"
}

// concat joins runs of sizes[i] elements of each input, outer times for a row.
type concat struct {
	outer  int
	sizes  []int
	ldx    []int  // from a run of each input to the next
	ldy    int    // from the first run of the result to the next first
	placed []bool // which inputs are there already
}

func (l *concat) run(n int, in, out [][]float32) error {
	for i := range n * l.outer {
		y := out[0][i*l.ldy:]
		for j, k := range l.sizes {
			if !l.placed[j] {
				copy(y[:k], in[j][i*l.ldx[j]:])
			}
			y = y[k:]
		}
	}
	return nil
}

func (l *concat) String() string { return fmt.Sprintf("concat %v", l.sizes) }

// generic runs an operation that has no layer of its own, once for each row, as
// the network itself would. It allocates.
type generic struct {
	op   nn.Op
	site string
	in   []*tensor.Dense // constants; nil for inputs, in their order
	spec []nn.Spec       // of all inputs
	size int             // floats of inputs and outputs of one row

	call *nn.Call // only in an instance
	err  error    // why there is no call
}

func (l *generic) String() string { return l.op.Name() + " row by row" }
func (l *generic) floats() int    { return l.size }

func (l *generic) instance() layer {
	in := make([]*tensor.Dense, len(l.in))
	for i, s := range l.spec {
		if in[i] = l.in[i]; in[i] == nil {
			in[i] = tensor.New(tensor.WithShape(s.Shape...), tensor.WithBacking(make([]float32, s.Size())))
		}
	}
	g := *l
	g.call, g.err = nn.NewCall(l.op, nil, in...)
	return &g
}

func (l *generic) run(n int, in, out [][]float32) error {
	if l.err != nil {
		return stepError(l.op, l.site, l.err)
	}
	for r := range n {
		j := 0
		for i := range l.in {
			if l.in[i] == nil {
				x := l.call.X(i)
				copy(x, in[j][r*len(x):])
				j++
			}
		}
		if err := l.op.Forward(l.call); err != nil {
			return stepError(l.op, l.site, err)
		}
		for i := range out {
			y := l.call.Y(i)
			copy(out[i][r*len(y):], y)
		}
	}
	return nil
}

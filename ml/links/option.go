package links

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Option changes how a link is made. One that the link has no use for is an error,
// as any bad argument is: it shows when the link is used, saved or optimized.
type Option func(*options)

type options struct {
	in         int
	weight     nn.Initializer
	bias       nn.Initializer
	noBias     bool
	stride     [2]int
	pad        [2]int
	dilate     [2]int
	kernel     [2]int
	out        [2]int
	groups     int
	ignore     *int32
	decay, eps float64
	noGamma    bool
	noBeta     bool
	dropout    float64

	given []string // names of the options
	err   error    // what is wrong with them
}

// newOptions collects the options of a link, which takes those of the given
// names.
func newOptions(link string, opts []Option, takes ...string) options {
	o := options{in: -1, weight: nn.LeCunNormal(), bias: nn.Constant(0), stride: [2]int{1, 1}, dilate: [2]int{1, 1},
		groups: 1, decay: 0.9, eps: 2e-5}
	for _, opt := range opts {
		opt(&o)
	}
	for _, name := range o.given {
		if !slices.Contains(takes, name) {
			o.fail("%s has no use for the option %s; it takes %s", link, name, strings.Join(takes, ", "))
		}
	}
	return o
}

// fail notes the first error.
func (o *options) fail(format string, args ...any) {
	if o.err == nil {
		o.err = nn.ValueErrorf(format, args...)
	}
}

// atLeast notes an error unless a named argument is large enough.
func (o *options) atLeast(least int, what string, n ...int) {
	for _, v := range n {
		if v < least {
			o.fail("%s %d, want at least %d", what, v, least)
		}
	}
}

// named makes an option.
func named(name string, set func(o *options)) Option {
	return func(o *options) {
		o.given = append(o.given, name)
		set(o)
	}
}

// InSize gives the size of the input, or its number of channels, so that the
// parameters exist before the first input.
func InSize(n int) Option {
	return named("InSize", func(o *options) {
		o.in = n
		o.atLeast(1, "InSize", n)
	})
}

// InitW fills the weights (default nn.LeCunNormal).
func InitW(init nn.Initializer) Option {
	return named("InitW", func(o *options) { o.weight = init })
}

// InitBias fills the bias (default 0).
func InitBias(init nn.Initializer) Option {
	return named("InitBias", func(o *options) { o.bias = init })
}

// NoBias leaves the bias out.
func NoBias() Option {
	return named("NoBias", func(o *options) { o.noBias = true })
}

// Stride is how far a kernel moves: one number, or height and width.
func Stride(n ...int) Option {
	return named("Stride", func(o *options) { o.stride = o.pair("Stride", 1, n) })
}

// Pad is how many zeros surround an image: one number, or height and width.
func Pad(n ...int) Option {
	return named("Pad", func(o *options) { o.pad = o.pair("Pad", 0, n) })
}

// Dilate is the distance between the elements of a kernel.
func Dilate(n ...int) Option {
	return named("Dilate", func(o *options) { o.dilate = o.pair("Dilate", 1, n) })
}

// Kernel gives a kernel another height and width than the square one.
func Kernel(height, width int) Option {
	return named("Kernel", func(o *options) { o.kernel = o.pair("Kernel", 1, []int{height, width}) })
}

// OutSize is the height and width that a deconvolution yields, where stride and
// padding leave a choice.
func OutSize(height, width int) Option {
	return named("OutSize", func(o *options) { o.out = o.pair("OutSize", 1, []int{height, width}) })
}

// Groups divides channels into n groups that don't see each other.
func Groups(n int) Option {
	return named("Groups", func(o *options) {
		o.groups = n
		o.atLeast(1, "Groups", n)
	})
}

// IgnoreLabel makes EmbedID give zeros for an id, such as -1 for padding.
func IgnoreLabel(id int32) Option {
	return named("IgnoreLabel", func(o *options) { o.ignore = &id })
}

// Decay is how much of BatchNormalization's running averages stays at each step
// (default 0.9).
func Decay(d float64) Option {
	return named("Decay", func(o *options) { o.decay = d })
}

// Eps is what BatchNormalization adds to the variance (default 2e-5).
func Eps(e float64) Option {
	return named("Eps", func(o *options) { o.eps = e })
}

// NoGamma leaves BatchNormalization's scale out.
func NoGamma() Option {
	return named("NoGamma", func(o *options) { o.noGamma = true })
}

// NoBeta leaves BatchNormalization's shift out.
func NoBeta() Option {
	return named("NoBeta", func(o *options) { o.noBeta = true })
}

// Dropout is the ratio that is dropped between the layers of an NStep link in
// training (default 0).
func Dropout(ratio float64) Option {
	return named("Dropout", func(o *options) { o.dropout = ratio })
}

// pair reads one number as both.
func (o *options) pair(name string, least int, n []int) [2]int {
	o.atLeast(least, name, n...)
	switch len(n) {
	case 1:
		return [2]int{n[0], n[0]}
	case 2:
		return [2]int{n[0], n[1]}
	}
	o.fail("%s takes one number, or height and width, not %d", name, len(n))
	return [2]int{1, 1}
}

// vars turns a parameter that may be left out into the variables of a call.
func vars(x *nn.Variable, params ...*nn.Parameter) []*nn.Variable {
	in := []*nn.Variable{x}
	for _, p := range params {
		if p != nil {
			in = append(in, &p.Variable)
		}
	}
	return in
}

// failed is the result of a link that could not use its input.
func failed(x *nn.Variable, function string, p *nn.Parameter, err error) *nn.Variable {
	if x.Err() != nil {
		return x
	}
	return nn.Failed(x.Tape(), function, fmt.Errorf("%s: %w", p.Name(), err))
}

// initialize gives a parameter its shape when the first input x is seen, which
// must have the given number of axes; size tells the parameter's shape from x's.
func initialize(p *nn.Parameter, x *nn.Variable, axes int, size func(x []int) []int) error {
	if p.Initialized() || x.Err() != nil {
		return nil // the operation reports what doesn't fit, with all shapes
	}
	if len(x.Shape()) != axes {
		return nn.ShapeErrorf("given x %s, want %d axes", nn.FormatShape(x.Shape()), axes)
	}
	return p.Initialize(size(x.Shape())...)
}

// zeros makes an input of zeros on the tape of another variable.
func zeros(like *nn.Variable, shape ...int) *nn.Variable {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return nn.From(like.Tape(), make([]float32, max(n, 0)), shape...)
}

// everyFourth starts gate k of interleaved gates with a value and the others
// with 0.
func everyFourth(k int, value float32) nn.Initializer {
	return nn.InitializerFunc(func(data []float32, _ []int, _ *rand.Rand) {
		clear(data)
		for i := k; i < len(data); i += 4 {
			data[i] = value
		}
	})
}

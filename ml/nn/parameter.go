package nn

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// Parameter is a variable that belongs to a layer: it has a name, is filled by
// an [Initializer], and its shape may become known only when the layer sees
// its first input. Pass &p.Variable to functions.
//
// Its initial values are a function of its seed, name and shape alone, so a
// network starts the same in every process and whatever order its layers are
// made in. Parameters of one network therefore need names of their own; the
// links package names them by path, such as "predictor/l1/W".
type Parameter struct {
	Variable
	init  Initializer
	shape []int // nil while unknown
	seed  uint64
}

// NewParameter makes a trainable parameter. Without a shape it waits for
// [Parameter.Initialize].
func NewParameter(name string, init Initializer, shape ...int) *Parameter {
	p := NewPersistent(name, init, shape...)
	p.needsGrad = true
	return p
}

// NewPersistent makes a parameter that is saved and loaded with the layer but
// isn't trained, such as the running mean of batch normalisation.
func NewPersistent(name string, init Initializer, shape ...int) *Parameter {
	p := &Parameter{init: init}
	p.name, p.param = name, p
	if len(shape) > 0 {
		p.shape = slices.Clone(shape)
	}
	return p
}

// SetSeed sets what the initial values derive from, together with the name. It
// has no effect once the parameter holds data.
func (p *Parameter) SetSeed(seed uint64) { p.seed = seed }

// Initialized tells whether the shape is known.
func (p *Parameter) Initialized() bool { return p.data != nil || p.shape != nil }

// Initialize gives a parameter its shape. On one that has a shape already it
// only checks that it is the same.
func (p *Parameter) Initialize(shape ...int) error {
	if err := checkDims(shape); err != nil {
		return fmt.Errorf("parameter %s: %w", p.name, err)
	}
	if p.shape == nil {
		p.shape = slices.Clone(shape)
	}
	if !slices.Equal(p.shape, shape) {
		return ShapeErrorf("parameter %s is %s, want %s", p.name, FormatShape(p.shape), FormatShape(shape))
	}
	return nil
}

// materialize fills a parameter whose shape is known.
func (p *Parameter) materialize() {
	if p.shape == nil || checkDims(p.shape) != nil {
		return
	}
	data := make([]float32, sizeOf(p.shape))
	h := fnv.New64a()
	fmt.Fprint(h, p.name, FormatShape(p.shape))
	p.init.Fill(data, p.shape, rand.New(rand.NewPCG(p.seed, h.Sum64())))
	p.data = tensor.New(tensor.WithShape(p.shape...), tensor.WithBacking(data))
}

// Set copies data into the parameter and gives it data's shape if it had none.
func (p *Parameter) Set(data *tensor.Dense) error {
	d, err := adopt(data)
	if err != nil {
		return fmt.Errorf("parameter %s: %w", p.name, err)
	}
	if d.Dtype() != tensor.Float32 {
		return ShapeErrorf("parameter %s holds float32, got %v", p.name, d.Dtype())
	}
	if err := p.Initialize(d.Shape()...); err != nil {
		return err
	}
	if p.data == nil {
		p.data = tensor.New(tensor.WithShape(p.shape...), tensor.WithBacking(make([]float32, sizeOf(p.shape))))
	}
	copy(Floats(p.data), Floats(d))
	return nil
}

// Share makes the parameter use another's data, which both then change: one
// copy of the weights for several models. Gradients stay separate.
func (p *Parameter) Share(from *Parameter) error {
	d := from.Data()
	if d == nil {
		return fmt.Errorf("parameter %s: %w", from.name, ErrUninitialized)
	}
	if err := p.Initialize(d.Shape()...); err != nil {
		return err
	}
	p.data = reshaped(d, d.Shape())
	return nil
}

// CheckFinite returns an error that names the parameter if it holds a NaN or
// an infinity.
func (p *Parameter) CheckFinite() error {
	f := p.Floats()
	if i := firstNotFinite(f); i >= 0 {
		return fmt.Errorf("%w: parameter %s has %v at element %d", ErrNotFinite, p.name, f[i], i)
	}
	return nil
}

// layer returns the path of the link that owns the parameter, "" if unnamed.
func (p *Parameter) layer() string {
	i := strings.LastIndexByte(p.name, '/')
	if i < 0 {
		return ""
	}
	return p.name[:i]
}

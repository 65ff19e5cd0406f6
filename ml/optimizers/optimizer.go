package optimizers

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// Optimizer moves the parameters of a network against their gradients. All
// types of this package implement it.
type Optimizer interface {
	serializers.Stateful
	// Target is the network that is trained.
	Target() links.Link
	// Update runs the hooks and makes one step with the gradients that the
	// parameters hold. Parameters without a gradient stay as they are.
	Update() error
	// AddHook adds a function that changes gradients before each step.
	AddHook(h Hook)
	// NewEpoch counts a pass over the training data.
	NewEpoch()
	// Step is the number of updates so far.
	Step() int
	// Hyperparameter gives access to a setting by Chainer's name, such as "lr"
	// or "alpha"; nil if there is none. Schedules use it.
	Hyperparameter(name string) *float64
}

// rule is one optimization method.
type rule interface {
	// slots names the state that each parameter needs, as Chainer saves it.
	slots() []string
	// step moves p against its gradient g. state holds the slots; t counts the
	// parameter's updates from 1.
	step(p, g []float32, state [][]float32, t int)
}

// starter is a rule whose state does not begin with zeros.
type starter interface {
	start(slot string) float32
}

// common is what all optimizers share.
type common struct {
	target links.Link
	rule   rule
	hooks  []Hook
	states map[*nn.Parameter]*state
	params []*nn.Parameter // scratch of Update
	hyper  map[string]*float64
	t      int
	epoch  int
}

// state is what an optimizer keeps of a parameter.
type state struct {
	t     int
	slots [][]float32 // nil before the first update
}

func newCommon(target links.Link, r rule, hyper map[string]*float64) *common {
	return &common{target: target, rule: r, states: map[*nn.Parameter]*state{}, hyper: hyper}
}

// Target is the network that is trained.
func (c *common) Target() links.Link { return c.target }

// AddHook adds a function that changes gradients before each step.
func (c *common) AddHook(h Hook) { c.hooks = append(c.hooks, h) }

// NewEpoch counts a pass over the training data.
func (c *common) NewEpoch() { c.epoch++ }

// Step is the number of updates so far.
func (c *common) Step() int { return c.t }

// Hyperparameter gives access to a setting by Chainer's name.
func (c *common) Hyperparameter(name string) *float64 { return c.hyper[name] }

// Update runs the hooks and makes one step.
func (c *common) Update() error {
	if c.t == 0 {
		if err := links.Check(c.target); err != nil {
			return fmt.Errorf("optimizing: %w", err)
		}
	}
	c.t++
	c.params = c.params[:0]
	for _, p := range links.Params(c.target) {
		c.state(p).t++
		if p.GradFloats() != nil {
			c.params = append(c.params, p)
		}
	}
	if len(c.params) == 0 {
		return fmt.Errorf("optimizing: %w: no parameter has a gradient; call Backward on the loss first", nn.ErrNoGradient)
	}
	for _, h := range c.hooks {
		h.Apply(c.params)
	}
	for _, p := range c.params {
		st := c.state(p)
		values := p.Floats()
		if st.slots == nil {
			st.slots = c.newSlots(len(values))
		}
		c.rule.step(values, p.GradFloats(), st.slots, st.t)
	}
	return nil
}

func (c *common) state(p *nn.Parameter) *state {
	st := c.states[p]
	if st == nil {
		st = &state{}
		c.states[p] = st
	}
	return st
}

func (c *common) newSlots(n int) [][]float32 {
	names := c.rule.slots()
	slots := make([][]float32, len(names))
	for i, name := range names {
		slots[i] = make([]float32, n)
		if s, ok := c.rule.(starter); ok {
			if first := s.start(name); first != 0 {
				for k := range slots[i] {
					slots[i][k] = first
				}
			}
		}
	}
	return slots
}

// Serialize visits the step count and the state of every parameter, in
// Chainer's layout.
func (c *common) Serialize(s *serializers.Serializer) {
	s.Int("t", &c.t)
	s.Int("epoch", &c.epoch)
	for path, p := range links.Params(c.target) {
		c.serialize(s.Child(path), p)
	}
}

func (c *common) serialize(s *serializers.Serializer, p *nn.Parameter) {
	st := c.state(p)
	s.Int("t", &st.t)
	names := c.rule.slots()
	if s.Saving() {
		for i, slot := range st.slots {
			s.Float32s(names[i], p.Shape(), slot)
		}
		return
	}
	if !slices.ContainsFunc(names, s.Has) {
		s.Then(func() error { st.slots = nil; return nil })
		return // saved before the first update
	}
	loaded := make([][]float32, len(names))
	for i, name := range names {
		a, ok := s.Header(name)
		if !ok {
			continue
		}
		if p.Initialized() && !slices.Equal(a.Shape, p.Shape()) {
			s.Fail(fmt.Errorf("%s: %w: expected %s, found %s", s.Path(name), serializers.ErrShape, nn.FormatShape(p.Shape()), nn.FormatShape(a.Shape)))
			continue
		}
		if a, ok = s.Array(name); !ok {
			continue
		}
		values, err := a.Float32s()
		if err != nil {
			s.Fail(fmt.Errorf("%s: %w: %w", s.Path(name), serializers.ErrType, err))
			continue
		}
		loaded[i] = slices.Clone(values)
	}
	s.Then(func() error { // the parameter may have got its shape from the same file
		for i, values := range loaded {
			if len(values) != len(p.Floats()) {
				return fmt.Errorf("%s: %w: expected %s, found %d values", s.Path(names[i]), serializers.ErrShape, nn.FormatShape(p.Shape()), len(values))
			}
		}
		st.slots = loaded
		return nil
	})
}

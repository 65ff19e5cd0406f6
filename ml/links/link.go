package links

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// Link is a part of a network that owns parameters. A type becomes one by
// embedding [Chain].
type Link interface {
	serializers.Stateful
	chain() *Chain
}

// Layer is what turns one variable into another: most links, and functions
// wrapped by [Func].
type Layer interface {
	Forward(x *nn.Variable) *nn.Variable
}

// Func makes a function a Layer.
type Func func(x *nn.Variable) *nn.Variable

// Forward calls f.
func (f Func) Forward(x *nn.Variable) *nn.Variable { return f(x) }

// Chain is the part that all links have in common: parameters and child links
// under names. Its zero value is ready to embed. The names must be given before
// the first use of the network, since parameters start from them.
type Chain struct {
	path     string // with a trailing slash, "" at the root
	seed     uint64
	params   []*param
	children []child
	counters []counter
	bad      error // what is wrong with the arguments that the link was made with
}

type param struct {
	*nn.Parameter
	name      string
	trainable bool
	pattern   []int // what is known of the shape before the first input; -1 is open
}

type child struct {
	name string
	link Link
}

// counter is an integer that is saved with a link.
type counter struct {
	name  string
	value *int
}

func (c *Chain) chain() *Chain { return c }

// Add puts a child link into a parent under a name and returns the child. A
// name may be used once and holds no slash; a wrong one is a programming error
// that shows when the network is saved, loaded or optimized.
func Add[L Link](parent Link, name string, link L) L {
	c := parent.chain()
	c.children = append(c.children, child{name, link})
	link.chain().rename(c.path+name+"/", c.seed)
	return link
}

// AddParameter puts a trainable parameter into a link. Without a shape it waits
// for Initialize.
func AddParameter(l Link, name string, init nn.Initializer, shape ...int) *nn.Parameter {
	return l.chain().add(name, true, nn.NewParameter(name, init, shape...))
}

// AddPersistent puts a parameter into a link that is saved but not trained.
func AddPersistent(l Link, name string, init nn.Initializer, shape ...int) *nn.Parameter {
	return l.chain().add(name, false, nn.NewPersistent(name, init, shape...))
}

func (c *Chain) add(name string, trainable bool, p *nn.Parameter) *nn.Parameter {
	p.SetName(c.path + name)
	p.SetSeed(c.seed)
	c.params = append(c.params, &param{Parameter: p, name: name, trainable: trainable})
	return p
}

// addLazy puts a trainable parameter into a link whose shape is known but for
// the sizes given as -1. Without an open size the shape is final.
func (c *Chain) addLazy(name string, init nn.Initializer, pattern ...int) *nn.Parameter {
	if !slices.Contains(pattern, -1) {
		return c.add(name, true, nn.NewParameter(name, init, pattern...))
	}
	p := c.add(name, true, nn.NewParameter(name, init))
	c.params[len(c.params)-1].pattern = pattern
	return p
}

// addCounter has an integer saved and loaded with the link.
func (c *Chain) addCounter(name string, value *int) {
	c.counters = append(c.counters, counter{name, value})
}

// rename tells a link and all below it where in the network they are.
func (c *Chain) rename(path string, seed uint64) {
	c.path, c.seed = path, seed
	for _, p := range c.params {
		p.SetName(path + p.name)
		p.SetSeed(seed)
	}
	for _, ch := range c.children {
		ch.link.chain().rename(path+ch.name+"/", seed)
	}
}

// Seed determines what the parameters of a network start with, beside their
// names. It must be called before the first use; the default is 0.
func Seed(l Link, seed uint64) {
	c := l.chain()
	c.rename(c.path, seed)
}

// Params walks over the trainable parameters of a link and all below it, with
// their paths, in the order in which they were added.
func Params(l Link) iter.Seq2[string, *nn.Parameter] {
	return func(yield func(string, *nn.Parameter) bool) {
		c := l.chain()
		c.walk(strings.TrimSuffix(c.path, "/"), func(path string, p *param) bool {
			return !p.trainable || yield(path, p.Parameter)
		})
	}
}

// Persistents walks over the parameters that are saved but not trained.
func Persistents(l Link) iter.Seq2[string, *nn.Parameter] {
	return func(yield func(string, *nn.Parameter) bool) {
		c := l.chain()
		c.walk(strings.TrimSuffix(c.path, "/"), func(path string, p *param) bool {
			return p.trainable || yield(path, p.Parameter)
		})
	}
}

// walk visits all parameters below c with paths relative to root.
func (c *Chain) walk(root string, visit func(path string, p *param) bool) bool {
	for _, p := range c.params {
		if !visit(strings.TrimPrefix(strings.TrimPrefix(p.Name(), root), "/"), p) {
			return false
		}
	}
	for _, ch := range c.children {
		if !ch.link.chain().walk(root, visit) {
			return false
		}
	}
	return true
}

// Children walks over the direct child links.
func Children(l Link) iter.Seq2[string, Link] {
	return func(yield func(string, Link) bool) {
		for _, ch := range l.chain().children {
			if !yield(ch.name, ch.link) {
				return
			}
		}
	}
}

// ClearGrads forgets the gradients of all parameters.
func ClearGrads(l Link) {
	for _, p := range Params(l) {
		p.ClearGrad()
	}
}

// CountParams is the number of trainable values in a network, 0 for those whose
// shape isn't known yet.
func CountParams(l Link) int {
	n := 0
	for _, p := range Params(l) {
		n += len(p.Floats())
	}
	return n
}

// Check reports names that are used twice or hold a slash, and links that were
// made with bad arguments.
func Check(l Link) error {
	c := l.chain()
	if c.bad != nil {
		return fmt.Errorf("link %q: %w", c.path, c.bad)
	}
	var names []string
	for _, p := range c.params {
		names = append(names, p.name)
	}
	for _, n := range c.counters {
		names = append(names, n.name)
	}
	for _, ch := range c.children {
		if err := Check(ch.link); err != nil {
			return err
		}
		names = append(names, ch.name)
	}
	slices.Sort(names)
	for i, name := range names {
		if name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("link %q: %q is no name for a child or parameter", c.path, name)
		}
		if i > 0 && names[i-1] == name {
			return fmt.Errorf("link %q: the name %q is used twice", c.path, name)
		}
	}
	return nil
}

// CheckFinite returns an error that names the first parameter with a NaN or an
// infinity.
func CheckFinite(l Link) error {
	var err error
	c := l.chain()
	c.walk("", func(_ string, p *param) bool {
		err = p.CheckFinite()
		return err == nil
	})
	return err
}

// ShareParams makes link use the very weights of from, a network of the same
// shape: one copy in memory for several workers. Gradients stay separate.
func ShareParams(link, from Link) error {
	var theirs []*param
	from.chain().walk("", func(_ string, p *param) bool {
		theirs = append(theirs, p)
		return true
	})
	i := 0
	var err error
	link.chain().walk("", func(_ string, p *param) bool {
		if i == len(theirs) {
			err = fmt.Errorf("sharing parameters: the other network has only %d", i)
			return false
		}
		err = p.Share(theirs[i].Parameter)
		i++
		return err == nil
	})
	if err == nil && i != len(theirs) {
		err = fmt.Errorf("sharing parameters: the other network has %d, this one %d", len(theirs), i)
	}
	return err
}

// Serialize visits all parameters and counters. A parameter without a shape
// takes the file's.
func (c *Chain) Serialize(s *serializers.Serializer) {
	if c.path == "" {
		if err := Check(c); err != nil {
			s.Fail(err)
			return
		}
	}
	for _, p := range c.params {
		p.serialize(s)
	}
	for _, n := range c.counters {
		s.Int(n.name, n.value)
	}
	for _, ch := range c.children {
		ch.link.Serialize(s.Child(ch.name))
	}
}

func (p *param) serialize(s *serializers.Serializer) {
	if data := p.Floats(); data != nil {
		s.Float32s(p.name, p.Shape(), data)
		return
	}
	if s.Saving() {
		s.Fail(fmt.Errorf("%s: %w: show the network an input, or load it, before saving", s.Path(p.name), nn.ErrUninitialized))
		return
	}
	a, ok := s.Header(p.name)
	if !ok {
		return
	}
	if !p.fits(a.Shape) {
		s.Fail(fmt.Errorf("%s: %w: expected %s, found %s", s.Path(p.name), serializers.ErrShape,
			strings.ReplaceAll(nn.FormatShape(p.pattern), "-1", "?"), nn.FormatShape(a.Shape)))
		return
	}
	if a, ok = s.Array(p.name); !ok {
		return
	}
	values, err := a.Float32s()
	if err != nil {
		s.Fail(fmt.Errorf("%s: %w", s.Path(p.name), err))
		return
	}
	s.Then(func() error {
		return p.Set(tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(slices.Clone(values))))
	})
}

// fits tells whether a shape agrees with what is known of the parameter's.
func (p *param) fits(shape []int) bool {
	if p.pattern == nil {
		return true
	}
	if len(shape) != len(p.pattern) {
		return false
	}
	for i, d := range p.pattern {
		if d != -1 && d != shape[i] {
			return false
		}
	}
	return true
}

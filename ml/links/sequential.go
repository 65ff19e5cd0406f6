package links

import (
	"fmt"
	"strconv"

	"github.com/hibana-engine/hibana/ml/nn"
)

// SequentialLink is made by Sequential.
type SequentialLink struct {
	Chain
	layers []Layer
	err    error
}

// Sequential applies layers one after another. A layer is a link with a
// Forward method or a function from variable to variable, such as
// functions.ReLU. Links are named "0", "1", ... in their order; functions don't
// count, as in Chainer.
//
// Anything else is reported by the first Forward.
func Sequential(layers ...any) *SequentialLink {
	s := &SequentialLink{}
	for _, l := range layers {
		s.Append(l)
	}
	return s
}

// Append adds a layer at the end.
func (s *SequentialLink) Append(layer any) {
	switch l := layer.(type) {
	case func(*nn.Variable) *nn.Variable:
		if l == nil {
			s.err = fmt.Errorf("%w: layer %d is a nil function", nn.ErrValue, len(s.layers))
			return
		}
		s.layers = append(s.layers, Func(l))
	case Layer:
		s.layers = append(s.layers, l)
		if link, ok := layer.(Link); ok {
			Add(s, strconv.Itoa(len(s.children)), link)
		}
	default:
		s.err = fmt.Errorf("%w: layer %d is a %T, which is neither a layer nor a function from variable to variable", nn.ErrValue, len(s.layers), layer)
	}
}

// Layers lists the layers in their order.
func (s *SequentialLink) Layers() []Layer { return s.layers }

// Forward applies all layers.
func (s *SequentialLink) Forward(x *nn.Variable) *nn.Variable {
	if s.err != nil {
		return nn.Failed(x.Tape(), "Sequential", s.err)
	}
	for _, l := range s.layers {
		x = l.Forward(x)
	}
	return x
}

// ChainListLink is made by ChainList.
type ChainListLink struct {
	Chain
	links []Link
}

// ChainList holds links under the names "0", "1", ..., for networks with a
// variable number of equal parts.
func ChainList(list ...Link) *ChainListLink {
	c := &ChainListLink{}
	for _, l := range list {
		c.Append(l)
	}
	return c
}

// Append adds a link at the end.
func (c *ChainListLink) Append(l Link) {
	c.links = append(c.links, Add(c, strconv.Itoa(len(c.links)), l))
}

// Links lists the links in their order.
func (c *ChainListLink) Links() []Link { return c.links }

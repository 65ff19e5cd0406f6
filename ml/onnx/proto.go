package onnx

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages below are those parts of onnx.proto that matter here
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Byte slices alias the
// file.

// maxParts bounds the nodes, attributes, arrays, inputs and outputs of all graphs of a
// file together, since a few of its bytes cost some hundred here.
const maxParts = 1 << 18

// What such a part may hold at most. An attribute's lists have no bound but the file's bytes.
const (
	maxNames = 1 << 16 // inputs of a node, and outputs
	maxDims  = 64      // of an input or output
)

type modelProto struct {
	producer string
	opset    int64 // of the default domain
	graph    *graphProto
}

type graphProto struct {
	nodes        []*node
	initializers []*tensorProto
	inputs       []valueInfo
	outputs      []valueInfo

	depth int  // of graphs in attributes around it
	parts *int // of the whole file, so far
}

// node is a NodeProto.
type node struct {
	name, op, domain string
	inputs, outputs  []string
	attrs            map[string]*attribute
	number           int // position in the graph

	depth int // of its graph
	parts *int
}

// attribute is an AttributeProto.
type attribute struct {
	declared kind   // 0 if the file doesn't say
	holds    uint64 // the kinds of which there is a value, as bits

	f      float32
	i      int64
	s      string
	t      *tensorProto
	g      *graphProto
	floats []float32
	ints   []int64
	strs   []string
}

type tensorProto struct {
	name     string
	dims     []int64
	dtype    int64
	raw      []byte
	floats   []float32
	ints     []int64 // of int32_data, int64_data
	doubles  []float64
	external bool
	place    external
}

// valueInfo is a ValueInfoProto of tensor type.
type valueInfo struct {
	name  string
	dtype int64
	dims  []dimension
	known bool // it has a shape
}

// dimension is a number, or else a name that may be empty.
type dimension struct {
	value int64 // 0 if it has none
	given bool  // it has a value, which may be 0
	name  string
}

// field is one field of a message; b holds bytes, u everything else.
type field struct {
	num protowire.Number
	typ protowire.Type
	u   uint64
	b   []byte
}

// each calls f for every field of a message and says in which message it failed.
func each(message string, b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %s: %w", ErrFormat, message, protowire.ParseError(n))
		}
		b = b[n:]
		x := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			x.u, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			x.u = uint64(v)
		case protowire.Fixed64Type:
			x.u, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			x.b, n = protowire.ConsumeBytes(b)
		default: // groups don't occur in ONNX
			return fmt.Errorf("%w: %s: field %d has wire type %d", ErrFormat, message, num, typ)
		}
		if n < 0 {
			return fmt.Errorf("%w: %s: field %d: %w", ErrFormat, message, num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// is refuses a field of another wire type than the schema's.
func (x field) is(want protowire.Type) error {
	if x.typ != want {
		return fmt.Errorf("%w: field %d has wire type %d, want %d", ErrFormat, x.num, x.typ, want)
	}
	return nil
}

// message decodes a nested message.
func (x field) message(parse func([]byte) error) error {
	if err := x.is(protowire.BytesType); err != nil {
		return err
	}
	return parse(x.b)
}

// text takes a string.
func (x field) text(to *string) error {
	*to = string(x.b)
	return x.is(protowire.BytesType)
}

// appendText takes a repeated string.
func (x field) appendText(to *[]string) error {
	*to = append(*to, string(x.b))
	return x.is(protowire.BytesType)
}

// appendName takes one of a node's inputs or outputs.
func (x field) appendName(to *[]string) error {
	if len(*to) == maxNames {
		return fmt.Errorf("%w: more than %d names in a list", ErrTooLarge, maxNames)
	}
	return x.appendText(to)
}

// integer takes an integer.
func (x field) integer(to *int64) error {
	*to = int64(x.u)
	return x.is(protowire.VarintType)
}

// appendInts takes a repeated integer, packed or not.
func (x field) appendInts(to []int64) ([]int64, error) {
	if x.typ == protowire.VarintType {
		return append(to, int64(x.u)), nil
	}
	if err := x.is(protowire.BytesType); err != nil {
		return nil, err
	}
	all := 0
	for _, c := range x.b {
		if c < 0x80 { // the last byte of an integer
			all++
		}
	}
	to = slices.Grow(to, all)
	for b := x.b; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, fmt.Errorf("%w: field %d: %v", ErrFormat, x.num, protowire.ParseError(n))
		}
		to, b = append(to, int64(v)), b[n:]
	}
	return to, nil
}

// appendFloats takes a repeated float, packed or not.
func (x field) appendFloats(to []float32) ([]float32, error) {
	if x.typ == protowire.Fixed32Type {
		return append(to, math.Float32frombits(uint32(x.u))), nil
	}
	if err := x.is(protowire.BytesType); err != nil {
		return nil, err
	}
	to = slices.Grow(to, len(x.b)/4)
	for b := x.b; len(b) > 0; b = b[4:] {
		v, n := protowire.ConsumeFixed32(b)
		if n < 0 {
			return nil, fmt.Errorf("%w: field %d: %v", ErrFormat, x.num, protowire.ParseError(n))
		}
		to = append(to, math.Float32frombits(v))
	}
	return to, nil
}

// appendDoubles takes a repeated double, packed or not.
func (x field) appendDoubles(to []float64) ([]float64, error) {
	if x.typ == protowire.Fixed64Type {
		return append(to, math.Float64frombits(x.u)), nil
	}
	if err := x.is(protowire.BytesType); err != nil {
		return nil, err
	}
	to = slices.Grow(to, len(x.b)/8)
	for b := x.b; len(b) > 0; b = b[8:] {
		v, n := protowire.ConsumeFixed64(b)
		if n < 0 {
			return nil, fmt.Errorf("%w: field %d: %v", ErrFormat, x.num, protowire.ParseError(n))
		}
		to = append(to, math.Float64frombits(v))
	}
	return to, nil
}

func (m *modelProto) parse(b []byte) error {
	return each("ModelProto", b, func(x field) error {
		switch x.num {
		case 2:
			return x.text(&m.producer)
		case 7:
			if m.graph != nil {
				return fmt.Errorf("%w: it holds two graphs", ErrFormat)
			}
			m.graph = &graphProto{parts: new(int)}
			return x.message(m.graph.parse)
		case 8:
			return x.message(m.parseOpset)
		}
		return nil
	})
}

func (m *modelProto) parseOpset(b []byte) error {
	domain, version := "", int64(0)
	err := each("OperatorSetIdProto", b, func(x field) error {
		switch x.num {
		case 1:
			return x.text(&domain)
		case 2:
			return x.integer(&version)
		}
		return nil
	})
	if err != nil || domain != "" && domain != "ai.onnx" {
		return err
	}
	if m.opset != 0 && m.opset != version {
		return fmt.Errorf("%w: it uses both opset %d and opset %d", ErrFormat, m.opset, version)
	}
	m.opset = version
	return nil
}

// count counts a part of a file.
func count(parts *int) error {
	if *parts++; *parts > maxParts {
		return fmt.Errorf("%w: more than %d nodes, attributes, arrays, inputs and outputs", ErrTooLarge, maxParts)
	}
	return nil
}

func (g *graphProto) parse(b []byte) error {
	return each("GraphProto", b, func(x field) error {
		switch x.num {
		case 1, 5, 11, 12:
			if err := count(g.parts); err != nil {
				return err
			}
		}
		switch x.num {
		case 1:
			n := &node{number: len(g.nodes), attrs: map[string]*attribute{}, depth: g.depth, parts: g.parts}
			g.nodes = append(g.nodes, n)
			if err := x.message(n.parse); err != nil {
				return fmt.Errorf("%s: %w", n.label(), err)
			}
			return nil
		case 5:
			t := &tensorProto{}
			g.initializers = append(g.initializers, t)
			if err := x.message(t.parse); err != nil {
				return fmt.Errorf("array %d (%q): %w", len(g.initializers)-1, t.name, err)
			}
			return nil
		case 11:
			return x.message(func(b []byte) error { return appendInfo(&g.inputs, b) })
		case 12:
			return x.message(func(b []byte) error { return appendInfo(&g.outputs, b) })
		case 15:
			return fmt.Errorf("%w: sparse weights", ErrUnsupported)
		}
		return nil
	})
}

func (n *node) parse(b []byte) error {
	return each("NodeProto", b, func(x field) error {
		switch x.num {
		case 1:
			return x.appendName(&n.inputs)
		case 2:
			return x.appendName(&n.outputs)
		case 3:
			return x.text(&n.name)
		case 4:
			return x.text(&n.op)
		case 5:
			return x.message(n.parseAttribute)
		case 7:
			return x.text(&n.domain)
		}
		return nil
	})
}

func (n *node) parseAttribute(b []byte) error {
	if err := count(n.parts); err != nil {
		return err
	}
	a, name := &attribute{}, ""
	err := each("AttributeProto", b, func(x field) (err error) {
		a.holds |= 1 << fieldKinds[x.num] &^ 1
		switch x.num {
		case 1:
			err = x.text(&name)
		case 2:
			a.f, err = math.Float32frombits(uint32(x.u)), x.is(protowire.Fixed32Type)
		case 3:
			err = x.integer(&a.i)
		case 4:
			err = x.text(&a.s)
		case 5:
			a.t = &tensorProto{}
			err = x.message(a.t.parse)
		case 6:
			if a.g = (&graphProto{depth: n.depth + 1, parts: n.parts}); a.g.depth > maxNesting {
				return fmt.Errorf("%w: more than %d graphs within each other", ErrTooLarge, maxNesting)
			}
			err = x.message(a.g.parse)
		case 7:
			a.floats, err = x.appendFloats(a.floats)
		case 8:
			a.ints, err = x.appendInts(a.ints)
		case 9:
			err = x.appendText(&a.strs)
		case 20:
			err = x.integer((*int64)(&a.declared))
		case 21:
			err = fmt.Errorf("%w: an attribute refers to one of a function", ErrFormat)
		}
		return err
	})
	if n.attrs[name] != nil {
		return fmt.Errorf("%w: it has the attribute %q twice", ErrFormat, name)
	}
	n.attrs[name] = a
	if err != nil {
		return fmt.Errorf("attribute %s: %w", name, err)
	}
	return nil
}

func (t *tensorProto) parse(b []byte) error {
	return each("TensorProto", b, func(x field) (err error) {
		switch x.num {
		case 1:
			t.dims, err = x.appendInts(t.dims)
		case 2:
			err = x.integer(&t.dtype)
		case 3:
			err = fmt.Errorf("%w: an array in segments", ErrUnsupported)
		case 4:
			t.floats, err = x.appendFloats(t.floats)
		case 5, 7:
			t.ints, err = x.appendInts(t.ints)
		case 8:
			err = x.text(&t.name)
		case 9:
			t.raw, err = x.b, x.is(protowire.BytesType)
		case 10:
			t.doubles, err = x.appendDoubles(t.doubles)
		case 13:
			err = x.message(t.parseExternal)
		case 14:
			t.external = t.external || x.u == 1
		}
		return err
	})
}

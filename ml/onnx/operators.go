package onnx

import (
	"fmt"
	"maps"
	"slices"
)

// Operators lists the known operators of ONNX's default domain by their names.
func Operators() []string { return slices.Sorted(maps.Keys(operators)) }

// reader turns a node, im.node, with its inputs into its outputs.
type reader func(im *importer, in []value) ([]value, error)

// operator is a known operator: how its nodes are read, and which elements besides
// floats they compute with. What they may hold in each opset is in schemas.
type operator struct {
	read  reader
	takes takes
}

// takes says how an operator treats integers and truth values, which are kept as
// floats where they depend on the row.
type takes int

const (
	floats    takes = iota // it computes with floats alone
	numbers                // what it makes of integers is checked to be one that floats hold
	anything               // it makes no numbers that it wasn't given, but truth values and indices
	unchecked              // the reader looks at the elements' types itself
)

// form is what a node of an operator may hold from an opset on.
type form struct {
	since     int // the first opset
	low, high int // the fewest and most inputs
	optional  int // the first ones that may be left out although others follow, of them
	outputs   int // the most outputs
	attrs     attrs
	required  []string // attributes that must be there
	gone      bool     // the operator is not to be used any more
}

// attrs are the attributes that a node may have.
type attrs map[string]kind

// many stands for any number of inputs or outputs.
const many = 1 << 30

// formOf is what a node of an operator may hold in an opset.
func formOf(name string, opset int) (f form, ok bool) {
	for _, later := range schemas[name] {
		if later.since <= opset {
			f, ok = later, true
		}
	}
	return f, ok && !f.gone
}

// check refuses a node with other inputs, outputs or attributes.
func (f form) check(n *node) error {
	switch in, out := len(n.inputs), len(n.outputs); {
	case in > f.high:
		return fmt.Errorf("%w: it has %d inputs, the most is %d", ErrFormat, in, f.high)
	case out == 0:
		return fmt.Errorf("%w: it has no output", ErrFormat)
	case out > f.outputs:
		return fmt.Errorf("%w: it has %d outputs, the most is %d", ErrFormat, out, f.outputs)
	}
	needed := f.low
	if f.high == many {
		needed = max(needed, len(n.inputs))
	}
	for i := range needed {
		if i >= len(n.inputs) || n.inputs[i] == "" && i >= f.optional {
			return fmt.Errorf("%w: input %d is missing", ErrFormat, i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.attrs)) {
		want, ok := f.attrs[name]
		if !ok {
			return fmt.Errorf("%w: it has the attribute %q, which the operator doesn't know", ErrFormat, name)
		}
		if err := n.attrs[name].check(want); err != nil {
			return fmt.Errorf("%w: attribute %s %w", ErrFormat, name, err)
		}
	}
	for _, name := range f.required {
		if n.attrs[name] == nil {
			return fmt.Errorf("%w: attribute %s is missing", ErrFormat, name)
		}
	}
	return nil
}

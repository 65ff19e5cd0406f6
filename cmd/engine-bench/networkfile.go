package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/onnx"
)

// networkFile says how an ONNX file is read and what its inputs are filled with.
type networkFile struct {
	dims            map[string]int
	fixed           map[string][]float64
	perRow, outputs []string
	axis, ids       int
	whole           bool

	parts []rowPart
}

// rowPart is how many numbers of a row belong to one input, and whether they are
// integers.
type rowPart struct {
	size  int
	whole bool
}

// flags adds those of a file.
func (n *networkFile) flags(f *flag.FlagSet) {
	n.dims, n.fixed = map[string]int{}, map[string][]float64{}
	f.Func("dim", "NAME=SIZE or INPUT[AXIS]=SIZE of an open dimension of the file's inputs; may be repeated", func(s string) error {
		name, text, ok := strings.Cut(s, "=")
		size, err := strconv.Atoi(text)
		if !ok || name == "" || err != nil {
			return errors.New("want NAME=SIZE or INPUT[AXIS]=SIZE")
		}
		n.dims[name] = size
		return nil
	})
	f.Func("fix", "INPUT=VALUE,... of an input that is the same for every row; may be repeated", func(s string) error {
		name, text, ok := strings.Cut(s, "=")
		for v := range strings.SplitSeq(text, ",") {
			x, err := strconv.ParseFloat(v, 64)
			if !ok || name == "" || err != nil {
				return errors.New("want INPUT=VALUE, or more values with commas")
			}
			n.fixed[name] = append(n.fixed[name], x)
		}
		return nil
	})
	f.Func("per-row", "further inputs that are parts of a row, with commas", func(s string) error { n.perRow = strings.Split(s, ","); return nil })
	f.Func("output", "the outputs that are computed, with commas (default: the first)", func(s string) error { n.outputs = strings.Split(s, ","); return nil })
	f.IntVar(&n.axis, "axis", 0, "the axis of the file's input that is the batch")
	f.IntVar(&n.ids, "ids", 100, "integer inputs are random numbers below this")
	f.BoolVar(&n.whole, "whole", false, "the file's input has no batch: a row is all that it reads in one call")
}

// compile reads a file.
func (n *networkFile) compile(name string) (*compile.Model, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	opts := []onnx.Option{onnx.PerRow(n.perRow...), onnx.Output(n.outputs...)}
	if n.whole {
		opts = append(opts, onnx.Whole())
	} else {
		opts = append(opts, onnx.Batch(n.axis))
	}
	for name, size := range n.dims {
		opts = append(opts, onnx.Dim(name, size))
	}
	for name, values := range n.fixed {
		opts = append(opts, onnx.Fix(name, values...))
	}
	f, err := onnx.Read(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if err := n.leavesRow(f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	m, err := f.Compile(opts...)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return m, n.split(f, m.InputLen())
}

// leavesRow refuses flags that leave none of a file's inputs for the row, or several. Names
// that no input has are left to package onnx, whose error says them.
func (n *networkFile) leavesRow(f *onnx.File) error {
	var all []string
	for _, p := range f.Inputs() {
		all = append(all, p.Name)
	}
	left := slices.Clone(all)
	for _, name := range slices.Concat(slices.Collect(maps.Keys(n.fixed)), n.perRow) {
		if !slices.Contains(all, name) {
			return nil
		}
		left = slices.DeleteFunc(left, func(l string) bool { return l == name })
	}
	switch {
	case len(left) > 1:
		return fmt.Errorf("%w: the file has the inputs %q, want one for the row: give the others with --fix or --per-row", errUsage, left)
	case len(left) == 0 && len(all) > 0:
		return fmt.Errorf("%w: --fix or --per-row gives all inputs of the file, %q: leave one, which is the row", errUsage, all)
	}
	return nil
}

// split tells the parts of a row of the given size: those of the inputs that are
// named, and in front what is left for the one without a name.
func (n *networkFile) split(f *onnx.File, size int) error {
	var first rowPart
	named := map[string]rowPart{}
	for _, p := range f.Inputs() {
		part := rowPart{1, strings.Contains(p.Type, "int") || p.Type == "bool"}
		if _, fixed := n.fixed[p.Name]; fixed {
			continue
		}
		if !slices.Contains(n.perRow, p.Name) {
			first = part
			continue
		}
		var open []int // the batch, if it isn't fixed in the file
		for i, d := range p.Dims {
			if given, ok := n.dims[fmt.Sprintf("%s[%d]", p.Name, i)]; d == 0 && ok {
				d = given
			}
			switch {
			case d == 0:
				open = append(open, i)
			case i != n.axis || n.whole || slices.Contains(p.Dims, 0):
				part.size *= d
			}
		}
		if len(open) > 1 || n.whole && len(open) > 0 {
			return fmt.Errorf("%w: give the dimensions of input %s by their places, such as --dim '%s[%d]=SIZE'", errUsage, p.Name, p.Name, open[len(open)-1])
		}
		named[p.Name] = part
		size -= part.size
	}
	if first.size = size; size < 1 {
		return fmt.Errorf("%w: --per-row %s: they leave nothing of a row", errUsage, strings.Join(n.perRow, ","))
	}
	n.parts = []rowPart{first}
	for _, name := range n.perRow {
		n.parts = append(n.parts, named[name])
	}
	return nil
}

// fill makes rows of random numbers.
func (n *networkFile) fill(x []float32, r *rand.Rand) {
	for len(x) > 0 {
		for _, p := range n.parts {
			for i := range p.size {
				if x[i] = r.Float32(); p.whole {
					x[i] = float32(r.IntN(n.ids))
				}
			}
			x = x[p.size:]
		}
	}
}

// given lists the flags that were set, which are for files alone.
func (n *networkFile) given() []string {
	names := slices.Concat(slices.Sorted(maps.Keys(n.dims)), slices.Sorted(maps.Keys(n.fixed)), n.perRow, n.outputs)
	if n.whole || n.axis != 0 {
		names = append(names, "--whole or --axis")
	}
	return names
}

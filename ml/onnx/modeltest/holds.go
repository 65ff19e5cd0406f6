package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/onnx"
)

// holds runs a file on a test's inputs, of which one is the row and the others are
// fixed, and holds output i against what the test wants. Which of the inputs can
// be a row is for the network to say; where none can, all are fixed.
func holds(f *onnx.File, inputs []onnx.Array, i int, want onnx.Array) (v verdict, why string) {
	defer func() {
		if p := recover(); p != nil {
			v, why = wrong, fmt.Sprintf("panic: %v", p)
		}
	}()
	ports, outs := f.Inputs(), f.Outputs()
	if len(inputs) > len(ports) || i >= len(outs) {
		return refused, fmt.Sprintf("the test has %d inputs and output %d, the file %d inputs and %d outputs", len(inputs), i, len(ports), len(outs))
	}
	ports = ports[:len(inputs)]
	var first error
	for _, row := range append(rows(ports, inputs), -1) {
		opts := []onnx.Option{onnx.Whole(), onnx.Output(outs[i].Name)}
		for k, p := range ports {
			opts = append(opts, sizes(p, inputs[k])...)
			if k != row {
				opts = append(opts, onnx.Fix(p.Name, inputs[k].Values...))
			}
		}
		var got []float32
		var err error
		if row >= 0 {
			got, err = predict(f, inputs[row].Values, opts)
		} else {
			got, err = evaluate(f, opts)
		}
		if err != nil {
			if first == nil || row < 0 && !errors.Is(err, errRow) { // with all known, what is wrong besides
				first = err
			}
			continue
		}
		if diff := compare(got, want, noise(f, want)); diff != "" {
			return wrong, diff
		}
		if row < 0 {
			return folded, ""
		}
		return passed, ""
	}
	return refused, first.Error()
}

// sizes gives the open dimensions of an input those of the test's array.
func sizes(p onnx.Port, a onnx.Array) (opts []onnx.Option) {
	for i, d := range p.Dims {
		if d == 0 && i < len(a.Shape) && a.Shape[i] > 0 {
			opts = append(opts, onnx.Dim(fmt.Sprintf("%s[%d]", p.Name, i), a.Shape[i]))
		}
	}
	return opts
}

// rows lists the inputs that may be a row, floats first.
func rows(ports []onnx.Port, inputs []onnx.Array) []int {
	var order []int
	for k := range ports {
		if len(inputs[k].Values) > 0 {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(ports[a]) - rank(ports[b]) })
	return order
}

func rank(p onnx.Port) int {
	if strings.Contains(p.Type, "float") || p.Type == "double" {
		return 0
	}
	return 1
}

// predict compiles a network and runs it on one row.
func predict(f *onnx.File, row []float64, opts []onnx.Option) ([]float32, error) {
	m, err := f.Compile(opts...)
	if err != nil {
		return nil, err
	}
	x := make([]float32, len(row))
	for i, v := range row {
		if x[i] = float32(v); float64(x[i]) != v && v == math.Trunc(v) {
			return nil, fmt.Errorf("%w: %v isn't kept exactly by float32", onnx.ErrUnsupported, v)
		}
	}
	return m.NewWorker(1).Run(x, 1)
}

// errRow says that there is no row.
var errRow = errors.New("it depends on a row")

// evaluate is for a network whose inputs are all fixed.
func evaluate(f *onnx.File, opts []onnx.Option) ([]float32, error) {
	t, err := f.Trace(opts...)
	if err != nil {
		return nil, err
	}
	values := make([]*tensor.Dense, len(t.Values))
	for i, v := range t.Values {
		if v.Kind == graph.Constant {
			values[i] = v.Data
		}
	}
	for _, s := range t.Steps {
		in := make([]*tensor.Dense, len(s.In))
		for k, v := range s.In {
			if in[k] = values[v]; in[k] == nil {
				return nil, errRow
			}
		}
		c, err := nn.NewCall(s.Op, nil, in...)
		if err == nil {
			err = s.Op.Forward(c)
		}
		if err != nil {
			return nil, err
		}
		for k, v := range s.Out {
			values[v] = c.Out[k]
		}
	}
	return nn.Floats(values[t.Outputs[0]]), nil
}

// The differences that ONNX's own runner allows.
const relative, absolute = 1e-3, 1e-7

// halves are computed with more digits than the tests' results have.
const half = 1e-2

// noise is how far a test's own results may be from what they stand for: those of a
// Fourier transform, which ONNX has NumPy compute with float32, by the last bit of the
// largest one, where sums cancel.
func noise(f *onnx.File, want onnx.Array) float64 {
	if !slices.Contains(f.Operators(), "DFT") && !slices.Contains(f.Operators(), "STFT") {
		return 0
	}
	largest := 0.0
	for _, w := range want.Values {
		largest = max(largest, math.Abs(w))
	}
	return largest / (1 << 23)
}

func compare(got []float32, want onnx.Array, noise float64) string {
	if len(got) != len(want.Values) {
		return fmt.Sprintf("%d elements, want %d", len(got), len(want.Values))
	}
	rel := relative
	if strings.HasSuffix(want.Type, "float16") {
		rel = half
	}
	for i, w := range want.Values {
		g := float64(got[i])
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if d := math.Abs(g - w); !(d <= noise+absolute+rel*math.Abs(w)) {
			return fmt.Sprintf("element %d is %v, want %v", i, g, w)
		}
	}
	return ""
}

// ramps are the inputs that ONNX gives its light networks: n numbers from 0 on,
// divided by n.
func ramps(f *onnx.File) []onnx.Array {
	var all []onnx.Array
	for _, p := range f.Inputs() {
		n := 1
		for _, d := range p.Dims {
			n *= max(1, d)
		}
		a := onnx.Array{Shape: p.Dims, Type: p.Type, Values: make([]float64, n)}
		for i := range a.Values {
			a.Values[i] = float64(float32(i) / float32(n))
		}
		all = append(all, a)
	}
	return all
}

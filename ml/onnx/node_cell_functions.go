package onnx

import (
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// cellFunction is a function that recurrent cells may use, with its parameters alpha and
// beta if they aren't given.
type cellFunction struct {
	takesAlpha, takesBeta bool
	alpha, beta           float32
	of                    func(alpha, beta float32) []nn.Op // one after another
}

// cellFunctions are the functions by their names in ONNX, in small letters. The table is
// never written.
var cellFunctions = map[string]cellFunction{
	"sigmoid":  {of: func(_, _ float32) []nn.Op { return []nn.Op{op.Sigmoid{}} }},
	"tanh":     {of: func(_, _ float32) []nn.Op { return []nn.Op{op.Tanh{}} }},
	"relu":     {of: func(_, _ float32) []nn.Op { return []nn.Op{op.ReLU{}} }},
	"softsign": {of: func(_, _ float32) []nn.Op { return []nn.Op{op.Map{Function: "Softsign"}} }},
	"softplus": {of: func(_, _ float32) []nn.Op { return []nn.Op{op.Softplus{Beta: 1}} }},
	"leakyrelu": {takesAlpha: true, alpha: 0.01,
		of: func(a, _ float32) []nn.Op { return []nn.Op{op.LeakyReLU{Slope: a}} }},
	"elu": {takesAlpha: true, alpha: 1,
		of: func(a, _ float32) []nn.Op { return []nn.Op{op.ELU{Alpha: a}} }},
	"thresholdedrelu": {takesAlpha: true, alpha: 1,
		of: func(a, _ float32) []nn.Op { return []nn.Op{op.Map{Function: "ThresholdedRelu", A: a}} }},
	"affine": {takesAlpha: true, takesBeta: true, alpha: 1,
		of: func(a, b float32) []nn.Op { return []nn.Op{op.Affine{Scale: a, Shift: b}} }},
	"scaledtanh": {takesAlpha: true, takesBeta: true, alpha: 1, beta: 1,
		of: func(a, b float32) []nn.Op {
			return []nn.Op{op.Affine{Scale: b}, op.Tanh{}, op.Affine{Scale: a}}
		}},
	"hardsigmoid": {takesAlpha: true, takesBeta: true, alpha: 0.2, beta: 0.5,
		of: func(a, b float32) []nn.Op {
			return []nn.Op{op.Affine{Scale: a, Shift: b}, op.Clip{Low: 0, High: 1}}
		}},
}

// functions reads the functions of all directions' cells, usual if none are given; the
// lists of alphas and betas are for those that take one, in their order.
func (r *recurrent) functions(usual []string) error {
	n := len(usual)
	names := usual
	if a := r.node.attrs["activations"]; a != nil {
		if names = a.strs; len(names) != n*len(r.backward) {
			return fmt.Errorf("%w: activations %q, want %d", ErrFormat, names, n*len(r.backward))
		}
	}
	var alphas, betas []float32
	if a := r.node.attrs["activation_alpha"]; a != nil {
		alphas = a.floats
	}
	if a := r.node.attrs["activation_beta"]; a != nil {
		betas = a.floats
	}
	r.usual = true
	for i := range n * len(r.backward) {
		name := strings.ToLower(names[i%len(names)])
		f, ok := cellFunctions[name]
		if !ok {
			return fmt.Errorf("%w: the activation %q", ErrUnsupported, names[i%len(names)])
		}
		if f.takesAlpha {
			f.alpha, alphas = next(alphas, f.alpha)
		}
		if f.takesBeta {
			f.beta, betas = next(betas, f.beta)
		}
		r.usual = r.usual && name == strings.ToLower(usual[i%n])
		r.applied = append(r.applied, f.of(f.alpha, f.beta))
	}
	return nil
}

// next takes the first of a list, or what is there without one.
func next(list []float32, def float32) (float32, []float32) {
	if len(list) == 0 {
		return def, nil
	}
	return list[0], list[1:]
}

// function applies function i of direction d's cell.
func (r *recurrent) function(d, i int, x value) value {
	each := len(r.applied) / len(r.backward)
	for _, o := range r.applied[d*each+i] {
		x = r.try(o, x)
	}
	return x
}

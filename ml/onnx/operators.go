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

// operator is a known operator: how its nodes are read, and what they may hold in
// each opset, oldest first, as ONNX's own schemas say.
type operator struct {
	read  reader
	forms []form
}

// form is what a node of an operator may hold from an opset on.
type form struct {
	since     int // the first opset, MinOpset for older ones too
	low, high int // the fewest and most inputs
	outputs   int // the most outputs
	attrs     attrs
	required  string // the attribute that must be there, "" if none
}

// attrs are the attributes that a node may have.
type attrs map[string]kind

// many stands for any number of inputs or outputs.
const many = 1 << 30

// What most operators look like.
var (
	oneInput  = []form{{since: 11, low: 1, high: 1, outputs: 1}}
	twoInputs = []form{{since: 11, low: 2, high: 2, outputs: 1}}
	anyInputs = []form{{since: 11, low: 1, high: many, outputs: 1}}
	onAxis    = []form{{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"axis": kindInt}}}
	// The reductions but ReduceSum took their axes as an input five opsets later.
	reduction = []form{
		{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"axes": kindInts, "keepdims": kindFlag}},
		{since: 18, low: 1, high: 2, outputs: 1, attrs: attrs{"keepdims": kindFlag, "noop_with_empty_axes": kindFlag}},
	}
)

// operators are the known operators of ONNX's default domain. The table is never
// written.
var operators = map[string]operator{
	"Conv": {conv, []form{{since: 11, low: 2, high: 3, outputs: 1, attrs: attrs{
		"auto_pad": kindString, "dilations": kindInts, "group": kindInt, "kernel_shape": kindInts, "pads": kindInts, "strides": kindInts}}}},
	"MaxPool": {pool, []form{{since: 11, low: 1, high: 1, outputs: 2, required: "kernel_shape", attrs: attrs{
		"auto_pad": kindString, "ceil_mode": kindFlag, "dilations": kindInts, "kernel_shape": kindInts, "pads": kindInts, "storage_order": kindFlag, "strides": kindInts}}}},
	"AveragePool": {pool, []form{
		{since: 11, low: 1, high: 1, outputs: 1, required: "kernel_shape", attrs: attrs{
			"auto_pad": kindString, "ceil_mode": kindFlag, "count_include_pad": kindFlag, "kernel_shape": kindInts, "pads": kindInts, "strides": kindInts}},
		{since: 19, low: 1, high: 1, outputs: 1, required: "kernel_shape", attrs: attrs{
			"auto_pad": kindString, "ceil_mode": kindFlag, "count_include_pad": kindFlag, "dilations": kindInts, "kernel_shape": kindInts, "pads": kindInts, "strides": kindInts}},
	}},
	"GlobalAveragePool": {globalPool, oneInput},
	"GlobalMaxPool":     {globalPool, oneInput},
	"BatchNormalization": {batchNorm, []form{
		{since: 11, low: 5, high: 5, outputs: 5, attrs: attrs{"epsilon": kindFloat, "momentum": kindFloat}},
		{since: 14, low: 5, high: 5, outputs: 3, attrs: attrs{"epsilon": kindFloat, "momentum": kindFloat, "training_mode": kindFlag}},
	}},
	"Gemm": {gemm, []form{{since: 11, low: 2, high: 3, outputs: 1, attrs: attrs{
		"alpha": kindFloat, "beta": kindFloat, "transA": kindFlag, "transB": kindFlag}}}},
	"MatMul": {matMul, twoInputs},
	"LSTM": {lstm, []form{
		{since: 11, low: 3, high: 8, outputs: 3, attrs: attrs{"activation_alpha": kindFloats, "activation_beta": kindFloats,
			"activations": kindStrings, "clip": kindFloat, "direction": kindString, "hidden_size": kindInt, "input_forget": kindFlag}},
		{since: 14, low: 3, high: 8, outputs: 3, attrs: attrs{"activation_alpha": kindFloats, "activation_beta": kindFloats,
			"activations": kindStrings, "clip": kindFloat, "direction": kindString, "hidden_size": kindInt, "input_forget": kindFlag, "layout": kindFlag}},
	}},
	"GRU": {gru, []form{
		{since: 11, low: 3, high: 6, outputs: 2, attrs: attrs{"activation_alpha": kindFloats, "activation_beta": kindFloats,
			"activations": kindStrings, "clip": kindFloat, "direction": kindString, "hidden_size": kindInt, "linear_before_reset": kindFlag}},
		{since: 14, low: 3, high: 6, outputs: 2, attrs: attrs{"activation_alpha": kindFloats, "activation_beta": kindFloats,
			"activations": kindStrings, "clip": kindFloat, "direction": kindString, "hidden_size": kindInt, "layout": kindFlag, "linear_before_reset": kindFlag}},
	}},

	"Relu": {elementwise, oneInput}, "Sigmoid": {elementwise, oneInput}, "Tanh": {elementwise, oneInput},
	"Softplus": {elementwise, oneInput}, "Exp": {elementwise, oneInput}, "Log": {elementwise, oneInput},
	"Sqrt": {elementwise, oneInput}, "Neg": {elementwise, oneInput}, "Abs": {elementwise, oneInput},
	"LeakyRelu":   {elementwise, []form{{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"alpha": kindFloat}}}},
	"Elu":         {elementwise, []form{{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"alpha": kindFloat}}}},
	"HardSigmoid": {elementwise, []form{{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"alpha": kindFloat, "beta": kindFloat}}}},
	"PRelu":       {prelu, twoInputs},
	"Clip":        {clip, []form{{since: 11, low: 1, high: 3, outputs: 1}}},
	"Softmax":     {softmax, onAxis}, "LogSoftmax": {softmax, onAxis},

	"Add": {arithmetic, twoInputs}, "Sub": {arithmetic, twoInputs}, "Mul": {arithmetic, twoInputs},
	"Div": {arithmetic, twoInputs}, "Pow": {arithmetic, twoInputs},
	"Min": {extremes, anyInputs}, "Max": {extremes, anyInputs},
	"ReduceMean": {reduce, reduction}, "ReduceMax": {reduce, reduction}, "ReduceMin": {reduce, reduction},
	"ReduceSum": {reduce, []form{
		{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"axes": kindInts, "keepdims": kindFlag}},
		{since: 13, low: 1, high: 2, outputs: 1, attrs: attrs{"keepdims": kindFlag, "noop_with_empty_axes": kindFlag}},
	}},

	"Identity": {identity, oneInput},
	"Dropout": {dropout, []form{
		{since: 11, low: 1, high: 1, outputs: 2, attrs: attrs{"ratio": kindFloat}},
		{since: 12, low: 1, high: 3, outputs: 2, attrs: attrs{"seed": kindInt}},
	}},
	"Cast": {cast, []form{
		{since: 11, low: 1, high: 1, outputs: 1, required: "to", attrs: attrs{"to": kindInt}},
		{since: 19, low: 1, high: 1, outputs: 1, required: "to", attrs: attrs{"saturate": kindFlag, "to": kindInt}},
	}},
	"Constant": {constant, []form{
		{since: 11, outputs: 1, attrs: attrs{"value": kindTensor, "sparse_value": kindSparse}},
		{since: 12, outputs: 1, attrs: attrs{"value": kindTensor, "sparse_value": kindSparse, "value_float": kindFloat, "value_floats": kindFloats,
			"value_int": kindInt, "value_ints": kindInts, "value_string": kindString, "value_strings": kindStrings}},
	}},
	"ConstantOfShape": {constantOfShape, []form{{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"value": kindTensor}}}},
	"Shape": {shapeOf, []form{
		{since: 11, low: 1, high: 1, outputs: 1},
		{since: 15, low: 1, high: 1, outputs: 1, attrs: attrs{"end": kindInt, "start": kindInt}},
	}},
	"Reshape": {reshape, []form{
		{since: 11, low: 2, high: 2, outputs: 1},
		{since: 14, low: 2, high: 2, outputs: 1, attrs: attrs{"allowzero": kindFlag}},
	}},
	"Flatten": {flatten, onAxis},
	"Squeeze": {squeeze, []form{
		{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"axes": kindInts}},
		{since: 13, low: 1, high: 2, outputs: 1},
	}},
	"Unsqueeze": {squeeze, []form{
		{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"axes": kindInts}, required: "axes"},
		{since: 13, low: 2, high: 2, outputs: 1},
	}},
	"Transpose": {transpose, []form{{since: 11, low: 1, high: 1, outputs: 1, attrs: attrs{"perm": kindInts}}}},
	"Concat":    {concat, []form{{since: 11, low: 1, high: many, outputs: 1, attrs: attrs{"axis": kindInt}, required: "axis"}}},
	"Split": {split, []form{
		{since: 11, low: 1, high: 1, outputs: many, attrs: attrs{"axis": kindInt, "split": kindInts}},
		{since: 13, low: 1, high: 2, outputs: many, attrs: attrs{"axis": kindInt}},
		{since: 18, low: 1, high: 2, outputs: many, attrs: attrs{"axis": kindInt, "num_outputs": kindInt}},
	}},
	"Slice":  {slice, []form{{since: 11, low: 3, high: 5, outputs: 1}}},
	"Gather": {gather, []form{{since: 11, low: 2, high: 2, outputs: 1, attrs: attrs{"axis": kindInt}}}},
	"Pad": {pad, []form{
		{since: 11, low: 2, high: 3, outputs: 1, attrs: attrs{"mode": kindString}},
		{since: 18, low: 2, high: 4, outputs: 1, attrs: attrs{"mode": kindString}},
	}},
	"Expand": {expand, twoInputs},
}

// moves are the operators that give the elements of their first inputs other
// places and no other values. The table is never written.
var moves = map[string]bool{
	"Identity": true, "Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true,
	"Transpose": true, "Concat": true, "Split": true, "Slice": true, "Expand": true,
}

// form is what a node of the operator may hold in an opset.
func (o operator) form(opset int) form {
	f := o.forms[0]
	for _, later := range o.forms[1:] {
		if later.since <= opset {
			f = later
		}
	}
	return f
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
		if i >= len(n.inputs) || n.inputs[i] == "" {
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
	if f.required != "" && n.attrs[f.required] == nil {
		return fmt.Errorf("%w: attribute %s is missing", ErrFormat, f.required)
	}
	return nil
}

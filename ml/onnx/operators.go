package onnx

import (
	"maps"
	"slices"
)

// Operators lists the known operators of ONNX's default domain by their names.
func Operators() []string { return slices.Sorted(maps.Keys(operators)) }

// operators are the known operators of ONNX's default domain. The table is never
// written.
var operators = map[string]reader{
	"Conv": conv, "MaxPool": pool, "AveragePool": pool,
	"GlobalAveragePool": globalPool, "GlobalMaxPool": globalPool,
	"BatchNormalization": batchNorm, "Gemm": gemm, "MatMul": matMul,
	"LSTM": lstm, "GRU": gru,

	"Relu": elementwise, "LeakyRelu": elementwise, "Elu": elementwise, "Sigmoid": elementwise,
	"Tanh": elementwise, "Softplus": elementwise, "HardSigmoid": elementwise, "Exp": elementwise,
	"Log": elementwise, "Sqrt": elementwise, "Neg": elementwise, "Abs": elementwise,
	"PRelu": prelu, "Clip": clip, "Softmax": softmax, "LogSoftmax": softmax,

	"Add": arithmetic, "Sub": arithmetic, "Mul": arithmetic, "Div": arithmetic, "Pow": arithmetic,
	"Min": extremes, "Max": extremes,
	"ReduceMean": reduce, "ReduceSum": reduce, "ReduceMax": reduce, "ReduceMin": reduce,

	"Identity": identity, "Dropout": identity, "Cast": cast, "Constant": constant,
	"Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": squeeze,
	"Transpose": transpose, "Concat": concat, "Split": split, "Slice": slice, "Gather": gather,
	"Pad": pad, "Expand": expand, "Shape": shapeOf, "ConstantOfShape": constantOfShape,
}

// moves are the operators that give the elements of their first inputs other
// places and no other values. The table is never written.
var moves = map[string]bool{
	"Identity": true, "Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true,
	"Transpose": true, "Concat": true, "Split": true, "Slice": true, "Expand": true,
}

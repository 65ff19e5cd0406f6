// Package functions has the functions that networks are made of, named as in
// Chainer: activations, connections, pooling, normalisation, losses, array and
// number arithmetic. They take and return variables, compute at once, and are
// differentiable unless they say otherwise:
//
//	h := functions.ReLU(functions.Linear(x, w1, b1))
//	loss := functions.SoftmaxCrossEntropy(functions.Linear(h, w2, b2), labels)
//	err := loss.Backward()
//
// Nothing here returns an error or panics: a failure is kept in the result (see
// package nn). Shapes are written as (N, C, H, W): batch, channel, height,
// width. An axis below zero counts from the last.
//
// Where Chainer writes an operator, Go calls a function: Add(a, b) is a + b,
// and broadcasts like NumPy; AddScalar(a, 1) is a + 1; GetItem(x, From(1)) is
// x[1:].
package functions

package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// elementwise reads operators of one input that have an operation of their own.
func elementwise(im *importer, in []value) ([]value, error) {
	var o nn.Op
	switch im.node.op {
	case "Relu":
		o = op.ReLU{}
	case "LeakyRelu":
		o = op.LeakyReLU{Slope: im.attrFloat("alpha", 0.01)}
	case "Elu":
		o = op.ELU{Alpha: im.attrFloat("alpha", 1)}
	case "Sigmoid":
		o = op.Sigmoid{}
	case "Tanh":
		o = op.Tanh{}
	case "Softplus":
		o = op.Softplus{Beta: 1}
	case "Exp":
		o = op.Exp{}
	case "Log":
		o = op.Log{}
	case "Sqrt":
		o = op.Sqrt{}
	case "Neg":
		o = op.Neg{}
	case "Abs":
		o = op.Abs{}
	case "HardSigmoid":
		y, err := im.apply(op.Affine{Scale: im.attrFloat("alpha", 0.2), Shift: im.attrFloat("beta", 0.5)}, in[0])
		if err != nil {
			return nil, err
		}
		return one(im.apply(op.Clip{Low: 0, High: 1}, y))
	}
	return one(im.apply(o, in[0]))
}

// clip reads Clip.
func clip(im *importer, in []value) ([]value, error) {
	low, err := im.scalar(in, 1, "min", -infinity)
	if err != nil {
		return nil, err
	}
	high, err := im.scalar(in, 2, "max", infinity)
	if err != nil {
		return nil, err
	}
	return one(im.apply(op.Clip{Low: min(low, high), High: high}, in[0])) // crossed limits give the upper one
}

// prelu reads PRelu, whose slopes broadcast to the input.
func prelu(im *importer, in []value) ([]value, error) {
	x, slope := in[0], in[1]
	forChannels := im.opset < 7 && len(x.shape) > 1 && slices.Equal(slope.shape, x.shape[1:2])
	if !forChannels && !broadcasts(slope.shape, x.shape) {
		return nil, fmt.Errorf("%w: slopes of shape %s, which don't broadcast to %s", ErrFormat, shapeName(slope.shape), shapeName(x.shape))
	}
	if channelwise(slope.shape, x.shape) || forChannels {
		w, err := im.reshape(slope, []int{x.shape[1]})
		if err != nil {
			return nil, err
		}
		return one(im.apply(op.PReLU{}, x, w))
	}
	above, err := im.apply(op.ReLU{}, x)
	if err != nil {
		return nil, err
	}
	below, err := im.apply(op.Clip{Low: -infinity, High: 0}, x)
	if err == nil {
		below, err = im.apply(op.Mul{}, below, slope)
	}
	if err != nil {
		return nil, err
	}
	return one(im.apply(op.Add{}, above, below))
}

// channelwise tells whether a shape that broadcasts to another has one element for
// each of its channels, axis 1.
func channelwise(from, to []int) bool {
	channel := len(from) - len(to) + 1 // the axis of from that is matched with it
	return len(to) > 1 && channel >= 0 && from[channel] == to[1] && elements(from) == to[1]
}

// softmax reads Softmax and LogSoftmax.
func softmax(im *importer, in []value) ([]value, error) {
	return im.coerced(in[0], func(x value, a int) (value, error) {
		if im.node.op == "LogSoftmax" {
			return im.apply(op.LogSoftmax{Axis: a}, x)
		}
		return im.apply(op.Softmax{Axis: a}, x)
	})
}

// coerced applies what goes along the node's axis. Before opset 13 it goes over all
// axes from there on.
func (im *importer) coerced(x value, along func(x value, a int) (value, error)) ([]value, error) {
	def := int64(-1)
	if im.opset < 13 {
		def = 1
	}
	a, err := axis(im.attr("axis", def), len(x.shape))
	if err != nil {
		return nil, err
	}
	if im.opset >= 13 || a == len(x.shape)-1 {
		return one(along(x, a))
	}
	y, err := im.reshape(x, []int{elements(x.shape[:a]), elements(x.shape[a:])})
	if err == nil {
		y, err = along(y, 1)
	}
	if err == nil {
		y, err = im.reshape(y, x.shape)
	}
	return one(y, err)
}

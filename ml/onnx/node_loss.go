package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// loss reads NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
func loss(im *importer, in []value) ([]value, error) {
	x, c := in[0], &calls{importer: im}
	if len(x.shape) < 2 || !isFloat(x.dtype) {
		return nil, fmt.Errorf("%w: scores of shape %s, want (N, C, ...)", ErrFormat, shapeName(x.shape))
	}
	if im.node.op == "SoftmaxCrossEntropyLoss" {
		x = c.do(op.LogSoftmax{Axis: 1}, x)
	}
	hit, err := im.hits(in[1], in[0].shape)
	if err != nil {
		return nil, err
	}
	one := c.number(1)
	if has(in, 2) {
		w := in[2]
		if !slices.Equal(w.shape, x.shape[1:2]) {
			return nil, fmt.Errorf("%w: weights of shape %s for %d classes", ErrFormat, shapeName(w.shape), x.shape[1])
		}
		one = c.shaped(w, append([]int{1, x.shape[1]}, slices.Repeat([]int{1}, len(x.shape)-2)...)...)
	}
	zero, over := c.number(0), op.Axes{Over: []int{1}}
	each := c.do(op.Affine{Scale: -1}, c.do(op.Sum{Axes: over}, c.do(op.Select{}, hit, c.do(op.Mul{}, x, one), zero)))
	weights := c.do(op.Sum{Axes: over}, c.do(op.Select{}, hit, one, zero))
	switch reduction := im.attrString("reduction", "mean"); reduction {
	case "none":
	case "sum":
		each = c.do(op.Sum{}, each)
	case "mean":
		each = c.do(op.Div{}, c.do(op.Sum{}, each), c.do(op.Sum{}, weights))
	default:
		return nil, fmt.Errorf("%w: reduction %q", ErrFormat, reduction)
	}
	return c.results(each, x)
}

// hits is 1 at each target's class of scores, 0 elsewhere.
func (im *importer) hits(target value, scores []int) (value, error) {
	if !target.isInt() || !slices.Equal(target.shape, slices.Delete(slices.Clone(scores), 1, 2)) {
		return value{}, fmt.Errorf("%w: targets must be known when the file is read and fit scores of %s", ErrUnsupported, shapeName(scores))
	}
	classes, inner := scores[1], elements(scores[2:])
	ignored := im.node.attrs["ignore_index"]
	hit := make([]float32, elements(scores))
	for i, t := range target.ints {
		if ignored != nil && t == ignored.i {
			continue
		}
		if t < 0 || t >= int64(classes) {
			return value{}, fmt.Errorf("%w: target %d of %d classes", ErrFormat, t, classes)
		}
		hit[(i/inner*classes+int(t))*inner+i%inner] = 1
	}
	return im.floats("", hit, scores)
}

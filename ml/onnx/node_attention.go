package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// attention is an Attention that is being read:
//
//	Y = softmax(softcap(scale Q K') + bias) V
type attention struct {
	*calls
	in      []value
	q, k, v value // (batch, heads, sequence, size)
}

// attend reads Attention.
func attend(im *importer, in []value) ([]value, error) {
	a := &attention{calls: &calls{importer: im}, in: in}
	for i := range 3 {
		if !isFloat(in[i].dtype) || len(in[i].shape) != len(in[0].shape) {
			return nil, fmt.Errorf("%w: input %d has elements of %s and the shape %s", ErrFormat, i, typeName(in[i].dtype), shapeName(in[i].shape))
		}
	}
	if err := a.heads(); err != nil {
		return nil, err
	}
	key, val := a.k, a.v
	if err := a.group(); err != nil {
		return nil, err
	}
	scale := im.attrFloat("scale", float32(1/math.Sqrt(float64(a.q.shape[3]))))
	var scores [4]value // by qk_matmul_output_mode
	scores[0] = a.product(a.do(op.Affine{Scale: scale}, a.q), a.do(op.Transpose{Axes: []int{0, 1, 3, 2}}, a.k))
	scores[1] = scores[0]
	limit := im.attrFloat("softcap", 0)
	if limit > 0 {
		scores[1] = a.do(op.Affine{Scale: limit}, a.do(op.Tanh{}, a.do(op.Affine{Scale: 1 / limit}, scores[0])))
	}
	bias, hides, err := a.bias()
	if err != nil {
		return nil, err
	}
	scores[2] = scores[1]
	if bias.none == "" {
		scores[2] = a.do(op.Add{}, scores[1], bias)
	}
	scores[3] = a.do(op.Softmax{Axis: -1}, scores[2])
	y := a.product(scores[3], a.v)
	if hides {
		y = a.unlessHidden(bias, y)
	}
	if len(in[0].shape) == 3 && a.err == nil {
		s := y.shape
		y = a.shaped(a.do(op.Transpose{Axes: []int{0, 2, 1, 3}}, y), s[0], s[2], s[1]*s[3])
	}
	mode := im.attr("qk_matmul_output_mode", 0)
	wanted := len(im.node.outputs) > 3 && im.node.outputs[3] != ""
	if mode < 0 || mode > 3 || wanted && mode == 0 && limit > 0 {
		return nil, fmt.Errorf("%w: qk_matmul_output_mode %d with softcap %v", ErrUnsupported, mode, limit)
	}
	if hides && wanted && mode == 3 {
		scores[3] = a.unlessHidden(bias, scores[3])
	}
	return a.results(y, key, val, scores[mode])
}

// heads gives queries, keys and values their heads, and those of the past.
func (a *attention) heads() error {
	for i, to := range []*value{&a.q, &a.k, &a.v} {
		x, name := a.in[i], "kv_num_heads"
		if i == 0 {
			name = "q_num_heads"
		}
		switch n := int(a.attr(name, 0)); {
		case len(x.shape) == 4:
		case len(x.shape) != 3 || n < 1 || x.shape[2]%n != 0:
			return fmt.Errorf("%w: input %d has the shape %s, %s is %d", ErrFormat, i, shapeName(x.shape), name, n)
		default:
			x = a.do(op.Transpose{Axes: []int{0, 2, 1, 3}}, a.shaped(x, x.shape[0], x.shape[1], n, x.shape[2]/n))
		}
		if past := 3 + i; i > 0 && has(a.in, past) {
			x = a.do(op.Concat{Axis: 2}, a.in[past], x)
		}
		if *to = x; a.err != nil {
			return a.err
		}
	}
	return nil
}

// group repeats keys and values whose heads several heads of queries share.
func (a *attention) group() error {
	heads, shared := a.q.shape[1], a.k.shape[1]
	if shared == heads {
		return nil
	}
	if heads%shared != 0 || a.v.shape[1] != shared {
		return fmt.Errorf("%w: %d heads of queries and %d of keys", ErrFormat, heads, shared)
	}
	var index []int32
	for i := range heads {
		index = append(index, int32(i/(heads/shared)))
	}
	a.k, a.v = a.do(op.Take{Axis: 1, Index: index}, a.k), a.do(op.Take{Axis: 1, Index: index}, a.v)
	return a.err
}

// product multiplies matrices, one for each head.
func (a *attention) product(x, y value) value {
	if a.err != nil {
		return value{}
	}
	out, err := matMul(a.importer, []value{x, y})
	if err != nil {
		a.err = err
		return value{}
	}
	return out[0]
}

// rotary reads RotaryEmbedding: pairs of elements turned by an angle of their place.
func rotary(im *importer, in []value) ([]value, error) {
	x, c := in[0], &calls{importer: im}
	if len(x.shape) == 3 {
		n := int(im.attr("num_heads", 0))
		if n < 1 || x.shape[2]%n != 0 {
			return nil, fmt.Errorf("%w: %s in %d heads", ErrFormat, shapeName(x.shape), n)
		}
		x = c.shaped(x, x.shape[0], x.shape[1], n, x.shape[2]/n)
	} else if len(x.shape) == 4 {
		x = c.do(op.Transpose{Axes: []int{0, 2, 1, 3}}, x)
	}
	if c.err != nil || len(x.shape) != 4 {
		return nil, fmt.Errorf("%w: X has the shape %s: %v", ErrFormat, shapeName(in[0].shape), c.err)
	}
	size := x.shape[3]
	turned := int(im.attr("rotary_embedding_dim", 0))
	if turned == 0 {
		turned = size
	}
	if turned < 2 || turned > size || turned%2 != 0 {
		return nil, fmt.Errorf("%w: rotary_embedding_dim %d of %d", ErrFormat, turned, size)
	}
	half := turned / 2
	var angles [2]value // cosine and sine, (batch, sequence, 1, half)
	for i := range angles {
		a := in[1+i]
		if has(in, 3) {
			rows, err := im.gather(a, in[3], 0)
			if err != nil {
				return nil, err
			}
			a = rows
		}
		if len(a.shape) != 3 || a.shape[2] != half {
			return nil, fmt.Errorf("%w: input %d has the shape %s for %d turned elements", ErrFormat, 1+i, shapeName(a.shape), turned)
		}
		angles[i] = c.shaped(a, a.shape[0], a.shape[1], 1, half)
	}
	interleaved := im.attr("interleaved", 0) != 0
	part := func(from, count, step int) value {
		return c.do(op.Slice{Ranges: []op.Range{whole(x.shape[0]), whole(x.shape[1]), whole(x.shape[2]), {From: from, Count: count, Step: step}}}, x)
	}
	a, b := part(0, half, 1), part(half, half, 1)
	if interleaved {
		a, b = part(0, half, 2), part(1, half, 2)
	}
	left := c.do(op.Sub{}, c.do(op.Mul{}, a, angles[0]), c.do(op.Mul{}, b, angles[1]))
	right := c.do(op.Add{}, c.do(op.Mul{}, a, angles[1]), c.do(op.Mul{}, b, angles[0]))
	y := c.do(op.Concat{Axis: 3}, left, right)
	if interleaved && c.err == nil {
		s := slices.Concat(x.shape[:3], []int{half, 1})
		y = c.shaped(c.do(op.Concat{Axis: 4}, c.shaped(left, s...), c.shaped(right, s...)), x.shape[0], x.shape[1], x.shape[2], turned)
	}
	if turned < size {
		y = c.do(op.Concat{Axis: 3}, y, part(turned, size-turned, 1))
	}
	if len(in[0].shape) == 4 {
		y = c.do(op.Transpose{Axes: []int{0, 2, 1, 3}}, y)
	}
	return c.results(c.shaped(y, in[0].shape...))
}

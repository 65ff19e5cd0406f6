package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// causalConv reads CausalConvWithState: a convolution of each channel that sees only
// what came before, of which the last elements go on as a state.
func causalConv(im *importer, in []value) ([]value, error) {
	x, w := in[0], in[1]
	if len(x.shape) != 3 || len(w.shape) != 3 || w.shape[0] != x.shape[1] || w.shape[1] != 1 {
		return nil, fmt.Errorf("%w: x has the shape %s and W %s, want (N, C, L) and (C, 1, K)", ErrFormat, shapeName(x.shape), shapeName(w.shape))
	}
	n, channels, k := x.shape[0], x.shape[1], w.shape[2]
	if err := im.packs(k*channels, 1); err != nil {
		return nil, err
	}
	c := convolution{&calls{importer: im}, channels}
	switch past := []int{n, channels, k - 1}; {
	case k == 1:
	case !has(in, 3):
		x = c.do(op.Pad{Width: [][2]int{{}, {}, {k - 1, 0}}}, x)
	case !slices.Equal(in[3].shape, past):
		return nil, fmt.Errorf("%w: past_state has the shape %s, want %s", ErrFormat, shapeName(in[3].shape), shapeName(past))
	default:
		x = c.do(op.Concat{Axis: 2}, in[3], x)
	}
	var bias []value
	if has(in, 2) {
		bias = in[2:3]
	}
	if c.err != nil {
		return nil, c.err
	}
	y, err := c.over(x, w, bias, slide{kernel: []int{k}, stride: []int{1}, dilation: []int{1}, before: []int{0}, after: []int{0}})
	if err != nil {
		return nil, err
	}
	switch a := im.attrString("activation", "none"); a {
	case "none":
	case "silu", "swish":
		y = c.do(op.Map{Function: "Swish", A: 1}, y)
	default:
		return nil, fmt.Errorf("%w: activation %q", ErrFormat, a)
	}
	if k == 1 {
		return c.results(y, noElement([]int{n, channels, 0}))
	}
	last := op.Range{From: x.shape[2] - k + 1, Count: k - 1, Step: 1}
	return c.results(y, c.do(op.Slice{Ranges: []op.Range{whole(n), whole(channels), last}}, x))
}

// linearAttention reads LinearAttention.
func linearAttention(im *importer, in []value) ([]value, error) {
	heads, shared := im.attr("q_num_heads", 0), im.attr("kv_num_heads", 0)
	if heads < 1 || shared < 1 || heads > maxSide || shared > maxSide || len(in[0].shape) != 3 || in[0].shape[2]%int(heads) != 0 {
		return nil, fmt.Errorf("%w: queries of shape %s in %d heads, keys in %d", ErrFormat, shapeName(in[0].shape), heads, shared)
	}
	o := op.LinearAttention{Heads: int(heads), KVHeads: int(shared), State: has(in, 3), Decay: has(in, 4), Beta: has(in, 5)}
	if o.Scale = im.attrFloat("scale", 0); o.Scale == 0 {
		o.Scale = float32(1 / math.Sqrt(float64(in[0].shape[2]/o.Heads)))
	}
	rule := im.attrString("update_rule", "gated_delta")
	gated, delta := rule == "gated" || rule == "gated_delta", rule == "delta" || rule == "gated_delta"
	if !gated && !delta && rule != "linear" || o.Decay != gated || o.Beta != delta {
		return nil, fmt.Errorf("%w: update_rule %q, with decay: %t, with beta: %t", ErrFormat, rule, o.Decay, o.Beta)
	}
	if err := im.unroll(in[0].shape[1]); err != nil { // its cost is that of a loop
		return nil, err
	}
	given := slices.DeleteFunc(slices.Clone(in), func(v value) bool { return v.none != "" })
	return im.applyAll(o, given...)
}

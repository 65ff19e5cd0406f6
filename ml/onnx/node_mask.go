package onnx

import (
	"fmt"
	"math"

	"github.com/hibana-engine/hibana/ml/op"
)

// Which keys the queries of an Attention see: those that the mask, the window around
// the query, which is_causal ends at it, and the count of valid keys let them.

// bias is what is added to the scores, minus infinity for what isn't seen, or nothing;
// hides tells whether there may be queries that see no key at all.
func (a *attention) bias() (bias value, hides bool, err error) {
	bias = nothing("no mask")
	if has(a.in, 3) {
		bias, hides = a.mask(), len(a.in[3].shape) > 0
	}
	limits, err := a.limits()
	if err != nil || len(limits) == 0 {
		return bias, hides, err
	}
	offset, err := a.offset()
	if err != nil {
		return bias, false, err
	}
	for _, l := range limits {
		more := a.behind(l, offset)
		if bias.none == "" {
			more = a.do(op.Add{}, bias, more)
		}
		bias, hides = more, hides || l.hides
	}
	return bias, hides, a.err
}

// mask is the input attn_mask, whose missing keys aren't seen.
func (a *attention) mask() value {
	none, bias, keys := float32(math.Inf(-1)), a.in[3], a.k.shape[2]
	if bias.dtype == typeBool {
		bias = a.do(op.Select{}, bias, a.number(0), a.number(none))
	}
	if r := len(bias.shape); a.err == nil && r > 0 && bias.shape[r-1] < keys {
		width := make([][2]int, r)
		width[r-1][1] = keys - bias.shape[r-1]
		bias = a.do(op.Pad{Width: width, Value: none}, bias)
	}
	return bias
}

// limit says that query i sees key j where a function of at(i, j) and the offset, the
// number of keys before the first query, is true.
type limit struct {
	function string
	at       func(i, j int) int
	hides    bool // there may be queries that see no key
}

// limits are those of the window and of the valid keys.
func (a *attention) limits() (all []limit, err error) {
	left, right := a.attr("left_window_size", -1), a.attr("right_window_size", -1)
	if left < -1 || right < -1 {
		return nil, fmt.Errorf("%w: a window of %d keys to the left and %d to the right", ErrFormat, left, right)
	}
	if a.attr("is_causal", 0) != 0 {
		right = 0
	}
	side, counted := int64(a.k.shape[2]+a.q.shape[2]), has(a.in, 6) // of a window, beyond which it has no end
	if right >= 0 {
		right := int(min(right, side))
		all = append(all, limit{"LessOrEqual", func(i, j int) int { return j - i - right }, counted})
	}
	if left >= 0 {
		left := int(min(left, side))
		all = append(all, limit{"GreaterOrEqual", func(i, j int) int { return j - i + left }, true})
	}
	if counted {
		queries := a.q.shape[2]
		all = append(all, limit{"Less", func(_, j int) int { return j - queries }, true})
	}
	return all, nil
}

// offset is the number of keys before the first query: those of the past, or of the
// valid keys those before the queries' own.
func (a *attention) offset() (value, error) {
	if !has(a.in, 6) {
		past := 0
		if has(a.in, 4) {
			past = a.in[4].shape[2]
		}
		return a.number(float32(past)), a.err
	}
	batch, counts := a.q.shape[0], a.in[6]
	if has(a.in, 4) || has(a.in, 5) || len(counts.shape) != 1 || counts.shape[0] != batch || isFloat(counts.dtype) {
		return value{}, fmt.Errorf("%w: input 6, nonpad_kv_seqlen, of shape %s and %s, want a list of %d integers and no keys and values of the past",
			ErrFormat, shapeName(counts.shape), typeName(counts.dtype), batch)
	}
	return a.do(op.Affine{Scale: 1, Shift: -float32(a.q.shape[2])}, a.shaped(counts, batch, 1, 1, 1)), a.err
}

// behind is minus infinity for the keys that a limit hides.
func (a *attention) behind(l limit, offset value) value {
	queries, keys := a.q.shape[2], a.k.shape[2]
	if a.err == nil && keys > a.left/queries {
		a.err = a.beyond("a mask of %d queries and %d keys", queries, keys)
	}
	if a.err != nil {
		return value{}
	}
	at := make([]float32, queries*keys)
	for k := range at {
		at[k] = float32(l.at(k/keys, k%keys))
	}
	places, err := a.floats("", at, []int{queries, keys})
	if err != nil {
		a.err = err
		return value{}
	}
	return a.do(op.Select{}, a.do(op.Zip{Function: l.function}, places, offset), a.number(0), a.number(float32(math.Inf(-1))))
}

// unlessHidden is y, but zeros for the queries that see no key.
func (a *attention) unlessHidden(bias, y value) value {
	best := a.do(op.Max{Axes: op.Axes{Over: []int{len(bias.shape) - 1}, Keep: true}}, bias)
	hidden := a.do(op.Zip{Function: "Equal"}, best, a.number(float32(math.Inf(-1))))
	return a.do(op.Select{}, hidden, a.number(0), y)
}

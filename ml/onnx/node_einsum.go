package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/op"
)

// einsum reads Einsum: the operands with their axes in one order are multiplied,
// and summed over what the result doesn't have.
func einsum(im *importer, in []value) ([]value, error) {
	equation := strings.ReplaceAll(im.attrString("equation", ""), " ", "")
	left, result, explicit := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(in) {
		return nil, fmt.Errorf("%w: equation %q for %d inputs", ErrFormat, equation, len(in))
	}
	spread := 0 // axes that an ellipsis stands for
	for i, t := range terms {
		if strings.Contains(t, "...") {
			spread = max(spread, len(in[i].shape)-len(t)+3)
		}
	}
	labels := make([][]rune, len(in))
	for i, t := range terms {
		own := 0
		if strings.Contains(t, "...") {
			own = len(in[i].shape) - len(t) + 3
		}
		if own < 0 {
			return nil, fmt.Errorf("%w: %q for %s", ErrFormat, t, shapeName(in[i].shape))
		}
		labels[i] = expanded(t, spread-own, spread)
		if len(labels[i]) != len(in[i].shape) {
			return nil, fmt.Errorf("%w: %q for %s", ErrFormat, t, shapeName(in[i].shape))
		}
	}
	out := expanded(result, 0, spread)
	if !explicit {
		out = implied(labels, spread)
	}
	return one(im.einsum(in, labels, out))
}

// expanded writes out an ellipsis with digits.
func expanded(term string, from, to int) []rune {
	var digits strings.Builder
	for i := from; i < to; i++ {
		digits.WriteRune('0' + rune(i))
	}
	return []rune(strings.Replace(term, "...", digits.String(), 1))
}

// implied is the result of an equation without one: what occurs once, in order.
func implied(labels [][]rune, spread int) []rune {
	count := map[rune]int{}
	for _, l := range slices.Concat(labels...) {
		count[l]++
	}
	var once []rune
	for l, n := range count {
		if n == 1 && l > '9' {
			once = append(once, l)
		}
	}
	slices.Sort(once)
	return append(expanded("...", 0, spread), once...)
}

func (im *importer) einsum(in []value, labels [][]rune, out []rune) (value, error) {
	c := &calls{importer: im}
	in, labels = slices.Clone(in), slices.Clone(labels)
	for i := range in {
		var err error
		if in[i], labels[i], err = c.diagonal(in[i], labels[i]); err != nil {
			return value{}, err
		}
	}
	order := slices.Clone(out)
	for _, l := range slices.Concat(labels...) {
		if !slices.Contains(order, l) {
			order = append(order, l)
		}
	}
	if len(order) > maxRank {
		return value{}, fmt.Errorf("%w: %d axes", ErrUnsupported, len(order))
	}
	var product value
	for i, x := range in {
		var axes, shape []int
		for _, l := range order {
			at := slices.Index(labels[i], l)
			if at < 0 {
				shape = append(shape, 1)
				continue
			}
			axes, shape = append(axes, at), append(shape, x.shape[at])
		}
		if len(axes) > 1 {
			x = c.do(op.Transpose{Axes: axes}, x)
		}
		if x = c.shaped(x, shape...); i == 0 {
			product = x
		} else {
			product = c.do(op.Mul{}, product, x)
		}
	}
	var over []int
	for i := len(out); i < len(order); i++ {
		over = append(over, i)
	}
	if len(over) > 0 {
		product = c.do(op.Sum{Axes: op.Axes{Over: over}}, product)
	}
	return product, c.err
}

// diagonal keeps, of axes that have one label, the elements at equal indices.
func (c *calls) diagonal(x value, labels []rune) (value, []rune, error) {
	for a, l := range labels {
		b := a + 1 + slices.Index(labels[a+1:], l)
		if b == a {
			continue
		}
		n := x.shape[a]
		if x.shape[b] != n {
			return value{}, nil, fmt.Errorf("%w: axes of %d and %d have the label %q", ErrFormat, n, x.shape[b], l)
		}
		var axes, shape []int
		var left []rune
		ranges := []op.Range{}
		for i, other := range labels {
			if i != a && i != b {
				axes, shape, left = append(axes, i), append(shape, x.shape[i]), append(left, other)
				ranges = append(ranges, whole(x.shape[i]))
			}
		}
		x = c.shaped(c.do(op.Transpose{Axes: append(axes, a, b)}, x), append(shape, n*n)...)
		x = c.do(op.Slice{Ranges: append(ranges, op.Range{Count: n, Step: n + 1})}, x)
		if c.err != nil {
			return value{}, nil, c.err
		}
		return c.diagonal(x, append(left, l))
	}
	return x, labels, nil
}

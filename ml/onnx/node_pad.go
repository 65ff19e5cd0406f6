package onnx

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/op"
)

// pad reads Pad. What repeats elements takes them by their numbers.
func pad(im *importer, in []value) ([]value, error) {
	widths, err := im.padWidths(in)
	if err != nil {
		return nil, err
	}
	x := in[0]
	mode := im.attrString("mode", "constant")
	if mode == "constant" {
		return one(im.padConstant(in, widths))
	}
	for axis, w := range widths {
		if w == [2]int{} {
			continue
		}
		index, err := padIndex(mode, x.shape[axis], w)
		if err != nil {
			return nil, err
		}
		if x, err = im.apply(op.Take{Axis: axis, Index: index}, x); err != nil {
			return nil, err
		}
	}
	return []value{x}, nil
}

// padWidths reads how many elements are put before and after each axis; fewer than
// none takes some away.
func (im *importer) padWidths(in []value) ([][2]int, error) {
	list, _, err := im.list(in, 1, "pads")
	if err != nil {
		return nil, err
	}
	rank := len(in[0].shape)
	axes := make([]int64, rank)
	for i := range axes {
		axes[i] = int64(i)
	}
	if has(in, 3) {
		if axes, _, err = im.list(in, 3, ""); err != nil {
			return nil, err
		}
		if _, err := axesOf(axes, rank); err != nil {
			return nil, err
		}
	}
	if len(list) != 2*len(axes) {
		return nil, fmt.Errorf("%w: pads %v for %d axes", ErrFormat, list, len(axes))
	}
	widths := make([][2]int, rank)
	for i, a := range axes {
		k, err := axis(a, rank)
		if err != nil {
			return nil, err
		}
		before, after, n := list[i], list[i+len(axes)], int64(in[0].shape[k])
		if before > maxSide || after > maxSide || before < -n || after < -n || n+before+after < 1 {
			return nil, fmt.Errorf("%w: pads %v for %s", ErrUnsupported, list, shapeName(in[0].shape))
		}
		widths[k] = [2]int{int(before), int(after)}
	}
	return widths, nil
}

// padConstant pads with one number.
func (im *importer) padConstant(in []value, widths [][2]int) (value, error) {
	x := in[0]
	v, err := im.scalar(in, 2, "value", 0)
	if err != nil {
		return value{}, err
	}
	ranges, cut := make([]op.Range, len(widths)), false
	wider := false
	for i, w := range widths {
		from, less := max(0, -w[0]), max(0, -w[0])+max(0, -w[1])
		ranges[i] = op.Range{From: from, Count: x.shape[i] - less, Step: 1}
		widths[i] = [2]int{max(0, w[0]), max(0, w[1])}
		cut = cut || less > 0
		wider = wider || widths[i] != [2]int{}
	}
	if cut {
		if x, err = im.apply(op.Slice{Ranges: ranges}, x); err != nil {
			return value{}, err
		}
	}
	if !wider {
		return x, nil
	}
	return im.apply(op.Pad{Width: widths, Value: v}, x)
}

// padIndex lists the elements of an axis of n that a padded one has.
func padIndex(mode string, n int, w [2]int) ([]int32, error) {
	var at func(i int) int
	switch mode {
	case "edge":
		at = func(i int) int { return min(max(i, 0), n-1) }
	case "wrap":
		at = func(i int) int { return ((i % n) + n) % n }
	case "reflect":
		if n == 1 {
			return nil, fmt.Errorf("%w: mode %q of an axis of one element", ErrUnsupported, mode)
		}
		at = func(i int) int {
			period := 2 * (n - 1)
			i = ((i % period) + period) % period
			return min(i, period-i)
		}
	default:
		return nil, fmt.Errorf("%w: mode %q", ErrFormat, mode)
	}
	var index []int32
	for i := -w[0]; i < n+w[1]; i++ {
		index = append(index, int32(at(i)))
	}
	return index, nil
}

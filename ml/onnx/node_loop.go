package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// unroll counts steps of what is unrolled.
func (im *importer) unroll(steps int) error {
	if steps < 0 || steps > maxUnrolled {
		return fmt.Errorf("%w: %d steps of a loop or a recurrent node, the most is %d", ErrTooLarge, steps, maxUnrolled)
	}
	if im.unrolled += steps; im.unrolled > maxUnrolled {
		return fmt.Errorf("%w: more than %d steps of loops and recurrent nodes together", ErrTooLarge, maxUnrolled)
	}
	return nil
}

// loop reads Loop, whose steps are known when the file is read. One that isn't given a
// condition ignores that of its body too, as ONNX's table of operating modes has it
// (https://onnx.ai/onnx/operators/onnx__Loop.html).
func loop(im *importer, in []value) ([]value, error) {
	g := im.node.attrs["body"].g
	counted, while := has(in, 0), has(in, 1)
	if !counted && !while {
		return nil, fmt.Errorf("%w: neither a number of steps nor a condition, so that it has no end", ErrUnsupported)
	}
	limit := int64(maxUnrolled + 1)
	if counted {
		if !in[0].isInt() || len(in[0].ints) != 1 {
			return nil, fmt.Errorf("%w: a number of steps that depends on the row", ErrUnsupported)
		}
		limit = in[0].ints[0]
	}
	on := value{index: -1, shape: []int{}, ints: []int64{1}, dtype: typeBool}
	if while {
		on = in[1]
	}
	carried := slices.Clone(in[2:])
	collected := make([][]value, max(0, len(im.node.outputs)-len(carried)))
	for i := int64(0); i < limit; i++ {
		if !on.isInt() || len(on.ints) != 1 {
			return nil, fmt.Errorf("%w: a condition that depends on the row", ErrUnsupported)
		}
		if on.ints[0] == 0 {
			break
		}
		if err := im.unroll(1); err != nil {
			return nil, err
		}
		step := value{index: -1, shape: []int{}, ints: []int64{i}, dtype: typeInt64}
		out, err := im.inner(g, append([]value{step, on}, carried...))
		if err != nil {
			return nil, err
		}
		if len(out) != 1+len(carried)+len(collected) {
			return nil, fmt.Errorf("%w: its graph has %d results, want %d", ErrFormat, len(out), 1+len(carried)+len(collected))
		}
		if while {
			on = out[0]
		}
		carried = out[1 : 1+len(carried)]
		for k := range collected {
			collected[k] = append(collected[k], out[1+len(carried)+k])
		}
	}
	return im.stacked(carried, collected, make([]int, len(collected)), make([]bool, len(collected)))
}

// stacked returns the values that a loop carried, and those that it collected, put
// along a new axis.
func (im *importer) stacked(carried []value, collected [][]value, axes []int, backward []bool) ([]value, error) {
	out := slices.Clone(carried)
	for k, all := range collected {
		if len(all) == 0 {
			out = append(out, noElement([]int{0}))
			continue
		}
		if backward[k] {
			all = slices.Clone(all)
			slices.Reverse(all)
		}
		c, parts := &calls{importer: im}, make([]value, len(all))
		for i, v := range all {
			if v.none != "" || axes[k] > len(v.shape) {
				return nil, fmt.Errorf("%w: what it collects is %s of shape %s", ErrUnsupported, v.none, shapeName(v.shape))
			}
			parts[i] = c.shaped(v, slices.Insert(slices.Clone(v.shape), axes[k], 1)...)
		}
		y := c.do(op.Concat{Axis: axes[k]}, parts...)
		if y.dtype = all[0].dtype; c.err != nil {
			return nil, c.err
		}
		out = append(out, y)
	}
	return out, nil
}

// scan reads Scan: a loop over an axis of its last inputs.
func scan(im *importer, in []value) ([]value, error) {
	if im.opset < 9 {
		return nil, fmt.Errorf("%w in opset %d", ErrUnsupported, im.opset)
	}
	g, n := im.node.attrs["body"].g, int(im.attr("num_scan_inputs", 0))
	if n < 1 || n > len(in) || len(im.node.outputs) < len(in)-n {
		return nil, fmt.Errorf("%w: %d scanned of %d inputs, %d outputs", ErrFormat, n, len(in), len(im.node.outputs))
	}
	carried, scanned := slices.Clone(in[:len(in)-n]), in[len(in)-n:]
	collected := make([][]value, len(im.node.outputs)-len(carried))
	from, err := im.scanAxes("scan_input_axes", n)
	if err != nil {
		return nil, err
	}
	to, err := im.scanAxes("scan_output_axes", len(collected))
	if err != nil {
		return nil, err
	}
	steps := 0
	for k, x := range scanned {
		if from[k] >= len(x.shape) || k > 0 && x.shape[from[k]] != steps {
			return nil, fmt.Errorf("%w: axis %d of %s, for %d steps", ErrFormat, from[k], shapeName(x.shape), steps)
		}
		steps = x.shape[from[k]]
	}
	if err := im.unroll(steps); err != nil {
		return nil, err
	}
	reversed := im.directions("scan_input_directions", n)
	for i := range steps {
		args := slices.Clone(carried)
		for k, x := range scanned {
			at := i
			if reversed[k] {
				at = steps - 1 - i
			}
			v, err := im.gather(x, value{index: -1, shape: []int{}, ints: []int64{int64(at)}}, from[k])
			if err != nil {
				return nil, err
			}
			v.dtype = x.dtype
			args = append(args, v)
		}
		out, err := im.inner(g, args)
		if err != nil {
			return nil, err
		}
		if len(out) != len(carried)+len(collected) {
			return nil, fmt.Errorf("%w: its graph has %d results, want %d", ErrFormat, len(out), len(carried)+len(collected))
		}
		carried = out[:len(carried)]
		for k := range collected {
			collected[k] = append(collected[k], out[len(carried)+k])
		}
	}
	return im.stacked(carried, collected, to, im.directions("scan_output_directions", len(collected)))
}

// scanAxes are axes of Scan, 0 unless given.
func (im *importer) scanAxes(name string, n int) ([]int, error) {
	axes, list := make([]int, n), im.attrInts(name)
	if list != nil && len(list) != n {
		return nil, fmt.Errorf("%w: %s %v, want %d", ErrFormat, name, list, n)
	}
	for i, a := range list {
		if a < 0 || a >= maxRank {
			return nil, fmt.Errorf("%w: %s %v", ErrUnsupported, name, list)
		}
		axes[i] = int(a)
	}
	return axes, nil
}

// directions tells which go backward.
func (im *importer) directions(name string, n int) []bool {
	back := make([]bool, n)
	for i, d := range im.attrInts(name) {
		if i < n {
			back[i] = d != 0
		}
	}
	return back
}

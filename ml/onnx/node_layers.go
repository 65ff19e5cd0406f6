package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

func equalShapes(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// batchNorm reads BatchNormalization in inference.
func batchNorm(im *importer, in []value) ([]value, error) {
	if im.attr("training_mode", 0) != 0 {
		return nil, fmt.Errorf("%w: training_mode is 1, which trains; export the network for inference", ErrUnsupported)
	}
	if im.opset < 7 && im.attr("is_test", 0) == 0 {
		return nil, fmt.Errorf("%w: is_test is 0, which trains; export the network for inference", ErrUnsupported)
	}
	if err := im.refuse("spatial", 1); err != nil {
		return nil, err
	}
	for i, name := range im.node.outputs[1:] {
		if name != "" {
			return nil, fmt.Errorf("%w: output %d, %q: only training has statistics as results; export the network for inference", ErrUnsupported, i+1, name)
		}
	}
	return one(im.apply(op.FixedBatchNorm{Eps: im.attrFloat("epsilon", 1e-5)}, in[:5]...))
}

// packs keeps the packed weights of a layer within the limit: kernels want columns
// in multiples of 32, so that a layer of one column takes 32 times its weights.
func (im *importer) packs(k, n int) error {
	if width := (n + 31) &^ 31; width > n && k > im.left/(width-n) { // the weights are counted
		return im.beyond("packed weights of %d by %d", k, width)
	}
	return nil
}

// gemm reads Gemm: alpha*A'*B' + beta*C.
func gemm(im *importer, in []value) ([]value, error) {
	if len(in[0].shape) != 2 || len(in[1].shape) != 2 {
		return nil, fmt.Errorf("%w: a product of %s and %s, want matrices", ErrFormat, shapeName(in[0].shape), shapeName(in[1].shape))
	}
	y, err := im.apply(op.MatMul{TransA: im.attr("transA", 0) != 0, TransB: im.attr("transB", 0) != 0}, in[0], in[1])
	if err == nil {
		err = im.packs(elements(in[1].shape)/y.shape[1], y.shape[1])
	}
	if err != nil {
		return nil, err
	}
	if y, err = im.scale(y, im.attrFloat("alpha", 1)); err != nil || !has(in, 2) {
		return one(y, err)
	}
	if !broadcasts(in[2].shape, y.shape) {
		return nil, fmt.Errorf("%w: C has the shape %s, which doesn't broadcast to %s", ErrFormat, shapeName(in[2].shape), shapeName(y.shape))
	}
	c, err := im.scale(in[2], im.attrFloat("beta", 1))
	if err != nil {
		return nil, err
	}
	return one(im.apply(op.Add{}, y, c))
}

func (im *importer) scale(x value, by float32) (value, error) {
	if by == 1 {
		return x, nil
	}
	return im.apply(op.Affine{Scale: by}, x)
}

// matMul reads MatMul by NumPy's rules: the last two dimensions are matrices, the
// others broadcast.
func matMul(im *importer, in []value) ([]value, error) {
	a, b := in[0], in[1]
	ra, rb := len(a.shape), len(b.shape)
	if ra == 0 || rb == 0 {
		return nil, fmt.Errorf("%w: a product of %s and %s", ErrFormat, shapeName(a.shape), shapeName(b.shape))
	}
	if ra == 1 || rb == 1 {
		return im.vectorProduct(a, b)
	}
	k, n := b.shape[rb-2], b.shape[rb-1]
	if err := im.packs(k, n); err != nil {
		return nil, err
	}
	if rb == 2 { // all rows of a at once
		out := append(append([]int{}, a.shape[:ra-1]...), n)
		y, err := im.reshape(a, []int{elements(a.shape) / a.shape[ra-1], a.shape[ra-1]})
		if err == nil {
			y, err = im.apply(op.MatMul{}, y, b)
		}
		if err == nil {
			y, err = im.reshape(y, out)
		}
		return one(y, err)
	}
	c := &calls{importer: im} // the shorter shape gets ones in front
	a = c.shaped(a, append(slices.Repeat([]int{1}, max(0, rb-ra)), a.shape...)...)
	b = c.shaped(b, append(slices.Repeat([]int{1}, max(0, ra-rb)), b.shape...)...)
	if ra = max(ra, rb); c.err != nil {
		return nil, c.err
	}
	a, b, err := im.broadcastMatrices(a, b)
	if err != nil {
		return nil, err
	}
	batch, m := elements(a.shape[:ra-2]), a.shape[ra-2]
	out := append(append([]int{}, a.shape[:ra-1]...), n)
	x, err := im.reshape(a, []int{batch, m, a.shape[ra-1]})
	if err != nil {
		return nil, err
	}
	w, err := im.reshape(b, []int{batch, k, n})
	if err != nil {
		return nil, err
	}
	y, err := im.apply(op.MatMul{}, x, w)
	if err == nil {
		y, err = im.reshape(y, out)
	}
	return one(y, err)
}

// vectorProduct multiplies where an operand is a list: a row on the left, a column on
// the right, whose axis the result doesn't have.
func (im *importer) vectorProduct(a, b value) ([]value, error) {
	c := &calls{importer: im}
	row, column := len(a.shape) == 1, len(b.shape) == 1
	if row {
		a = c.shaped(a, 1, a.shape[0])
	}
	if column {
		b = c.shaped(b, b.shape[0], 1)
	}
	if c.err != nil {
		return nil, c.err
	}
	y, err := matMul(im, []value{a, b})
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(y[0].shape)
	if column {
		shape = shape[:len(shape)-1]
	}
	if row {
		at := len(y[0].shape) - 2
		shape = slices.Delete(shape, at, at+1)
	}
	return c.results(c.shaped(y[0], shape...))
}

// broadcastMatrices repeats matrices of which the other operand has more.
func (im *importer) broadcastMatrices(a, b value) (value, value, error) {
	r := len(a.shape)
	shapes := [2][]int{slices.Clone(a.shape), slices.Clone(b.shape)}
	for i := range r - 2 {
		d := max(a.shape[i], b.shape[i])
		if min(a.shape[i], b.shape[i]) != d && min(a.shape[i], b.shape[i]) != 1 {
			return a, b, nn.ShapeErrorf("a product of %s and %s, whose first dimensions differ", shapeName(a.shape), shapeName(b.shape))
		}
		shapes[0][i], shapes[1][i] = d, d
	}
	for i, v := range []*value{&a, &b} {
		if equalShapes(v.shape, shapes[i]) {
			continue
		}
		var err error
		if *v, err = im.apply(op.BroadcastTo{Shape: shapes[i]}, *v); err != nil {
			return a, b, err
		}
	}
	return a, b, nil
}

// reshape gives x a shape of the same size, if it hasn't got it.
func (im *importer) reshape(x value, shape []int) (value, error) {
	if x.isInt() && elements(shape) == len(x.ints) {
		return value{index: -1, shape: shape, ints: x.ints, dtype: x.dtype}, nil
	}
	if equalShapes(x.shape, shape) {
		return x, nil
	}
	return im.typed(x.dtype)(im.apply(op.Reshape{Shape: shape}, x))
}

package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// conv reads Conv.
func conv(im *importer, in []value) ([]value, error) {
	x, w := in[0], in[1]
	if len(x.shape) != 4 || len(w.shape) != 4 {
		return nil, fmt.Errorf("%w: x has shape %s and W %s, only images (N, C, H, W) are supported", ErrUnsupported, shapeName(x.shape), shapeName(w.shape))
	}
	c := op.Conv2D{Groups: int(im.attr("group", 1))}
	var err error
	if c.StrideH, c.StrideW, err = im.pair("strides", 1); err != nil {
		return nil, err
	}
	if c.DilH, c.DilW, err = im.pair("dilations", 1); err != nil {
		return nil, err
	}
	g := window{kh: w.shape[2], kw: w.shape[3], sh: c.StrideH, sw: c.StrideW, dh: c.DilH, dw: c.DilW}
	if c.Groups < 1 || c.Groups > maxSide {
		return nil, fmt.Errorf("%w: %d groups", ErrFormat, c.Groups)
	}
	if err := im.packs(elements(w.shape[1:])*c.Groups, (w.shape[0]+c.Groups-1)/c.Groups); err != nil {
		return nil, err
	}
	if list := im.attrInts("kernel_shape"); list != nil && !slices.Equal(list, []int64{int64(g.kh), int64(g.kw)}) {
		return nil, fmt.Errorf("%w: kernel_shape is %v, W has the shape %s", ErrFormat, list, shapeName(w.shape))
	}
	if x, err = im.pad(&g, x); err != nil {
		return nil, err
	}
	c.PadH, c.PadW = g.ph, g.pw
	args := []value{x, w}
	if has(in, 2) {
		args = append(args, in[2])
	}
	return one(im.apply(c, args...))
}

// window is how a kernel slides over an image.
type window struct {
	kh, kw, sh, sw, dh, dw int
	ph, pw                 int // the padding that is left to the operation
}

// pads reads pads and auto_pad: top, left, bottom and right.
func (im *importer) pads(g window, x []int) (p [4]int, err error) {
	mode, list := im.attrString("auto_pad", "NOTSET"), im.attrInts("pads")
	if list != nil && len(list) != 4 {
		return p, fmt.Errorf("%w: pads %v, want four: only images are supported", ErrUnsupported, list)
	}
	for i, v := range list {
		if v < 0 || v > maxSide {
			return p, fmt.Errorf("%w: pads %v", ErrUnsupported, list)
		}
		p[i] = int(v)
	}
	if mode != "NOTSET" && p != [4]int{} {
		return p, fmt.Errorf("%w: both pads %v and auto_pad %q", ErrFormat, list, mode)
	}
	switch mode {
	case "NOTSET", "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		p[0], p[2] = same(x[2], g.kh, g.sh, g.dh, mode == "SAME_LOWER")
		p[1], p[3] = same(x[3], g.kw, g.sw, g.dw, mode == "SAME_LOWER")
	default:
		return p, fmt.Errorf("%w: auto_pad %q", ErrFormat, mode)
	}
	return p, nil
}

// pad reads a convolution's padding. What isn't the same on both sides becomes a
// step of its own.
func (im *importer) pad(g *window, x value) (value, error) {
	p, err := im.pads(*g, x.shape)
	if err != nil || p == [4]int{} {
		return x, err
	}
	if p[0] == p[2] && p[1] == p[3] {
		g.ph, g.pw = p[0], p[1]
		return x, im.fits(x.shape, p)
	}
	return im.around(x, p)
}

// around puts zeros around images.
func (im *importer) around(x value, p [4]int) (value, error) {
	return im.apply(op.Pad{Width: [][2]int{{}, {}, {p[0], p[2]}, {p[1], p[3]}}}, x)
}

// fits keeps padded images within the limit too.
func (im *importer) fits(x []int, p [4]int) error {
	h, w := x[2]+p[0]+p[2], x[3]+p[1]+p[3]
	if h*w > im.left/(x[0]*x[1]) {
		return fmt.Errorf("%w: padded images exceed onnx.MaxElements", ErrTooLarge)
	}
	return nil
}

// same is the padding with which an image of size n keeps its size, divided by
// the stride; the odd one goes to the end unless lower.
func same(n, k, s, d int, lower bool) (begin, end int) {
	out := (n + s - 1) / s
	total := max(0, (out-1)*s+(k-1)*d+1-n)
	begin, end = total/2, total-total/2
	if lower {
		begin, end = end, begin
	}
	return begin, end
}

// pool reads MaxPool and AveragePool.
func pool(im *importer, in []value) ([]value, error) {
	x, average := in[0], im.node.op == "AveragePool"
	if len(x.shape) != 4 {
		return nil, fmt.Errorf("%w: x has shape %s, only images (N, C, H, W) are supported", ErrUnsupported, shapeName(x.shape))
	}
	if len(im.node.outputs) > 1 && im.node.outputs[1] != "" {
		return nil, fmt.Errorf("%w: the output Indices", ErrUnsupported)
	}
	g := window{dh: 1, dw: 1}
	var err error
	if g.kh, g.kw, err = im.pair("kernel_shape", 0); err == nil {
		g.sh, g.sw, err = im.pair("strides", 1)
	}
	if err != nil {
		return nil, err
	}
	if g.kh == 0 {
		return nil, fmt.Errorf("%w: attribute kernel_shape is missing", ErrFormat)
	}
	if d := im.attrInts("dilations"); d != nil && (len(d) != 2 || d[0] != 1 || d[1] != 1) {
		return nil, fmt.Errorf("%w: dilations %v", ErrUnsupported, d)
	}
	p, err := im.pads(g, x.shape)
	if err != nil {
		return nil, err
	}
	if mode := im.attrString("auto_pad", "NOTSET"); (mode == "SAME_UPPER" || mode == "SAME_LOWER") && (skips(x.shape[2], g.kh, g.sh) || skips(x.shape[3], g.kw, g.sw)) {
		return nil, fmt.Errorf("%w: auto_pad %q with windows that leave elements out, which runtimes place differently; export it with pads", ErrUnsupported, mode)
	}
	if max(p[0], p[2]) >= g.kh || max(p[1], p[3]) >= g.kw {
		return nil, fmt.Errorf("%w: pads %v, which a window of %dx%d doesn't reach over", ErrUnsupported, p, g.kh, g.kw)
	}
	up := im.attr("ceil_mode", 0) != 0
	w := op.Window{KH: g.kh, KW: g.kw, StrideH: g.sh, StrideW: g.sw, PadH: p[0], PadW: p[1],
		OutH: pooled(x.shape[2], g.kh, g.sh, p[0], p[2], up), OutW: pooled(x.shape[3], g.kw, g.sw, p[1], p[3], up)}
	if w.OutH < 1 || w.OutW < 1 {
		return nil, fmt.Errorf("%w: a window of %dx%d is larger than images of %s", ErrFormat, g.kh, g.kw, shapeName(x.shape))
	}
	if !average {
		return one(im.apply(op.MaxPool2D{Window: w}, x))
	}
	if im.attr("count_include_pad", 0) != 0 && p != [4]int{} { // it becomes a part of the image
		if x, err = im.around(x, p); err != nil {
			return nil, err
		}
		w.PadH, w.PadW = 0, 0
	}
	return one(im.apply(op.AvgPool2D{Window: w, ExcludePad: true}, x))
}

// skips tells whether windows that are SAME reach less far than n elements.
func skips(n, k, stride int) bool { return ((n+stride-1)/stride-1)*stride+k < n }

// pooled is the number of windows of size k on an axis of n elements. Rounded up,
// a last window that would begin behind the elements is left out.
func pooled(n, k, stride, begin, end int, up bool) int {
	span := n + begin + end - k
	if span < 0 {
		return 0
	}
	out := span/stride + 1
	if up && span%stride != 0 && out*stride < n+begin {
		out++
	}
	return out
}

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

// globalPool reads GlobalAveragePool and GlobalMaxPool.
func globalPool(im *importer, in []value) ([]value, error) {
	s := in[0].shape
	if len(s) != 4 {
		return nil, fmt.Errorf("%w: x has shape %s, only images (N, C, H, W) are supported", ErrUnsupported, shapeName(s))
	}
	w := op.Window{KH: s[2], KW: s[3], StrideH: 1, StrideW: 1}
	if im.node.op == "GlobalMaxPool" {
		return one(im.apply(op.MaxPool2D{Window: w}, in[0]))
	}
	return one(im.apply(op.AvgPool2D{Window: w}, in[0]))
}

// batchNorm reads BatchNormalization in inference.
func batchNorm(im *importer, in []value) ([]value, error) {
	if err := im.refuse("training_mode", 0); err != nil {
		return nil, err
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
	if width := (n + 31) &^ 31; k > im.left/width {
		return fmt.Errorf("%w: packed weights of %d by %d exceed onnx.MaxElements", ErrTooLarge, k, width)
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
	if ra < 2 || rb < 2 {
		return nil, fmt.Errorf("%w: a product of %s and %s", ErrUnsupported, shapeName(a.shape), shapeName(b.shape))
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
	if ra != rb {
		return nil, fmt.Errorf("%w: a product of %s and %s, whose first dimensions differ", ErrUnsupported, shapeName(a.shape), shapeName(b.shape))
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
	return im.apply(op.Reshape{Shape: shape}, x)
}

package compile

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// fusion is a convolution or dense layer with what follows it, in this order: batch
// normalisations, factors and biases for each output; the sum with another branch; an
// activation; a max pooling or another function of single elements. Each but the first
// is there once at most.
type fusion struct {
	step   int // the convolution or product
	x      int // what it reads, a value of the trace
	from   weights
	w      []float32 // outputs x inputs; nil until somebody needs it
	own    bool      // w is a copy, which may be changed
	bias   []float32 // a copy
	folded bool      // w or bias are no longer what from holds
	addend int       // the other branch, a value of the trace, -1 if none
	act    kernel.Activation
	pool   *kernel.PoolShape
	then   *pointwise // what follows the activation, nil for nothing
	out    int        // what it writes, a value of the trace
}

// weights are the arrays that a convolution or product reads.
type weights struct {
	w, bias *tensor.Dense
	trans   bool // w is stored as inputs x outputs, and windows behind them
}

// load reads the weights in the order in which they are packed.
func (f *fusion) load() {
	switch {
	case f.w != nil:
	case f.from.trans:
		f.w, f.own = outputsFirst(nn.Floats(f.from.w), f.from.w.Shape()), true
	default:
		f.w = nn.Floats(f.from.w)
	}
}

// change makes the weights a copy, in memory of others that have been packed if there is
// enough.
func (b *builder) change(f *fusion) {
	f.load()
	switch {
	case f.own:
	case cap(b.spare) >= len(f.w):
		f.w, f.own, b.spare = append(b.spare[:0], f.w...), true, nil
	default:
		f.w, f.own = slices.Clone(f.w), true
	}
}

// fuse starts at step i and takes in as much of what follows as it can. It
// returns false if step i is no convolution or product with constant weights.
func (b *builder) fuse(i int) (f fusion, ok bool, err error) {
	f, ok, err = b.product(i)
	if !ok || err != nil {
		return f, ok, err
	}
	steps := []int{i}
	for {
		next := b.sole(f.out)
		if next < 0 || b.member[next] || !b.extend(&f, next) {
			break
		}
		steps = append(steps, next)
		f.out = b.trace.Steps[next].Out[0]
	}
	if _, table := b.hot[i]; (table || b.ofImages(f)) && f.pool == nil {
		if g, ok := b.pointGroup(f.out, i+1, true, b.made(f)); ok {
			f.then, f.out = g.layer, b.trace.Steps[g.steps[len(g.steps)-1]].Out[0]
			steps = append(steps, g.steps...)
		}
	}
	for _, s := range steps {
		b.member[s] = true
	}
	b.groups[steps[len(steps)-1]] = f
	return f, true, nil
}

// product reads the weights of a convolution or product.
func (b *builder) product(i int) (f fusion, ok bool, err error) {
	s := b.trace.Steps[i]
	f = fusion{step: i, addend: -1, out: s.Out[0], x: s.In[0]}
	switch o := s.Op.(type) {
	case op.Conv2D, op.Linear:
	case op.Deconv2D:
		if !tiles(o, b.trace.Values[s.In[1]].Spec.Shape) {
			return f, false, nil
		}
		f.from.trans = true
	case op.MatMul:
		if o.TransA || len(b.trace.Values[s.In[0]].Spec.Shape) != 2 {
			return f, false, nil
		}
		f.from.trans = !o.TransB
	default:
		return f, false, nil
	}
	if b.konst[s.In[0]] != nil || b.konst[s.In[1]] == nil || len(s.In) > 2 && b.konst[s.In[2]] == nil {
		return f, false, nil
	}
	f.from.w = b.konst[s.In[1]]
	out := f.from.w.Shape()[0]
	if f.from.trans {
		out = f.from.w.Shape()[1]
	}
	f.bias = make([]float32, out)
	if len(s.In) > 2 {
		f.from.bias = b.konst[s.In[2]]
		copy(f.bias, nn.Floats(f.from.bias))
	}
	return f, true, nil
}

// made is what the convolution or product itself makes. Its memory is laid out as that,
// whatever shape the steps behind it see.
func (b *builder) made(f fusion) nn.Spec {
	return b.trace.Values[b.trace.Steps[f.step].Out[0]].Spec
}

// ofImages tells whether the fusion begins with a convolution of either kind.
func (b *builder) ofImages(f fusion) bool {
	switch b.trace.Steps[f.step].Op.(type) {
	case op.Conv2D, op.Deconv2D:
		return true
	}
	return false
}

// extend takes step i into the fusion if it can.
func (b *builder) extend(f *fusion, i int) bool {
	s := b.trace.Steps[i]
	made, read := b.trace.Values[f.out].Spec, b.trace.Values[s.In[0]].Spec
	if a, ok := fusedActivation(s.Op); ok {
		if f.act != kernel.Identity || f.pool != nil {
			return false
		}
		f.act = a
		return true
	}
	if f.pool != nil {
		return false
	}
	_, isConv := b.trace.Steps[f.step].Op.(op.Conv2D)
	viewed := !made.Equal(b.made(*f)) // in another shape
	switch o := s.Op.(type) {
	case op.FixedBatchNorm:
		return f.act == kernel.Identity && f.addend < 0 && !viewed && made.Equal(read) && b.foldNorm(f, s.In, o.Eps)
	case op.Add:
		if f.act != kernel.Identity || f.addend >= 0 {
			return false
		}
		other := s.In[0]
		if b.alias[other] == b.alias[f.out] {
			other = s.In[1]
		}
		if c := b.konst[other]; c != nil {
			sum := b.trace.Values[s.Out[0]].Spec
			number := b.ofImages(*f) && isNumber(c) && made.Equal(sum)
			return (number || f.perOutput(c, made, sum, b.ofImages(*f))) && f.addBias(nn.Floats(c))
		}
		a, c := b.trace.Values[s.In[0]].Spec, b.trace.Values[s.In[1]].Spec
		if !isConv || viewed || b.alias[other] == b.alias[f.out] || !a.Equal(c) || !a.Equal(made) {
			return false
		}
		f.addend = other
		return true
	case op.Mul:
		return f.act == kernel.Identity && f.addend < 0 && b.ofImages(*f) && b.scaled(f, s)
	case op.MaxPool2D:
		if !isConv || viewed || f.addend >= 0 || !made.Equal(read) {
			return false
		}
		shape := o.Shape(read.Shape)
		f.pool = &shape
		return true
	}
	return false
}

// foldNorm folds a batch normalisation whose statistics are constants.
func (b *builder) foldNorm(f *fusion, in []int, eps float32) bool {
	var c [4][]float32
	for i := range c {
		a := b.konst[in[i+1]]
		if a == nil || len(nn.Floats(a)) != len(f.bias) {
			return false
		}
		c[i] = nn.Floats(a)
	}
	b.change(f)
	f.folded = true
	kernel.FoldBatchNorm(f.w, f.bias, c[0], c[1], c[2], c[3], eps)
	return true
}

// scaled takes in a product with a number, or one for each channel, that leaves the weights
// finite.
func (b *builder) scaled(f *fusion, s graph.Step) bool {
	c, made := b.konst[s.In[1]], b.trace.Values[f.out].Spec
	if c == nil {
		c = b.konst[s.In[0]]
	}
	if !isNumber(c) && !isChannels(c, made) || !made.Equal(b.trace.Values[s.Out[0]].Spec) {
		return false
	}
	f.load()
	row, factors := len(f.w)/len(f.bias), nn.Floats(c)
	for i, v := range f.bias {
		factor := factors[i%len(factors)]
		if !finite(v*factor) || slices.ContainsFunc(f.w[i*row:(i+1)*row], func(w float32) bool { return !finite(w * factor) }) {
			return false
		}
	}
	b.change(f)
	f.folded = true
	for i := range f.bias {
		factor := factors[i%len(factors)]
		kernel.Scale(f.w[i*row:(i+1)*row], factor)
		f.bias[i] *= factor
	}
	return true
}

func finite(v float32) bool { return v-v == 0 }

// isNumber tells whether a constant is a single number; there may be no constant.
func isNumber(c *tensor.Dense) bool {
	return c != nil && c.Dtype() == tensor.Float32 && c.Shape().TotalSize() == 1
}

// addBias takes in the sum with a number, or one for each output, that leaves the bias
// finite.
func (f *fusion) addBias(c []float32) bool {
	sum := slices.Clone(f.bias)
	for i := range sum {
		sum[i] += c[i%len(c)]
	}
	if !kernel.AllFinite(sum) {
		return false
	}
	f.bias, f.folded = sum, true
	return true
}

// perOutput tells whether a constant has one element for each output, which are the
// last axis behind a dense layer, whatever became of its rows, and the second behind a
// convolution.
func (f *fusion) perOutput(c *tensor.Dense, made, result nn.Spec, images bool) bool {
	k := len(f.bias)
	if len(nn.Floats(c)) != k || made.Size() != result.Size() {
		return false
	}
	after := 0 // axes behind that of the outputs
	if images {
		if len(result.Shape) < 3 || !slices.Equal(made.Shape[:2], result.Shape[:2]) {
			return false
		}
		after = len(result.Shape) - 2
	}
	axis, out := len(c.Shape())-1-after, len(result.Shape)-1-after
	return axis >= 0 && out >= 0 && c.Shape()[axis] == k && result.Shape[out] == k
}

// emit makes the fusion's instruction.
func (b *builder) emit(f fusion) error {
	if f.own && cap(f.w) > cap(b.spare) {
		defer func() { b.spare = f.w }()
	}
	switch b.trace.Steps[f.step].Op.(type) {
	case op.Conv2D:
		return b.emitConv(f)
	case op.Deconv2D:
		return b.emitDeconv(f)
	}
	if numbers, ok := b.hot[f.step]; ok {
		return b.emitTable(f, numbers)
	}
	return b.emitDense(f)
}

// ready loads the weights and refuses them if they aren't finite.
func (b *builder) ready(f *fusion) error {
	f.load()
	s := b.trace.Steps[f.step]
	for _, w := range [][]float32{f.w, f.bias} {
		if kernel.AllFinite(w) {
			continue
		}
		err := ErrWeights // computed from others
		if f.folded {
			err = fmt.Errorf("%w: after folding the batch normalisations, factors and biases that follow %s", err, b.weightName(s.In[1]))
		}
		return stepError(s.Op, s.Site, err)
	}
	return nil
}

func (b *builder) weightName(v int) string {
	if n := b.trace.Values[v].Name; n != "" {
		return n
	}
	return "the layer"
}

func (b *builder) emitConv(f fusion) error {
	if err := b.ready(&f); err != nil {
		return err
	}
	s := b.trace.Steps[f.step]
	x, w := b.trace.Values[s.In[0]].Spec.Shape, b.trace.Values[s.In[1]].Spec.Shape
	shape := s.Op.(op.Conv2D).Shape(x, w)
	packed, err := kernel.PackConv(shape, f.w, f.bias, f.act, f.pool)
	if err != nil {
		return stepError(s.Op, s.Site, err)
	}
	if f.then != nil {
		packed.Then(func(y []float32) { f.then.apply(y, y) })
	}
	in := []int{b.nhwc(f.x)}
	share := -1
	if f.addend >= 0 {
		in, share = append(in, b.nhwc(f.addend)), 1
	}
	h, wd, c := packed.Out()
	out := b.define(f.out, value{images: x[0], c: c, h: h, w: wd, nhwc: true})
	b.instrs = append(b.instrs, instr{&conv{shape, packed, f.act, f.then, f.pool, x[0]}, in, []int{out}, share})
	b.weights += packed.Bytes() + 4*len(f.bias)
	return nil
}

// packing is what a dense layer's packed weights were made of.
type packing struct {
	from    weights
	c, h, w int // of the images that the layer reads in NHWC order, else 0
}

// emitDense keeps images in NHWC order where the layer reads whole images: its
// weights are permuted instead. Steps that read the same weights, as those of a
// recurrent network do, share one packed copy.
func (b *builder) emitDense(f fusion) error {
	x := b.trace.Values[f.x].Spec.Shape
	rows, in := x[0], x[1]
	id, key := b.low[b.alias[f.x]], packing{from: f.from}
	if v := b.values[id]; v.nhwc && v.images == rows && v.c*v.h*v.w == in {
		key.c, key.h, key.w = v.c, v.h, v.w
	} else {
		id = b.nchw(id)
	}
	p := b.packed[key]
	if p == nil || f.folded {
		if err := b.ready(&f); err != nil {
			return err
		}
		if key.c > 0 {
			f.w = kernel.PermuteDense(f.w, len(f.bias), key.c, key.h, key.w)
		}
		p = &dense{w: kernel.PackB(f.w, in, len(f.bias), true), bias: f.bias}
		b.weights += p.w.Bytes() + 4*len(f.bias)
		if !f.folded {
			b.packed[key] = p
		}
	}
	y := b.define(f.out, value{})
	b.instrs = append(b.instrs, instr{&dense{p.w, p.bias, f.act, rows}, []int{id}, []int{y}, -1})
	return nil
}

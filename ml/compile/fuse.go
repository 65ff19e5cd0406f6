package compile

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// fusion is a convolution or dense layer with what follows it: batch
// normalisation, a bias, the sum with another branch, an activation and a max
// pooling, in that order and each at most once.
type fusion struct {
	step   int       // the convolution or product
	x      int       // what it reads, a value of the trace
	w      []float32 // outputs x inputs, a copy
	bias   []float32 // a copy
	addend int       // the other branch, a value of the trace, -1 if none
	act    kernel.Activation
	pool   *kernel.PoolShape
	out    int // what it writes, a value of the trace
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
	out, trans := 0, false
	switch o := s.Op.(type) {
	case op.Conv2D, op.Linear:
	case op.MatMul:
		if o.TransA || len(b.trace.Values[s.In[0]].Spec.Shape) != 2 {
			return f, false, nil
		}
		trans = !o.TransB
	default:
		return f, false, nil
	}
	if b.konst[s.In[0]] != nil || b.konst[s.In[1]] == nil || len(s.In) > 2 && b.konst[s.In[2]] == nil {
		return f, false, nil
	}
	w := b.konst[s.In[1]]
	out = w.Shape()[0]
	f.w = slices.Clone(nn.Floats(w))
	if trans { // stored as inputs x outputs
		out = w.Shape()[1]
		kernel.ToNHWC(f.w, nn.Floats(w), 1, w.Shape()[0], 1, out)
	}
	f.bias = make([]float32, out)
	if len(s.In) > 2 {
		copy(f.bias, nn.Floats(b.konst[s.In[2]]))
	}
	return f, true, nil
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
	switch o := s.Op.(type) {
	case op.FixedBatchNorm:
		return f.act == kernel.Identity && f.addend < 0 && made.Equal(read) && b.foldNorm(f, s.In, o.Eps)
	case op.Add:
		if f.act != kernel.Identity || f.addend >= 0 {
			return false
		}
		other := s.In[0]
		if b.alias[other] == b.alias[f.out] {
			other = s.In[1]
		}
		if c := b.konst[other]; c != nil {
			return f.addBias(c, made, b.trace.Values[s.Out[0]].Spec)
		}
		a, c := b.trace.Values[s.In[0]].Spec, b.trace.Values[s.In[1]].Spec
		if !isConv || b.alias[other] == b.alias[f.out] || !a.Equal(c) || !a.Equal(made) {
			return false
		}
		f.addend = other
		return true
	case op.MaxPool2D:
		if !isConv || f.addend >= 0 || !made.Equal(read) {
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
	kernel.FoldBatchNorm(f.w, f.bias, c[0], c[1], c[2], c[3], eps)
	return true
}

// addBias takes in the sum with a constant that has one element for each output:
// (out) or (1, out) behind a dense layer, (1, out, 1, 1) behind a convolution.
func (f *fusion) addBias(c *tensor.Dense, made, sum nn.Spec) bool {
	k, v := len(f.bias), nn.Floats(c)
	if len(v) != k || !made.Equal(sum) {
		return false
	}
	axis := len(c.Shape()) - len(made.Shape) + 1 // of c, where made has its outputs
	if axis < 0 || axis >= len(c.Shape()) || c.Shape()[axis] != k {
		return false
	}
	kernel.Add(f.bias, f.bias, v)
	return true
}

// emit makes the fusion's instruction.
func (b *builder) emit(f fusion) error {
	s := b.trace.Steps[f.step]
	for _, w := range [][]float32{f.w, f.bias} {
		if !kernel.AllFinite(w) {
			return stepError(s.Op, s.Site, fmt.Errorf("%w: after folding the batch normalisation that follows %s", ErrWeights, b.weightName(s.In[1])))
		}
	}
	if _, ok := s.Op.(op.Conv2D); ok {
		return b.emitConv(f)
	}
	b.emitDense(f)
	return nil
}

func (b *builder) weightName(v int) string {
	if n := b.trace.Values[v].Name; n != "" {
		return n
	}
	return "the layer"
}

func (b *builder) emitConv(f fusion) error {
	s := b.trace.Steps[f.step]
	x, w := b.trace.Values[s.In[0]].Spec.Shape, b.trace.Values[s.In[1]].Spec.Shape
	shape := s.Op.(op.Conv2D).Shape(x, w)
	packed, err := kernel.PackConv(shape, f.w, f.bias, f.act, f.pool)
	if err != nil {
		return stepError(s.Op, s.Site, err)
	}
	in := []int{b.nhwc(f.x)}
	share := -1
	if f.addend >= 0 {
		in, share = append(in, b.nhwc(f.addend)), 1
	}
	h, wd, c := packed.Out()
	out := b.define(f.out, value{images: x[0], c: c, h: h, w: wd, nhwc: true})
	b.instrs = append(b.instrs, instr{&conv{shape, packed, f.act, f.pool, x[0]}, in, []int{out}, share})
	b.weights += packed.Bytes() + 4*len(f.bias)
	return nil
}

// emitDense keeps images in NHWC order where the layer reads whole images: its
// weights are permuted instead.
func (b *builder) emitDense(f fusion) {
	x := b.trace.Values[f.x].Spec.Shape
	rows, in, out := x[0], x[1], len(f.bias)
	id := b.low[b.alias[f.x]]
	if v := b.values[id]; v.nhwc && v.images == rows && v.c*v.h*v.w == in {
		f.w = kernel.PermuteDense(f.w, out, v.c, v.h, v.w)
	} else {
		id = b.nchw(id)
	}
	packed := kernel.PackB(f.w, in, out, true)
	y := b.define(f.out, value{})
	b.instrs = append(b.instrs, instr{&dense{packed, f.bias, f.act, rows}, []int{id}, []int{y}, -1})
	b.weights += packed.Bytes() + 4*len(f.bias)
}

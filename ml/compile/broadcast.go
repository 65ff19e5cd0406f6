package compile

import (
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// broadcast is an elementwise function of two arrays that NumPy's rule gives one shape.
type broadcast struct {
	binary   binary
	shape    []int // of a row's result
	operands [2]spread
	buf      []float32 // only in an instance: a run of one number
}

// spread is an operand: where its element goes in each axis of the result, 0 to repeat.
type spread struct {
	constant []float32 // nil for an input
	size     int       // for a row
	stride   []int
}

func (l *broadcast) floats() int { return 2 * l.shape[len(l.shape)-1] }

func (l *broadcast) instance() layer {
	own := *l
	own.buf = make([]float32, l.floats())
	return &own
}

func (l *broadcast) String() string { return l.binary.name + " broadcast" }

func (l *broadcast) run(n int, in, out [][]float32) error {
	size := len(out[0]) / n
	for r := range n {
		var x [2][]float32
		k := 0
		for i, o := range l.operands {
			if x[i] = o.constant; o.constant == nil {
				x[i] = in[k][r*o.size : (r+1)*o.size]
				k++
			}
		}
		l.axis(0, out[0][r*size:(r+1)*size], x[0], x[1])
	}
	return nil
}

// axis goes over an axis of the result. The last one is a run of elements.
func (l *broadcast) axis(k int, y, a, b []float32) {
	count, size := l.shape[k], len(y)/l.shape[k]
	sa, sb := l.operands[0].stride[k], l.operands[1].stride[k]
	if k == len(l.shape)-1 {
		l.binary.f(y, run(a, sa, l.buf[:count]), run(b, sb, l.buf[count:]))
		return
	}
	for i := range count {
		l.axis(k+1, y[i*size:(i+1)*size], a[i*sa:], b[i*sb:])
	}
}

// run is a run of an operand's elements.
func run(x []float32, stride int, buf []float32) []float32 {
	if stride != 0 {
		return x[:len(buf)]
	}
	kernel.Fill(buf, x[0])
	return buf
}

// shortRun is the least length of a run that is worth a call for itself.
const shortRun = 8

// lowerBroadcast emits an elementwise step of two arrays of different shapes.
func (b *builder) lowerBroadcast(s graph.Step, f func(y, a, c []float32)) bool {
	out := b.trace.Values[s.Out[0]].Spec
	l := &broadcast{binary: binary{s.Op.Name(), f}}
	var in []int
	var strides [2][]int
	for i, v := range s.In {
		spec := b.trace.Values[v].Spec
		if spec.Dtype != tensor.Float32 {
			return false
		}
		strides[i] = repeats(spec.Shape, out.Shape)
		l.operands[i].size = spec.Size()
	}
	for i, d := range out.Shape {
		l.add(d, strides[0][i], strides[1][i])
	}
	if len(l.shape) == 0 || l.shape[len(l.shape)-1] < shortRun {
		return false
	}
	for i, v := range s.In {
		if c := b.konst[v]; c != nil {
			l.operands[i].constant = append([]float32{}, nn.Floats(c)...)
			b.weights += 4 * l.operands[i].size
			continue
		}
		in = append(in, b.nchw(b.low[b.alias[v]]))
	}
	b.put(s, l, value{}, -1, in...)
	return true
}

// repeats returns how far apart the elements of an array are in each axis of the shape
// to which it broadcasts.
func repeats(shape, to []int) []int {
	stride, n := make([]int, len(to)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] > 1 {
			stride[len(to)-len(shape)+i] = n
		}
		n *= shape[i]
	}
	return stride
}

// add adds an axis behind the others, or makes the last one longer.
func (l *broadcast) add(count, sa, sb int) {
	if count == 1 {
		return
	}
	a, b := &l.operands[0], &l.operands[1]
	if k := len(l.shape) - 1; k >= 0 && a.stride[k] == sa*count && b.stride[k] == sb*count {
		l.shape[k] *= count
		a.stride[k], b.stride[k] = sa, sb
		return
	}
	l.shape = append(l.shape, count)
	a.stride, b.stride = append(a.stride, sa), append(b.stride, sb)
}

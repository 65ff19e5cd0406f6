package compile_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

type step = func(x *nn.Variable) *nn.Variable

func same(x *nn.Variable) *nn.Variable { return x }

// turned moves elements and moves them back, so that what it is given is no part of
// what is joined behind it.
func turned(x *nn.Variable) *nn.Variable {
	return f.Transpose(f.Transpose(x, 0, 3, 1, 2), 0, 2, 3, 1)
}

// joins joins channels, each of which goes through a step.
func joins(each step, xs ...*nn.Variable) *nn.Variable {
	for i, x := range xs {
		xs[i] = each(x)
	}
	return f.Concat(xs, 1)
}

// layers are those of one network, by which two of them have the same weights.
type layers struct {
	first, padded, squeeze, last, a, b, c, d, e, depth, halved, n1, n2, n3 step
}

func newLayers() layers {
	pads := links.Pad(1)
	return layers{
		first: conv("first", 8, 3), padded: conv("padded", 8, 3, pads), squeeze: conv("squeeze", 4, 1), last: conv("last", 5, 1),
		a: conv("a", 6, 1), b: conv("b", 10, 3, pads), c: conv("c", 7, 3, pads), d: conv("d", 8, 3, pads), e: conv("e", 8, 1),
		depth: conv("depth", 8, 3, pads, links.Groups(8)), halved: conv("halved", 9, 3, pads, links.Stride(2)),
		n1: norm("n1", 8), n2: norm("n2", 14), n3: norm("n3", 24),
	}
}

func silu(g step) step {
	return func(x *nn.Variable) *nn.Variable { y := g(x); return f.Mul(y, f.Sigmoid(y)) }
}

func eachTwice(n int) (at []int32) {
	for i := range int32(n) {
		at = append(at, i, i)
	}
	return at
}

// partsCase is a network that joins and cuts channels. each is applied to what is joined.
type partsCase struct {
	forward func(l layers, each step) step
	want    []string // of the program
	shape   []int
}

func partsCases() map[string]partsCase {
	small := []int{3, 9, 11}
	return map[string]partsCase{
		"two convolutions": {func(l layers, each step) step {
			return chain(l.first, l.squeeze, func(x *nn.Variable) *nn.Variable {
				return joins(each, f.ReLU(l.a(x)), f.ReLU(l.b(x)))
			}, l.last)
		}, []string{"concat [6 10] in place"}, small},
		"an input twice": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable { return joins(each, x, l.c(x), x) }, l.last)
		}, nil, small},
		"two concatenations of one": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable {
				y := l.a(x)
				return joins(each, joins(each, y, l.b(x)), joins(each, y, l.c(y)))
			}, l.last)
		}, nil, small},
		"dense block": {func(l layers, each step) step {
			grow := func(n, g step) step {
				return func(x *nn.Variable) *nn.Variable { return joins(each, x, g(f.ReLU(n(x)))) }
			}
			return chain(l.first, maxPool(2), grow(l.n1, l.a), grow(l.n2, l.b), l.n3, f.ReLU, l.last)
		}, []string{"concat [8 6] in place", "concat [14 10] in place"}, small},
		"poolings": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable {
				return joins(each, maxPool(3, f.Stride(2), f.Padding(1), f.CoverAll(false))(x), l.halved(x),
					chain(l.b, avgPool(3, f.Stride(2), f.Padding(1)))(x), chain(l.c, maxPool(2, f.CoverAll(true)))(x))
			}, l.last)
		}, []string{"concat [8 9 10 7] in place"}, []int{3, 12, 16}},
		"halves": {func(l layers, each step) step {
			return chain(l.first, silu(l.d), func(x *nn.Variable) *nn.Variable {
				h := f.SplitAxis(x, 2, 1)
				m := silu(l.squeeze)(h[1])
				return joins(each, h[0], h[1], f.Add(h[1], m))
			}, l.last)
		}, []string{"channels 4 to 7 in place", "concat [4 4 4] in place"}, small},
		"halves apart": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable {
				h := f.SplitAxis(x, 2, 1)
				return joins(each, l.c(h[1]), h[0], f.Tanh(h[1]), f.Exp(h[0]))
			}, l.last)
		}, []string{"channels 0 to 3 in place"}, small},
		"functions of elements": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable {
				y := l.n1(f.Tanh(x))
				return joins(each, y, f.Sigmoid(l.c(x)), silu(l.b)(x), f.Exp(y), f.Add(x, y))
			}, l.last)
		}, nil, small},
		"depthwise": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable {
				y := l.d(x)
				return joins(each, f.ClippedReLU(l.depth(y), 6), y, f.Sigmoid(l.depth(l.d(y))))
			}, l.last)
		}, []string{"in place"}, small},
		"residual": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable {
				y := f.ReLU(f.Add(l.e(x), x))
				return joins(each, y, f.Add(l.d(y), y), f.Add(y, l.padded(y)))
			}, l.last)
		}, nil, small},
		"upsampled": {func(l layers, each step) step {
			return chain(l.padded, func(x *nn.Variable) *nn.Variable {
				y := nn.Apply1(op.Take{Axis: 2, Index: eachTwice(4)}, l.halved(x))
				y = nn.Apply1(op.Take{Axis: 3, Index: eachTwice(6)}, y)
				return joins(each, y, x, nn.Apply1(op.Take{Axis: 2, Index: []int32{7, 6, 5, 4, 3, 2, 1, 0}}, x))
			}, l.last)
		}, []string{"concat [9 8 8] in place"}, []int{3, 8, 12}},
		"the network's input": {func(l layers, each step) step {
			return chain(func(x *nn.Variable) *nn.Variable { return joins(each, x, l.a(x), l.b(x)) }, l.last)
		}, nil, small},
		"the network's output": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable {
				y := l.a(x)
				z := joins(each, y, l.b(x))
				return f.Concat([]*nn.Variable{flat(y), flat(l.last(z)), flat(z)}, 1)
			})
		}, nil, small},
		"single pixels": {func(l layers, each step) step {
			return chain(l.first, func(x *nn.Variable) *nn.Variable { return joins(each, l.a(x), l.squeeze(x)) }, l.last)
		}, nil, []int{3, 3, 3}},
	}
}

// TestParts: what is made where it is to be has the bits of what is copied there, for
// one row and several, in workers of several sizes, two of which run at a time.
func TestParts(t *testing.T) {
	for name, c := range partsCases() {
		t.Run(name, func(t *testing.T) {
			l := newLayers()
			m := compiled(t, network{name, c.forward(l, same), c.shape})
			copied := compiled(t, network{name, c.forward(l, turned), c.shape})
			program := m.String()
			for _, s := range c.want {
				if !strings.Contains(program, s) {
					t.Errorf("the program has no %q:\n%s", s, program)
				}
			}
			if s := copied.String(); strings.Contains(s, "concat") && strings.Contains(s, "] in place") {
				t.Fatalf("nothing is copied:\n%s", s)
			}
			const batch = 5
			x := rows(m, batch)
			want := slices.Clone(run(t, copied.NewWorker(1), x[:m.InputLen()], 1))
			for i := 1; i < batch; i++ {
				want = append(want, run(t, copied.NewWorker(1), x[i*m.InputLen():(i+1)*m.InputLen()], 1)...)
			}
			var workers sync.WaitGroup
			for _, most := range []int{1, 2, batch, 64} {
				workers.Go(func() {
					w, n := m.NewWorker(most), min(most, batch)
					for at := 0; at+n <= batch; at += n {
						y, err := w.Run(x[at*m.InputLen():(at+n)*m.InputLen()], n)
						if err != nil {
							t.Error(err)
							return
						}
						if !slices.Equal(y, want[at*m.OutputLen():(at+n)*m.OutputLen()]) {
							t.Errorf("rows %d to %d of a worker for %d differ from those that are copied:\n%s", at, at+n-1, most, program)
						}
					}
				})
			}
			workers.Wait()
			exactly(t, network{name, c.forward(l, same), c.shape})
		})
	}
}

// TestPartsBeforeDenseLayers: a dense layer, which reads images in any order, reads a whole.
func TestPartsBeforeDenseLayers(t *testing.T) {
	l := newLayers()
	n := network{"dense", chain(l.first, func(x *nn.Variable) *nn.Variable { return joins(same, l.a(x), l.b(x)) }, flat, linear("head", 3)), []int{3, 9, 11}}
	exactly(t, n)
	if s := compiled(t, n).String(); !strings.Contains(s, "concat [6 10] in place") {
		t.Errorf("the program is\n%s", s)
	}
}

// TestResidualOverWhole: what is added isn't overwritten while a part of it is read.
func TestResidualOverWhole(t *testing.T) {
	for name, k := range map[string]step{"1x1": conv("y", 64, 1), "3x3": conv("y", 64, 3, links.Pad(1))} {
		z, a, b := conv("z", 64, 3), conv("a", 32, 3), conv("b", 32, 3)
		cut := func(x *nn.Variable) *nn.Variable { x = z(x); return f.Add(k(f.SplitAxis(x, 2, 1)[0]), x) }
		joined := func(x *nn.Variable) *nn.Variable {
			p := a(x)
			return f.Add(k(p), f.Concat([]*nn.Variable{p, b(x)}, 1))
		}
		exactly(t, network{name + " cut", chain(cut, conv("last", 5, 1)), []int{3, 9, 11}})
		exactly(t, network{name + " joined", chain(joined, conv("last", 5, 1)), []int{3, 9, 11}})
		exactly(t, network{name + " large", chain(joined, conv("last", 5, 1)), []int{3, 140, 150}})
	}
}

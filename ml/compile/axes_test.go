package compile_test

import (
	"fmt"
	"strings"
	"testing"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// exactly compares a model's results with those of the network itself.
func exactly(t *testing.T, n network) {
	t.Helper()
	m := compiled(t, n)
	const batch = 3
	x := rows(m, batch)
	v := n.forward(nn.From(nn.NewTape(nn.Evaluate), x, append([]int{batch}, n.shape...)...))
	if v.Err() != nil {
		t.Fatal(v.Err())
	}
	near(t, n.name+"\n"+m.String(), run(t, m.NewWorker(batch), x, batch), v.Floats())
}

// TestOrdersOfAxes: all orders of the axes of images, and of those of one element.
func TestOrdersOfAxes(t *testing.T) {
	pixels := conv("c", 3, 1)
	for _, shape := range [][]int{{3, 4, 5}, {3, 1, 5}, {1, 4, 5}, {3, 4, 1}} {
		for _, order := range [][]int{{0, 1, 2, 3}, {0, 1, 3, 2}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1}, {0, -2, -3, -1}} {
			name := fmt.Sprint(shape, order)
			transpose := func(x *nn.Variable) *nn.Variable { return f.Transpose(x, order...) }
			exactly(t, network{name, transpose, shape})
			if shape[0] == 3 {
				exactly(t, network{name + " of NHWC", chain(pixels, transpose), shape})
			}
			exactly(t, network{name + " to NHWC", chain(transpose, conv(name, 4, 1), transpose), shape})
		}
	}
	five := func(x *nn.Variable) *nn.Variable {
		return f.Transpose(f.Reshape(x, x.Dim(0), 2, 3, 2, 5), 0, 3, 4, 1, 2)
	}
	exactly(t, network{"five axes", five, []int{60}})
	if s := compiled(t, network{"", five, []int{60}}).String(); !strings.HasPrefix(s, "transpose 6x10") {
		t.Errorf("five axes: %s", s)
	}
	channels := func(x *nn.Variable) *nn.Variable { return f.Transpose(x, 0, 3, 1, 2) }
	if s := compiled(t, network{"", chain(channels, pixels), []int{4, 5, 3}}).String(); strings.Contains(s, "to NHWC") {
		t.Errorf("images with their channels last are moved:\n%s", s)
	}
}

func TestBroadcast(t *testing.T) {
	for _, shapes := range [][2][]int{
		{{4, 1, 9}, {1, 3, 9}}, {{2, 3, 10}, {2, 1, 10}}, {{2, 3, 10}, {2, 3, 1}}, {{2, 12}, {1, 1}}, {{3, 9, 1}, {1, 1, 8}}, {{5, 2, 8, 1}, {1, 2, 1, 9}}, {{6, 2}, {1, 2}},
	} {
		sizes := [2]int{1, 1}
		for i, s := range shapes {
			for _, d := range s {
				sizes[i] *= d
			}
		}
		constant := nn.NewParameter("k", nn.Normal(1), append([]int{1}, shapes[1]...)...)
		exactly(t, network{fmt.Sprint(shapes), func(x *nn.Variable) *nn.Variable {
			n := x.Dim(0)
			a := f.Reshape(f.GetItem(x, f.All(), f.Span(0, sizes[0])), append([]int{n}, shapes[0]...)...)
			b := f.Reshape(f.GetItem(x, f.All(), f.Span(sizes[0], sizes[0]+sizes[1])), append([]int{n}, shapes[1]...)...)
			return flat(f.Add(f.Div(b, f.AddScalar(f.Exp(a), 1)), f.Mul(f.Sub(a, b), &constant.Variable)))
		}, []int{sizes[0] + sizes[1]}})
	}
}

// TestSums goes over axes that lie side by side, and some that don't.
func TestSums(t *testing.T) {
	for _, axes := range [][]int{{1}, {2}, {3}, {1, 2}, {-1, 2}, {1, 3}, {1, 2, 3}} {
		exactly(t, network{fmt.Sprint("sum ", axes), func(x *nn.Variable) *nn.Variable { return f.Sum(x, axes...) }, []int{3, 17, 20}})
		exactly(t, network{fmt.Sprint("mean ", axes), func(x *nn.Variable) *nn.Variable { return f.MeanKeepDims(x, axes...) }, []int{3, 17, 20}})
	}
}

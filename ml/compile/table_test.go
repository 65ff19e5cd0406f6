package compile_test

import (
	"math"
	"strings"
	"testing"

	f "github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// TestTable: a product with rows of zeros and a one, made by comparing numbers, is a
// table; what isn't in it gives what zeros give.
func TestTable(t *testing.T) {
	const numbers, classes = 6, 5
	layer := linear("l", 7)
	other := linear("o", 7)
	hot := func(from float32) func(x *nn.Variable) *nn.Variable {
		return func(x *nn.Variable) *nn.Variable {
			n := x.Dim(0)
			counted := make([]float32, classes)
			for i := range counted {
				counted[i] = from + float32(i)
			}
			wide := f.BroadcastTo(f.Reshape(x, n, numbers, 1), n, numbers, classes)
			return f.Reshape(nn.Apply1(op.Zip{Function: "Equal"}, nn.From(x.Tape(), counted, 1, 1, classes), wide), n*numbers, classes)
		}
	}
	rest := func(x *nn.Variable) *nn.Variable {
		x = f.ReLU(x)
		return f.Reshape(f.Mul(f.Tanh(x), f.AddScalar(x, 0.5)), x.Dim(0)/numbers, numbers*7)
	}
	for _, c := range []struct {
		n     network
		table bool
	}{
		{network{"table", chain(hot(0), layer, rest), []int{numbers}}, true},
		{network{"from one", chain(hot(1), layer, rest), []int{numbers}}, false},
		{network{"read twice", func(x *nn.Variable) *nn.Variable {
			h := hot(0)(x)
			return f.Add(rest(layer(h)), rest(other(h)))
		}, []int{numbers}}, false},
	} {
		m := compiled(t, c.n)
		if got := strings.Contains(m.String(), "table 5x7"); got != c.table {
			t.Errorf("%s: a table is %v, want %v:\n%s", c.n.name, got, c.table, m)
		}
		x := []float32{0, 4, 5, -1, 2.5, 1, 3, 2, float32(math.Inf(1)), float32(math.NaN()), 1e30, float32(math.Copysign(0, -1))}
		y := run(t, m.NewWorker(2), x, 2)
		v := c.n.forward(nn.From(nn.NewTape(nn.Evaluate), x, 2, numbers))
		if v.Err() != nil {
			t.Fatal(v.Err())
		}
		near(t, c.n.name, y, v.Floats())
	}
}

// TestNoTableOfImages: images whose pixels compare numbers are no rows for a table.
func TestNoTableOfImages(t *testing.T) {
	const classes = 5
	layer := conv("c", 4, 1)
	exactly(t, network{"images", func(x *nn.Variable) *nn.Variable {
		wide := f.BroadcastTo(x, x.Dim(0), classes, 3, classes)
		hot := nn.Apply1(op.Zip{Function: "Equal"}, wide, nn.From(x.Tape(), []float32{0, 1, 2, 3, 4}, 1, 1, 1, classes))
		return layer(hot)
	}, []int{classes, 3, 1}})
}

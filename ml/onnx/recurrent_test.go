package onnx_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/ml/serializers/npz"
)

// sequence is one of a fixture's sequences with its results.
type sequence struct {
	tokens []float32
	want   map[string][]float32 // by output
}

// sequences cuts a fixture into its sequences: z is concatenated, the states are
// (layers*directions, sequence, hidden).
func sequences(t *testing.T, io map[string]npz.Array, outputs []string) []sequence {
	t.Helper()
	tokens, lengths := floats(t, io["tokens"]), floats(t, io["lengths"])
	var all []sequence
	for at, i := 0, 0; i < len(lengths); i++ {
		n := int(lengths[i])
		s := sequence{tokens[at : at+n], map[string][]float32{}}
		for _, name := range outputs {
			a := floats(t, io[name])
			if name == "z" {
				width := len(a) / len(tokens)
				s.want[name] = a[at*width : (at+n)*width]
				continue
			}
			shape := io[name].Shape
			for k := range shape[0] {
				from := (k*shape[1] + i) * shape[2]
				s.want[name] = append(s.want[name], a[from:from+shape[2]]...)
			}
		}
		all = append(all, s)
		at += n
	}
	return all
}

// TestRecurrentFixtures runs Chainer's n-step links, as ONNX files, on sequences of
// each length: their tokens and lengths are inputs, with the time first.
func TestRecurrentFixtures(t *testing.T) {
	for _, c := range []struct {
		name    string
		outputs []string
	}{
		{"nstep_lstm", []string{"z", "hy", "cy"}},
		{"nstep_bilstm", []string{"z", "hy", "cy"}},
		{"nstep_gru", []string{"z", "hy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := fixture(t, c.name+"_opset14.onnx")
			for _, s := range sequences(t, arrays(t, c.name+"_io.npz"), c.outputs) {
				for _, output := range c.outputs {
					n := len(s.tokens)
					opts := []onnx.Option{onnx.Batch(1), onnx.Dim("T", n), onnx.Fix("lengths", float64(n)), onnx.Output(output)}
					m, err := onnx.Compile(file, opts...)
					if err != nil {
						t.Fatal(err)
					}
					if layers := m.String(); strings.Contains(layers, "row by row") {
						t.Errorf("a layer runs row by row:\n%s", layers)
					}
					x := append(make([]float32, n), s.tokens...) // behind a row of other tokens
					y, err := m.NewWorker(2).Run(x, 2)
					if err != nil {
						t.Fatal(err)
					}
					near(t, y[m.OutputLen():], s.want[output])
					near(t, tapeMachine(t, file, s.tokens, opts...), s.want[output])
				}
			}
		})
	}
}

// recurrentCase is a node LSTM or GRU on random numbers.
type recurrentCase struct {
	op                     string
	direction              string
	steps, rows, in, units int
	rowsFirst              bool // layout 1
	bias, states           bool
	resetFirst             bool // linear_before_reset 0
	activations            []string
}

func (c *recurrentCase) directions() int {
	if c.direction == "bidirectional" {
		return 2
	}
	return 1
}

func (c *recurrentCase) gates() int {
	if c.op == "LSTM" {
		return 4
	}
	return 3
}

// x is where step t of sequence k starts in X, y where direction d's output of it
// starts in Y, state where direction d's state of sequence k starts.
func (c *recurrentCase) x(t, k int) int {
	if c.rowsFirst {
		return (k*c.steps + t) * c.in
	}
	return (t*c.rows + k) * c.in
}

func (c *recurrentCase) y(t, d, k int) int {
	if c.rowsFirst {
		return ((k*c.steps+t)*c.directions() + d) * c.units
	}
	return ((t*c.directions()+d)*c.rows + k) * c.units
}

func (c *recurrentCase) state(d, k int) int {
	if c.rowsFirst {
		return (k*c.directions() + d) * c.units
	}
	return (d*c.rows + k) * c.units
}

// weights are the inputs of a node: W, R, B, initial_h, initial_c.
type weights struct{ w, r, b, h, c []float32 }

func (c *recurrentCase) random(r *rand.Rand) (x []float32, w weights) {
	some := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64()) / 2
		}
		return v
	}
	d, all := c.directions(), c.gates()*c.units
	w = weights{w: some(d * all * c.in), r: some(d * all * c.units), b: make([]float32, d*2*all)}
	w.h, w.c = make([]float32, d*c.rows*c.units), make([]float32, d*c.rows*c.units)
	if c.bias {
		w.b = some(len(w.b))
	}
	if c.states {
		w.h, w.c = some(len(w.h)), some(len(w.c))
	}
	return some(c.steps * c.rows * c.in), w
}

// file makes the graph: its output is Y, Y_h and Y_c behind each other.
func (c *recurrentCase) file(w weights) *file {
	d, all := c.directions(), c.gates()*c.units
	shape, state := []int{c.steps, c.rows, c.in}, []int{d, c.rows, c.units}
	if c.rowsFirst {
		shape, state = []int{c.rows, c.steps, c.in}, []int{c.rows, d, c.units}
	}
	f := rowFile(shape...).int("to", shape...).node("Reshape", "x to", "X").int("flat", 1, -1)
	f.float("W", w.w, d, all, c.in).float("R", w.r, d, all, c.units)
	in, out := []string{"X", "W", "R", "_", "_", "_", "_"}, []string{"Y", "Y_h"}
	if c.bias {
		f.float("B", w.b, d, 2*all)
		in[3] = "B"
	}
	if c.states {
		f.float("h", w.h, state...).float("c", w.c, state...)
		in[5], in[6] = "h", "c"
	}
	attrs := []any{"hidden_size", c.units, "direction", c.direction}
	if c.rowsFirst { // the attribute is there since opset 14
		attrs = append(attrs, "layout", 1)
	}
	if c.activations != nil {
		attrs = append(attrs, "activations", c.activations)
	}
	if c.op == "LSTM" {
		out = append(out, "Y_c")
	} else {
		in = in[:6]
		if !c.resetFirst {
			attrs = append(attrs, "linear_before_reset", 1)
		}
	}
	f.node(c.op, strings.Join(in, " "), strings.Join(out, " "), attrs...)
	for i, name := range out {
		out[i] = name + "1"
		f.node("Reshape", name+" flat", out[i])
	}
	return f.node("Concat", strings.Join(out, " "), "y", "axis", 1)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// want computes the graph's output by ONNX's formulas, in float64.
func (c *recurrentCase) want(x []float32, w weights) []float32 {
	d := c.directions()
	y, last, memory := make([]float32, c.steps*d*c.rows*c.units), make([]float32, d*c.rows*c.units), make([]float32, d*c.rows*c.units)
	for dir := range d {
		for k := range c.rows {
			at := c.state(dir, k)
			h, cell := widen(w.h[at:at+c.units]), widen(w.c[at:at+c.units])
			for i := range c.steps {
				t := i
				if c.direction == "reverse" || dir == 1 {
					t = c.steps - 1 - i
				}
				from := c.x(t, k)
				h, cell = c.step(dir, widen(x[from:from+c.in]), h, cell, w)
				for u, v := range h {
					y[c.y(t, dir, k)+u] = float32(v)
				}
			}
			for u := range c.units {
				last[at+u], memory[at+u] = float32(h[u]), float32(cell[u])
			}
		}
	}
	if y = append(y, last...); c.op == "LSTM" {
		y = append(y, memory...)
	}
	return y
}

// step is one step of one sequence.
func (c *recurrentCase) step(dir int, x, h, cell []float64, w weights) (nextH, nextCell []float64) {
	all := c.gates() * c.units
	dot := func(w []float32, row int, x []float64) (s float64) {
		for i, v := range x {
			s += v * float64(w[(dir*all+row)*len(x)+i])
		}
		return s
	}
	ofX := func(gate, u int) float64 {
		row := gate*c.units + u
		return dot(w.w, row, x) + float64(w.b[dir*2*all+row])
	}
	ofH := func(gate, u int, h []float64) float64 {
		row := gate*c.units + u
		return dot(w.r, row, h) + float64(w.b[dir*2*all+all+row])
	}
	nextH, nextCell = make([]float64, c.units), make([]float64, c.units)
	if c.op == "LSTM" {
		for u := range c.units {
			gate := func(g int) float64 { return ofX(g, u) + ofH(g, u, h) }
			nextCell[u] = sigmoid(gate(2))*cell[u] + sigmoid(gate(0))*math.Tanh(gate(3))
			nextH[u] = sigmoid(gate(1)) * math.Tanh(nextCell[u])
		}
		return nextH, nextCell
	}
	reset, kept := make([]float64, c.units), make([]float64, c.units)
	for u := range c.units {
		reset[u] = sigmoid(ofX(1, u) + ofH(1, u, h))
		kept[u] = reset[u] * h[u]
	}
	for u := range c.units {
		z := sigmoid(ofX(0, u) + ofH(0, u, h))
		n := math.Tanh(ofX(2, u) + reset[u]*ofH(2, u, h))
		if c.resetFirst {
			n = math.Tanh(ofX(2, u) + ofH(2, u, kept))
		}
		nextH[u] = (1-z)*n + z*h[u]
	}
	return nextH, nextCell
}

func widen(x []float32) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}

// recurrentCases cover what the nodes' attributes and inputs can say.
var recurrentCases = []recurrentCase{
	{op: "LSTM", direction: "forward", steps: 4, rows: 1, in: 3, units: 5, bias: true},
	{op: "LSTM", direction: "reverse", steps: 3, rows: 1, in: 2, units: 20},
	{op: "LSTM", direction: "reverse", steps: 3, rows: 2, in: 2, units: 4, bias: true, states: true, activations: []string{"Sigmoid", "Tanh", "Tanh"}},
	{op: "LSTM", direction: "bidirectional", steps: 4, rows: 3, in: 3, units: 2, bias: true, states: true, rowsFirst: true},
	{op: "LSTM", direction: "bidirectional", steps: 1, rows: 1, in: 1, units: 1, activations: []string{"sigmoid", "tanh", "tanh", "sigmoid", "tanh", "tanh"}},
	{op: "LSTM", direction: "forward", steps: 2, rows: 1, in: 3, units: 4, states: true, rowsFirst: true},
	{op: "GRU", direction: "forward", steps: 4, rows: 1, in: 3, units: 5, bias: true},
	{op: "GRU", direction: "reverse", steps: 3, rows: 2, in: 2, units: 20, bias: true, states: true, rowsFirst: true},
	{op: "GRU", direction: "bidirectional", steps: 3, rows: 1, in: 2, units: 3, states: true, activations: []string{"Sigmoid", "Tanh", "Sigmoid", "Tanh"}},
	{op: "GRU", direction: "forward", steps: 4, rows: 1, in: 3, units: 5, bias: true, resetFirst: true},
	{op: "GRU", direction: "bidirectional", steps: 3, rows: 2, in: 2, units: 4, bias: true, states: true, resetFirst: true},
	{op: "GRU", direction: "reverse", steps: 2, rows: 3, in: 1, units: 17, resetFirst: true, rowsFirst: true},
}

func TestRecurrentOperators(t *testing.T) {
	for i, c := range recurrentCases {
		x, w := c.random(rand.New(rand.NewPCG(uint64(i), 1)))
		want := c.want(x, w)
		for _, opset := range []int{11, 14, 20} {
			if c.rowsFirst && opset < 14 {
				continue
			}
			m, err := onnx.Compile(c.file(w).opset(opset).bytes("y"))
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			y, err := m.NewWorker(2).Run(append(make([]float32, len(x)), x...), 2)
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			near(t, y[m.OutputLen():], want)
		}
	}
}

func TestRecurrentRefuses(t *testing.T) {
	c := recurrentCase{op: "LSTM", direction: "forward", steps: 3, rows: 1, in: 2, units: 2}
	_, w := c.random(rand.New(rand.NewPCG(1, 1)))
	// node is a file whose last node is an LSTM with these inputs and attributes.
	node := func(inputs string, attrs ...any) *file {
		f := c.file(w).float("P", make([]float32, 6), 1, 6).int("lens", 3).int("short", 2).float("cube", make([]float32, 32), 1, 8, 4)
		f.input("lengths", 6, 1)
		return f.node("LSTM", inputs, "z", attrs...)
	}
	for _, c := range []struct {
		name string
		file *file
		says string
	}{
		{"peepholes", node("X W R _ _ _ _ W"), "input 7 has the shape (1, 8, 2), want (1, 6)"},
		{"short sequence", node("X W R _ short"), "sequence_lens 2, want the whole length 3"},
		{"sequence_lens of the row", node("X W R _ x"), "sequence_lens that depend on the row"},
		{"clip", node("X W R", "clip", float32(3)), "clip"},
		{"coupled gates", node("X W R", "input_forget", 1), "input_forget is 1"},
		{"activations", node("X W R", "activations", []string{"Sigmoid", "Relu", "Sine"}), `the activation "Sine"`},
		{"activations of a direction", node("X W R", "activations", []string{"Sigmoid", "Relu"}), `activations ["Sigmoid" "Relu"], want 3`},
		{"direction", node("X W R", "direction", "sideways"), `direction "sideways"`},
		{"directions", node("X W R", "direction", "bidirectional"), "input 1 has the shape (1, 8, 2), want (2, 8, 2)"},
		{"layout", node("X W R", "layout", 2), "layout 2"},
		{"hidden_size", node("X W R", "hidden_size", 4), "hidden_size is 4"},
		{"R", node("X W cube"), "input 1 has the shape (1, 8, 2), want (1, 16, 2)"},
		{"B", node("X W R P"), "input 3 has the shape (1, 6), want (1, 16)"},
		{"dimensions", node("x W R"), "want three dimensions each"},
		{"state", node("X W R _ _ W"), "input 5 has the shape (1, 8, 2), want (1, 1, 2)"},
		{"integers", node("lens W R"), "want three dimensions each"},
		{"missing", node("X W"), "input 2 is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := onnx.Compile(c.file.bytes("z"), onnx.Fix("lengths", 3))
			if err == nil || !strings.Contains(err.Error(), "operator LSTM") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
	if _, err := onnx.Compile(node("X W R _ lens").bytes("z"), onnx.Fix("lengths", 3)); err != nil {
		t.Errorf("constant sequence_lens of the whole length: %v", err)
	}
	long := recurrentCase{op: "GRU", direction: "bidirectional", steps: 1<<14 + 1, rows: 1, in: 1, units: 1}
	_, w = long.random(rand.New(rand.NewPCG(1, 1)))
	if _, err := onnx.Compile(long.file(w).bytes("y")); !errors.Is(err, onnx.ErrTooLarge) || !strings.Contains(err.Error(), "32770 steps of a loop or a recurrent node, the most is 32768") {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
}

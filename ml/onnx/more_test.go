package onnx_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/onnx"
)

// ints adds an array of integers of any shape.
func (f *file) ints(name string, v []int, shape ...int) *file {
	var raw []byte
	for _, n := range v {
		for b := range 8 {
			raw = append(raw, byte(uint64(n)>>(8*b)))
		}
	}
	return f.array(name, 7, raw, shape)
}

func run(t *testing.T, file []byte, x []float32, rows int, opts ...onnx.Option) ([]float32, error) {
	t.Helper()
	m, err := onnx.Compile(file, opts...)
	if err != nil {
		return nil, err
	}
	return m.NewWorker(rows).Run(x, rows)
}

// TestMoreOperators has what ONNX's own small tests don't: operators of which there
// is none, opsets whose nodes mean something else, and integers by their values.
func TestMoreOperators(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		name  string
		file  *file
		input []float32
		want  []float32
	}{
		{"Mish", rowFile(3).opset(18).node("Mish", "x", "y"), []float32{-1, 0, 2}, []float32{-.30340147, 0, 1.943959}},
		{"Not", rowFile(3).float("z", []float32{0}).node("Less", "x z", "b").node("Not", "b", "n").node("Cast", "n", "y", "to", 1), []float32{-1, 0, 2}, []float32{0, 1, 1}},
		{"Slice by attributes", rowFile(4).opset(9).node("Slice", "x", "y", "axes", []int{1}, "starts", []int{1}, "ends", []int{3}), []float32{1, 2, 3, 4}, []float32{2, 3}},
		{"Clip by attributes", rowFile(3).opset(6).node("Clip", "x", "y", "min", float32(0), "max", float32(1)), []float32{-1, .5, 2}, []float32{0, .5, 1}},
		{"Add along an axis", rowFile(2, 2).opset(6).float("b", []float32{10, 20}, 2).node("Add", "x b", "y", "broadcast", 1, "axis", 1), []float32{1, 2, 3, 4}, []float32{11, 12, 23, 24}},
		{"PRelu for channels in opset 6", rowFile(2, 2).opset(6).float("w", []float32{.1, 10}, 2).node("PRelu", "x w", "y"), []float32{-1, -1, -2, 2}, []float32{-.1, -.1, -20, 2}},
		{"Upsample", rowFile(1, 1, 2).opset(9).float("s", []float32{1, 1, 1, 2}, 4).node("Upsample", "x s", "y", "mode", "nearest"), []float32{1, 2}, []float32{1, 1, 2, 2}},
		{"Einsum of a diagonal", rowFile(2, 3, 2).node("Einsum", "x", "y", "equation", "biji->bji"), []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, []float32{1, 8, 3, 10, 5, 12}},
		{"sum of tokens", tokenFile(2).node("Add", "x x", "s").node("Cast", "s", "y", "to", 1), []float32{3, 4}, []float32{6, 8}},
		{"quotient of tokens", tokenFile(2).ints("two", []int{2}).node("Div", "x two", "s").node("Cast", "s", "y", "to", 1), []float32{-3, 5}, []float32{-1, 2}},
		{"remainder of tokens", tokenFile(2).ints("n", []int{3}).node("Mod", "x n", "s").node("Cast", "s", "y", "to", 1), []float32{-4, 5}, []float32{2, 2}},
		{"mask of tokens", tokenFile(3).ints("pad", []int{0}).float("none", []float32{-inf}).float("zero", []float32{0}).
			node("Equal", "x pad", "m").node("Where", "m none zero", "y"), []float32{7, 0, 1}, []float32{0, -inf, 0}},
		{"matrix of known integers", rowFile(2).ints("a", []int{1, 2, 3, 4}, 2, 2).ints("b", []int{10, 20}, 2).
			node("Transpose", "a", "t").node("Mul", "t b", "p").node("ReduceSum", "p axes", "s", "keepdims", 0).int("axes", 0).
			node("Cast", "s", "f", "to", 1).node("Mul", "x f", "y"), []float32{1, 1}, []float32{30, 140}},
		{"large known integers are moved as they are", rowFile(2).ints("a", []int{math.MaxInt64, 1}, 2).ints("i", []int{1, 0}, 2).node("Gather", "a i", "b").
			int("zero", 0, 0).node("Slice", "b one two", "e").int("one", 1).int("two", 2).int("axis", 1).int("from", 1).node("Slice", "x from e axis", "y"), []float32{1, 2}, []float32{2}},
		{"Size and Range", rowFile(3).node("Size", "x", "n").ints("zero", []int{0}).ints("one", []int{1}).node("Range", "zero n one", "r").
			node("Cast", "r", "f", "to", 1).node("Add", "x f", "y"), []float32{10, 10, 10}, []float32{10, 11, 12}},
		{"Pad by reflection", rowFile(4).int("p", 0, 2, 0, 1).node("Pad", "x p", "y", "mode", "reflect"), []float32{1, 2, 3, 4}, []float32{3, 2, 1, 2, 3, 4, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := []onnx.Option{}
			if c.name == "Size and Range" { // of a batch these would be others
				opts = append(opts, onnx.Whole())
				c.file.batch(1)
			}
			y, err := run(t, c.file.bytes("y"), c.input, 1, opts...)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range c.want {
				if math.IsInf(float64(w), 0) && y[i] == w {
					y[i], c.want[i] = 0, 0
				}
			}
			near(t, y, c.want)
		})
	}
}

// TestIntegersAreExact: what float32 can't hold is an error of the row, not a number
// beside it.
func TestIntegersAreExact(t *testing.T) {
	square := tokenFile(1).node("Mul", "x x", "s").node("Cast", "s", "y", "to", 1).bytes("y")
	if y, err := run(t, square, []float32{4095}, 1); err != nil || y[0] != 4095*4095 {
		t.Errorf("4095*4095: %v, %v", y, err)
	}
	if y, err := run(t, square, []float32{4097}, 1); !errors.Is(err, nn.ErrValue) {
		t.Errorf("4097*4097: %v, %v, want ErrValue", y, err)
	}
	next := tokenFile(1).ints("one", []int{1}).node("Add", "x one", "s").node("Cast", "s", "y", "to", 1).bytes("y")
	if y, err := run(t, next, []float32{1 << 24}, 1); !errors.Is(err, nn.ErrValue) {
		t.Errorf("2^24+1, which float32 rounds to 2^24: %v, %v, want ErrValue", y, err)
	}
	sum := tokenFile(4).node("ReduceSum", "x axes", "s", "keepdims", 0).int("axes", 1).node("Cast", "s", "y", "to", 1).bytes("y")
	if y, err := run(t, sum, []float32{1<<24 - 1, 1, 1, -3}, 1); !errors.Is(err, nn.ErrValue) {
		t.Errorf("a sum that is rounded on its way: %v, %v, want ErrValue", y, err)
	}
	if y, err := run(t, sum, []float32{1 << 20, -5, 1, 7}, 1); err != nil || y[0] != 1<<20+3 {
		t.Errorf("a sum of integers: %v, %v", y, err)
	}
	small := rowFile(1).node("Cast", "x", "i", "to", 3).node("Cast", "i", "y", "to", 1).bytes("y")
	if y, err := run(t, small, []float32{-128.9}, 1); err != nil || y[0] != -128 {
		t.Errorf("-128.9 as int8: %v, %v", y, err)
	}
	if y, err := run(t, small, []float32{200}, 1); !errors.Is(err, nn.ErrValue) {
		t.Errorf("200 as int8: %v, %v, want ErrValue", y, err)
	}
	quantized := rowFile(1).float("s", []float32{.5}).array("z", 2, []byte{10}, nil).node("QuantizeLinear", "x s z", "q").node("Cast", "q", "y", "to", 1).bytes("y")
	if y, err := run(t, quantized, []float32{1.5, 1000}, 2); err != nil || y[0] != 13 || y[1] != 255 {
		t.Errorf("1.5 and 1000, quantized: %v, %v", y, err)
	}
	if y, err := run(t, quantized, []float32{float32(math.NaN())}, 1); !errors.Is(err, nn.ErrValue) {
		t.Errorf("a NaN, quantized: %v, %v, want ErrValue", y, err)
	}
	by0 := tokenFile(1).ints("z", []int{0}).node("Div", "x z", "s").node("Cast", "s", "y", "to", 1).bytes("y")
	if y, err := run(t, by0, []float32{1}, 1); !errors.Is(err, nn.ErrValue) {
		t.Errorf("1/0 of integers: %v, %v, want ErrValue", y, err)
	}
}

// TestWhole: over its first axis a network may do what it likes if that is no batch.
func TestWhole(t *testing.T) {
	net := rowFile(2).batch(3).node("ReduceMean", "x", "y", "axes", []int{0}, "keepdims", 0).bytes("y")
	if _, err := onnx.Compile(net); err == nil {
		t.Error("the mean over the batch was compiled")
	}
	y, err := run(t, net, []float32{1, 2, 3, 4, 5, 9, 0, 0, 0, 0, 0, 6}, 2, onnx.Whole())
	if err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{3, 5, 0, 2})
	if _, err := onnx.Compile(net, onnx.Whole(), onnx.Batch(1)); !errors.Is(err, onnx.ErrInput) {
		t.Errorf("a whole input with a batch: %v", err)
	}
}

// TestRowsOfNewOperators: what looks along an axis is refused where that is the
// batch's, and keeps rows apart elsewhere.
func TestRowsOfNewOperators(t *testing.T) {
	for _, op := range []struct {
		name, inputs, outputs string
		opset                 int
		attrs                 []any
	}{
		{"ArgMax", "x", "i", 17, []any{"axis", 0}}, {"CumSum", "x zero", "i", 17, nil}, {"TopK", "x one", "i j", 17, []any{"axis", 0}},
		{"ReduceProd", "x", "i", 17, []any{"axes", []int{0}}}, {"Hardmax", "x", "i", 17, []any{"axis", 0}},
		{"LpNormalization", "x", "i", 17, []any{"axis", 0}}, {"LayerNormalization", "x w", "i", 17, []any{"axis", 0}},
	} {
		file := rowFile(2).opset(op.opset).scalar("zero", 0).int("one", 1).float("w", []float32{1, 1}, 1, 2).
			node(op.name, op.inputs, op.outputs, op.attrs...).node("Cast", "i", "f", "to", 1).node("Add", "f x", "y").bytes("y")
		if _, err := onnx.Compile(file); err == nil || !strings.Contains(err.Error(), op.name) {
			t.Errorf("%s along the batch: %v, want an error that names it", op.name, err)
		}
	}
	apart := rowFile(3).scalar("one", 1).node("CumSum", "x one", "c").node("ArgMax", "c", "a", "axis", 1).node("Cast", "a", "f", "to", 1).node("Add", "f c", "y").bytes("y")
	y, err := run(t, apart, []float32{1, 2, 3, 3, -4, 0}, 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{3, 5, 8, 3, -1, -1})
	resized := rowFile(1, 2, 2).float("s", []float32{1, 1, 2, 1}, 4).node("Resize", "x _ s", "r", "mode", "linear", "coordinate_transformation_mode", "align_corners").
		float("c", []float32{2.5}).node("Greater", "r c", "m").float("zero", []float32{0}).node("Where", "m r zero", "y").bytes("y")
	if y, err = run(t, resized, []float32{0, 3, 3, 9, 6, 0, 6, 3}, 2); err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{0, 3, 0, 5, 0, 7, 3, 9, 6, 0, 6, 0, 6, 0, 6, 3})
}

// TestTooLarge: a small file can't ask for much memory, and is told what the limit is.
func TestTooLarge(t *testing.T) {
	const raise = " of 1048576 elements are left; raise it to read the file"
	for name, c := range map[string]struct {
		file *file
		is   error
		says string
	}{
		"Resize":  {rowFile(1, 1, 2).float("s", []float32{1, 1, 1, 1e9}, 4).node("Resize", "x _ s", "y"), onnx.ErrTooLarge, raise},
		"MaxPool": {rowFile(1, 1, 2).node("MaxPool", "x", "y", "kernel_shape", []int{1, 60000}, "dilations", []int{1, 2}, "pads", []int{0, 65536, 0, 65536}), onnx.ErrTooLarge, "windows of 60000 elements exceeds onnx.MaxElements: 1048574" + raise},
		"Tile":    {rowFile(2).int("r", 1, 1<<31-1).node("Tile", "x r", "y"), onnx.ErrTooLarge, "an array of shape (1, 4294967294) exceeds onnx.MaxElements: 1048574" + raise},
		"Conv": {rowFile(1, 2, 2).float("w", []float32{1}, 1, 1, 1, 1).node("Conv", "x w", "y", "pads", []int{65536, 65536, 65536, 65536}), onnx.ErrTooLarge,
			"images of shape (1, 1, 2, 2) with padding of [65536 65536] before and [65536 65536] behind exceeds onnx.MaxElements"},
		"ConvTranspose": {rowFile(1, 2, 2).float("w", []float32{1}, 1, 1, 1, 1).node("ConvTranspose", "x w", "y", "strides", []int{65536, 65536}), onnx.ErrTooLarge,
			"(1, 1, 2, 2) with axis 3 of 65537 exceeds onnx.MaxElements"},
		"ConstantOfShape": {rowFile(2).int("n", 1<<11, 1<<11).node("ConstantOfShape", "n", "c").node("Add", "x c", "y"), onnx.ErrTooLarge, "an array of shape [2048 2048] exceeds"},
		"Concat": {rowFile(2).int("a", make([]int, 1<<15)...).int("b", make([]int, 1<<15+1)...).node("Concat", "a b", "y", "axis", 0), onnx.ErrTooLarge,
			"known numbers of shape (65537), the most is 65536 in 8 dimensions"},
		"NonZero": {rowFile(2).int("a", slices.Repeat([]int{1}, 1<<16+1)...).node("NonZero", "a", "y"), onnx.ErrTooLarge, "a list of 65537 integers that are known when the file is read, the most is 65536"},
		"Range": {rowFile(2).ints("a", []int{0}).ints("b", []int{1 << 40}).ints("c", []int{1}).node("Range", "a b c", "r").
			node("Cast", "r", "f", "to", 1).node("Add", "x f", "y"), onnx.ErrUnsupported, "a range of"},
		"Loop": {rowFile(2).ints("n", []int{1 << 40}).array("on", 9, []byte{1}, nil).
			node("Loop", "n on x", "y", "body", loopBody(rowFile(0).node("Identity", "c", "d").node("Relu", "v", "w"), "d", "w")), onnx.ErrTooLarge, "more than 32768 steps of loops and recurrent nodes together"},
	} {
		_, err := onnx.Compile(c.file.bytes("y"), onnx.MaxElements(1<<20))
		if !errors.Is(err, c.is) || err == nil || !strings.Contains(err.Error(), name+"_") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v at the node, with %q", name, err, c.is, c.says)
		}
	}
}

// loopBody is a graph with the inputs of a Loop that carries v.
func loopBody(f *file, outputs ...string) graphAttr {
	g := f.graph(outputs...)
	for _, name := range []string{"i", "c", "v"} {
		g = msg(g, 11, msg(nil, 1, []byte(name)))
	}
	return g
}

// TestLoop unrolls three steps and collects what each one has.
func TestLoop(t *testing.T) {
	body := func(f *file) graphAttr { return loopBody(f, "d", "w", "w2") }
	net := rowFile(2).ints("n", []int{3}).array("on", 9, []byte{1}, nil).
		node("Loop", "n on x", "last all", "body", body(rowFile(0).node("Identity", "c", "d").node("Cast", "i", "f", "to", 1).
			node("Add", "v f", "w").node("Identity", "w", "w2"))).
		node("ReduceSum", "all axis", "s", "keepdims", 0).int("axis", 0).node("Sub", "s last", "y")
	y, err := run(t, net.bytes("y"), []float32{1, 10, 0, 5}, 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{1 + 2, 10 + 11, 0 + 1, 5 + 6}) // x, x+1, x+3, less the last
	// Without a number of steps, until the condition ends it.
	until := rowFile(2).array("on", 9, []byte{1}, nil).node("Loop", "_ on x", "y", "body",
		loopBody(rowFile(0).scalar("two", 2).float("one", []float32{1}).node("Less", "i two", "d").node("Add", "v one", "w"), "d", "w"))
	if y, err = run(t, until.bytes("y"), []float32{1, 10}, 1); err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{4, 13})
}

// TestLoopWithoutCondition: the condition of its body is ignored then, one that is
// false and one that depends on the row.
func TestLoopWithoutCondition(t *testing.T) {
	body := func(f *file) graphAttr {
		return loopBody(f.float("one", []float32{1}).node("Add", "v one", "w"), "d", "w")
	}
	for name, g := range map[string]graphAttr{
		"false":          body(rowFile(0).scalar("zero", 0).node("Less", "i zero", "d")),
		"not of a step":  body(rowFile(0).node("Not", "c", "d")),
		"of the row":     body(rowFile(0).float("three", []float32{3}).node("ReduceSum", "v", "s", "keepdims", 0).node("Less", "s three", "d")),
		"of each number": body(rowFile(0).float("three", []float32{3}).node("Less", "v three", "d")),
	} {
		net := rowFile(2).ints("n", []int{3}).node("Loop", "n _ x", "y", "body", g).bytes("y")
		y, err := run(t, net, []float32{1, 10, 0, 5}, 2)
		if err != nil {
			t.Errorf("condition %s: %v", name, err)
			continue
		}
		near(t, y, []float32{4, 13, 3, 8})
	}
	endless := rowFile(2).node("Loop", "_ _ x", "y", "body", body(rowFile(0).node("Identity", "c", "d"))).bytes("y")
	if _, err := onnx.Compile(endless); !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), "neither a number of steps nor a condition") {
		t.Errorf("a loop without an end: %v", err)
	}
}

// TestScanOfOpset8 is refused as what it is: its first input may be left out.
func TestScanOfOpset8(t *testing.T) {
	body := rowFile(0).node("Identity", "v", "w").graph("w")
	net := rowFile(2).opset(8).node("Scan", "_ x", "y", "body", body, "num_scan_inputs", 1).bytes("y")
	if _, err := onnx.Compile(net); !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), "in opset 8") {
		t.Errorf("error %v", err)
	}
}

// TestSeveralInputsAndOutputs: a state that each row has of its own, with the batch
// in the middle, goes in and out.
func TestSeveralInputsAndOutputs(t *testing.T) {
	net := func() *file {
		f := rowFile(2).float("two", []float32{2})
		f.others = append(f.others, infoOf("state", "1", "d0", "2"))
		f.outs = map[string][]byte{"next": infoOf("next", "1", "d0", "2")}
		return f.int("zero", 0).node("Squeeze", "state zero", "s").node("Add", "x s", "y").node("Mul", "state two", "next")
	}
	m, err := onnx.Compile(net().bytes("y", "next"), onnx.PerRow("state"), onnx.Output("y", "next"))
	if err != nil {
		t.Fatal(err)
	}
	if m.InputLen() != 4 || m.OutputLen() != 4 {
		t.Fatalf("a row of %d, a result of %d, want 4 and 4", m.InputLen(), m.OutputLen())
	}
	y, err := m.NewWorker(2).Run([]float32{1, 2, 10, 20, 3, 4, 30, 40}, 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{11, 22, 20, 40, 33, 44, 60, 80})
	for name, opts := range map[string][]onnx.Option{
		"PerRow(\"nobody\")": {onnx.PerRow("nobody")},
		"no output \"z\"":    {onnx.PerRow("state"), onnx.Output("y", "z")},
		"PerRow(\"state\")":  {onnx.PerRow("state"), onnx.Fix("state", 0)},
	} {
		if _, err := onnx.Compile(net().bytes("y", "next"), opts...); !errors.Is(err, onnx.ErrInput) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// infoOf describes an input of floats whose dimensions are numbers or names.
func infoOf(name string, dims ...string) []byte {
	var shape []byte
	for _, d := range dims {
		b := msg(nil, 2, []byte(d))
		if n, err := strconv.Atoi(d); err == nil {
			b = varint(nil, 1, int64(n))
		}
		shape = msg(shape, 1, b)
	}
	return msg(msg(nil, 1, []byte(name)), 2, msg(nil, 1, msg(varint(nil, 1, 1), 2, shape)))
}

// TestEndsInside: a network can end before what isn't supported, in nodes of graphs
// within nodes too.
func TestEndsInside(t *testing.T) {
	branch := rowFile(2).node("Mul", "h h", "q").graph("q")
	net := rowFile(2).ints("one", []int{1}, 1, 1).array("yes", 9, []byte{1}, nil).node("Relu", "x", "h").node("If", "yes", "p", "then_branch", branch, "else_branch", branch).
		node("Multinomial", "p", "m").node("NonZero", "p", "y").bytes("y")
	if _, err := onnx.Compile(net); !errors.Is(err, onnx.ErrOperator) {
		t.Errorf("the whole network: %v, want ErrOperator", err)
	}
	y, err := run(t, net, []float32{-3, 3, 2, 5}, 2, onnx.Output("p"))
	if err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{0, 9, 4, 25})
	if y, err = run(t, net, []float32{-3, 3, 2, 5}, 2, onnx.Output("h", "p")); err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{0, 3, 0, 9, 2, 5, 4, 25})
	for name, says := range map[string]string{"y": `node "NonZero_3": operator NonZero`, "m": `node "Multinomial_2"`, "z": `no output "z", and no node writes it`, "q": "no output"} {
		file := net
		if name == "y" {
			file = rowFile(2).node("Relu", "x", "h").node("Relu", "h", "g").node("Relu", "g", "p").node("NonZero", "p", "y").bytes("y")
		}
		if _, err := onnx.Compile(file, onnx.Output(name)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("output %q: %v, want %q", name, err, says)
		}
	}
}

// TestEndsBeforeNMS: a detector that ends with NonMaxSuppression is refused with the outputs
// to end it with, and ends there.
func TestEndsBeforeNMS(t *testing.T) {
	net := rowFile(2, 4).int("most", 3).int("one", 1).float("limit", []float32{0.5}, 1).
		node("Abs", "x", "boxes").node("ReduceMax", "x", "best", "axes", []int{2}, "keepdims", 0).node("Unsqueeze", "best one", "scores").
		node("NonMaxSuppression", "boxes scores most limit", "y").bytes("y")
	_, err := onnx.Compile(net)
	if says := `end the network before it, with onnx.Output("boxes", "scores"), and leave it to the head vision.Boxes`; !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), says) {
		t.Fatalf("%v, want %q", err, says)
	}
	y, err := run(t, net, []float32{-1, 2, 3, 4, 5, 6, 7, -8}, 1, onnx.Output("boxes", "scores"))
	if err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{1, 2, 3, 4, 5, 6, 7, 8, 4, 7})
}

// TestSignalsGridsAndStates: operators of signals, images and sequences compute each
// row of a batch as ONNX says.
func TestSignalsGridsAndStates(t *testing.T) {
	x := []float32{1, 2, 3, 4, -1, 0, 7, 8}
	reshaped := func(name string, shape ...int) *file {
		return rowFile(4).opset(17).int("shape", shape...).node("Reshape", "x shape", name)
	}
	for _, c := range []struct {
		name string
		file *file
		want []float32 // of both rows
	}{
		{"DFT", reshaped("s", -1, 4, 1).node("DFT", "s", "y"), []float32{10, 0, -2, 2, -2, 0, -2, -2, 14, 0, -8, 8, -2, 0, -8, -8}},
		{"DFT and back", reshaped("s", -1, 4, 1).node("DFT", "s", "f").node("DFT", "f", "b", "inverse", 1).int("last", 0).
			node("Gather", "b last", "y", "axis", 2), x},
		{"STFT", reshaped("s", -1, 4, 1).scalar("step", 2).float("w", []float32{1, .5}, 2).node("STFT", "s step w", "y"),
			[]float32{2, 0, 0, 0, 5, 0, 1, 0, -1, 0, -1, 0, 11, 0, 3, 0}},
		{"Det", reshaped("m", -1, 2, 2).node("Det", "m", "y"), []float32{-2, -8}},
		{"Col2Im", reshaped("b", -1, 2, 2).int("image", 3).int("block", 2).opset(18).node("Col2Im", "b image block", "y"), []float32{1, 5, 4, -1, 7, 8}},
		{"CausalConvWithState", reshaped("s", -1, 1, 4).float("w", []float32{1, 10}, 1, 1, 2).opset(27).node("CausalConvWithState", "s w", "y"),
			[]float32{10, 21, 32, 43, -10, -1, 70, 87}},
		{"LinearAttention", reshaped("s", -1, 4, 1).opset(27).node("LinearAttention", "s s s", "y", "q_num_heads", 1, "kv_num_heads", 1, "update_rule", "linear", "scale", float32(2)),
			[]float32{2, 20, 84, 240, -2, 0, 700, 1824}},
		{"GridSample", reshaped("i", -1, 1, 1, 4).int("from", 0).int("to", 2).int("axis", 1).int("grid", -1, 1, 1, 2).node("Slice", "x from to axis", "p").
			node("Reshape", "p grid", "g").node("GridSample", "i g", "y", "align_corners", 1, "mode", "bilinear", "padding_mode", "border"), []float32{4, -1}},
		{"ConvTranspose of volumes", reshaped("v", -1, 2, 2, 1, 1).float("w", []float32{1, 10, 100, 1000}, 2, 1, 2, 1, 1).node("ConvTranspose", "v w", "y"),
			[]float32{301, 3412, 4020, 699, 7790, 8000}},
		{"Conv of volumes of one channel", reshaped("v", -1, 1, 4, 1, 1).float("w", []float32{1, 10}, 1, 1, 2, 1, 1).node("Conv", "v w", "y"),
			[]float32{21, 32, 43, -1, 70, 87}},
		{"ConvTranspose of volumes of one channel", reshaped("v", -1, 1, 4, 1, 1).float("w", []float32{1, 10}, 1, 1, 2, 1, 1).node("ConvTranspose", "v w", "y"),
			[]float32{1, 12, 23, 34, 40, -1, -10, 7, 78, 80}},
		{"DeformConv", reshaped("i", -1, 1, 2, 2).opset(19).float("w", []float32{2}, 1, 1, 1, 1).float("zero", []float32{0}).float("half", []float32{.5}).
			node("Mul", "i zero", "down").node("Add", "down half", "right").node("Concat", "down right", "by", "axis", 1).node("DeformConv", "i w by", "y"),
			[]float32{3, 2, 7, 4, -1, 0, 15, 8}},
		{"DeformConv in groups", reshaped("i", -1, 2, 1, 2).opset(19).float("w", []float32{1, 10}, 1, 2, 1, 1).float("zero", []float32{0}).float("half", []float32{0, .5}, 1, 2, 1, 1).
			node("Mul", "i zero", "not").node("Add", "not half", "right").node("Concat", "not right", "by", "axis", 1).node("DeformConv", "i w by", "y", "offset_group", 2),
			[]float32{36, 22, 74, 40}},
		{"RNN", reshaped("s", -1, 4, 1).float("w", []float32{1}, 1, 1, 1).float("r", []float32{.5}, 1, 1, 1).
			node("RNN", "s w r", "y", "layout", 1, "activations", []string{"Relu"}), []float32{1, 2.5, 4.25, 6.125, 0, 0, 7, 11.5}},
		{"LSTM", reshaped("s", -1, 4, 1).float("w", []float32{0, 0, 0, 1}, 1, 4, 1).float("r", make([]float32, 4), 1, 4, 1).
			node("LSTM", "s w r", "y", "layout", 1, "activations", []string{"Affine", "Relu", "Relu"}, "activation_alpha", []float32{0}, "activation_beta", []float32{1}),
			[]float32{1, 3, 6, 10, 0, 0, 7, 15}},
		{"GRU", reshaped("s", -1, 4, 1).float("w", []float32{0, 0, 1}, 1, 3, 1).float("r", make([]float32, 3), 1, 3, 1).
			node("GRU", "s w r", "y", "layout", 1, "linear_before_reset", 1, "activations", []string{"Affine", "Affine"},
				"activation_alpha", []float32{0, 1}, "activation_beta", []float32{.5, 0}), []float32{.5, 1.25, 2.125, 3.0625, -.5, -.25, 3.375, 5.6875}},
		{"MatMul with a list", rowFile(4).float("v", []float32{1, 10, 100, 0}, 4).node("MatMul", "x v", "y"), []float32{321, 699}},
		{"MatMulInteger", rowFile(4).float("s", []float32{1}).array("z", 3, []byte{1}, nil).node("QuantizeLinear", "x s z", "q").
			array("w", 3, []byte{1, 0xff, 2, 0}, []int{4, 1}).node("MatMulInteger", "q w z z", "i").node("Cast", "i", "y", "to", 1), []float32{-5, -1}},
	} {
		m, err := onnx.Compile(c.file.bytes("y"))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		y, err := m.NewWorker(2).Run(x, 2)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		t.Run(c.name, func(t *testing.T) { near(t, y, c.want) })
	}
	wide := rowFile(600).float("s", []float32{1}).array("z", 2, []byte{0}, nil).node("QuantizeLinear", "x s z", "q").
		array("w", 3, bytes.Repeat([]byte{127}, 600), []int{600, 1}).node("MatMulInteger", "q w", "i").node("Cast", "i", "y", "to", 1).bytes("y")
	if y, err := run(t, wide, slices.Repeat([]float32{255}, 600), 1); !errors.Is(err, nn.ErrValue) {
		t.Errorf("a sum beyond 2^24: %v, %v, want ErrValue", y, err)
	}
}

// TestGatherElementsOfTheRow picks elements by numbers that the row gives or makes.
func TestGatherElementsOfTheRow(t *testing.T) {
	best := rowFile(4).int("k", 2).node("TopK", "x k", "v i").node("GatherElements", "x i", "y", "axis", -1).bytes("y")
	y, err := run(t, best, []float32{1, 2, 3, 4, -1, 0, 8, 7}, 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{4, 3, 8, 7})
	fewer := rowFile(2, 2).node("ArgMax", "x", "a", "axis", 2).int("from", 0).int("to", 1).node("Slice", "a from to to", "i").
		node("GatherElements", "x i", "y", "axis", 2).bytes("y")
	if y, err = run(t, fewer, []float32{1, 2, 3, 4, 0, -1, 8, 7}, 2); err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{2, 0})
	given := rowFile(3).input("i", 7, 0, 2).node("GatherElements", "x i", "y", "axis", 1).bytes("y")
	if y, err = run(t, given, []float32{1, 2, 3, -1, 0, 4, 5, 6, 2, 2}, 2, onnx.PerRow("i")); err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{3, 1, 6, 6})
	for _, i := range []float32{3, -4, .5, float32(math.NaN())} {
		if y, err := run(t, given, []float32{1, 2, 3, 0, i}, 1, onnx.PerRow("i")); !errors.Is(err, nn.ErrValue) {
			t.Errorf("element %v of 3: %v, %v, want ErrValue", i, y, err)
		}
	}
	long := rowFile(1000).input("i", 7, 0, 1).node("GatherElements", "x i", "y", "axis", 1).bytes("y")
	row := append(make([]float32, 1000), math.Nextafter32(-1, -2)) // with 1000 it would round to 999
	if y, err := run(t, long, row, 1, onnx.PerRow("i")); !errors.Is(err, nn.ErrValue) {
		t.Errorf("an element a little below -1 of 1000: %v, %v, want ErrValue", y, err)
	}
	along := rowFile(2).node("ArgMax", "x", "i", "axis", 1).node("GatherElements", "x i", "y", "axis", 0).bytes("y")
	if _, err := onnx.Compile(along); !errors.Is(err, compile.ErrForward) || !strings.Contains(err.Error(), "GatherElements_1") {
		t.Errorf("along the batch: %v", err)
	}
	wide := rowFile(2).input("i", 7, 0, 2).node("GatherElements", "x i", "y", "axis", 0).bytes("y")
	narrow := rowFile(1).input("i", 7, 0, 2).node("GatherElements", "x i", "y", "axis", 0).bytes("y")
	if _, err := onnx.Compile(wide, onnx.PerRow("i")); !errors.Is(err, compile.ErrForward) {
		t.Errorf("by the row, along the batch: %v", err)
	}
	if _, err := onnx.Compile(narrow, onnx.PerRow("i")); !errors.Is(err, onnx.ErrFormat) || !strings.Contains(err.Error(), "indices of shape (1, 2) for (1, 1)") {
		t.Errorf("more indices than elements: %v", err)
	}
}

// TestAttentionSees: of equal scores the result is the mean of the values that a query
// sees, for each row of a batch its own.
func TestAttentionSees(t *testing.T) {
	net := func(inputs string, attrs ...any) *file { // two queries, four keys
		return rowFile(4).opset(25).input("n", 7, 0).int("kv", -1, 1, 4, 1).node("Reshape", "x kv", "v").
			int("from", 0).int("two", 2).int("axis", 2).node("Slice", "v from two axis", "half").
			float("zero", []float32{0}).node("Mul", "half zero", "q").node("Attention", inputs, "y", attrs...)
	}
	rows := []float32{1, 2, 4, 8, 3, 3, 5, 7, 9, 1} // the values, and how many of them are valid
	third := float32(1) / 3
	for _, c := range []struct {
		name string
		file *file
		want []float32
	}{
		{"valid keys", net("q v v _ _ _ n"), []float32{7 * third, 7 * third, 3, 3}},
		{"and causal", net("q v v _ _ _ n", "is_causal", 1), []float32{1.5, 7 * third, 0, 3}},
		{"and to the left", net("q v v _ _ _ n", "is_causal", 1, "left_window_size", 0), []float32{2, 4, 0, 3}},
		{"to the left", net("q v v", "left_window_size", 0), []float32{3.75, 14 * third, 6, 7}},
		{"to both sides", net("q v v", "left_window_size", 0, "right_window_size", 1), []float32{1.5, 3, 4, 6}},
		{"to the right", net("q v v", "right_window_size", 1<<40), []float32{3.75, 3.75, 6, 6}},
	} {
		y, err := run(t, c.file.bytes("y"), rows, 2, onnx.PerRow("n"))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		t.Run(c.name, func(t *testing.T) { near(t, y, c.want) })
	}
	for says, file := range map[string]*file{
		"a window of -2 keys to the left and -1 to the right":                     net("q v v", "left_window_size", -2),
		"nonpad_kv_seqlen, of shape (4) and int64, want a list of 1 integers":     net("q v v _ _ _ kv"),
		"nonpad_kv_seqlen, of shape (1) and int64, want a list of 1 integers and": net("q v v _ v v n"),
		`the attribute "left_window_size", which the operator doesn't know`:       net("q v v", "left_window_size", 1).opset(24),
	} {
		if _, err := onnx.Compile(file.bytes("y"), onnx.PerRow("n")); !errors.Is(err, onnx.ErrFormat) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

// TestAllMisses: one message has the operators that a file would need, each once, and what
// else its nodes show, but no list without an end.
func TestAllMisses(t *testing.T) {
	net := rowFile(2).node("Multinomial", "x", "a").node("RandomNormalLike", "a", "b").node("Relu", "b", "c", "alpha", float32(1)).
		node("RandomNormalLike", "c", "d").node("Multinomial", "d", "e").node("Add", "e", "y")
	also := `node "RandomNormalLike_1": operator RandomNormalLike: operator not supported (opset 17); ` +
		`node "Relu_2": operator Relu: not a valid ONNX file: it has the attribute "alpha", which the operator doesn't know; ` +
		`node "Add_5": operator Add: not a valid ONNX file: input 1 is missing`
	first := `onnx: node "Multinomial_0": operator Multinomial: operator not supported (opset 17)`
	_, err := onnx.Compile(net.bytes("y"))
	if !errors.Is(err, onnx.ErrOperator) || err.Error() != first+"; also "+also {
		t.Errorf("error %v, want all misses", err)
	}
	_, err = onnx.Compile(net.array("w", 22, []byte{1}, []int{2}).bytes("y")) // of int4
	if !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), "elements of int4; also "+first[len("onnx: "):]+"; "+also) {
		t.Errorf("error %v, want the array's and all misses of nodes", err)
	}
	many := rowFile(2)
	for i := range 20 {
		many.node(fmt.Sprintf("New%d", i), "x", fmt.Sprintf("y%d", i))
	}
	if _, err = onnx.Compile(many.bytes("y0")); err == nil || !strings.HasSuffix(err.Error(), "operator New16: operator not supported (opset 17); and 3 more") {
		t.Errorf("error %v, want one that ends", err)
	}
	_, err = onnx.Compile(net.opset(29).bytes("y"))
	if want := `the file uses opset 29, opsets 6 to 28 are read; also node "Multinomial_0": operator Multinomial: operator not supported; ` +
		`node "RandomNormalLike_1": operator RandomNormalLike: operator not supported`; !errors.Is(err, onnx.ErrOpset) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	_, err = onnx.Compile(rowFile(2).opset(0).domain("ai.onnx.ml").node("Scaler", "x", "a").node("LinearRegressor", "a", "y").bytes("y"))
	if want := `the file names no opset of ONNX's own domain; also node "Scaler_0": operator ai.onnx.ml::Scaler: operator not supported; ` +
		`node "LinearRegressor_1": operator ai.onnx.ml::LinearRegressor: operator not supported`; !errors.Is(err, onnx.ErrOpset) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	words := make([]string, 1<<16+1) // a vocabulary
	_, err = onnx.Compile(rowFile(2).node("LabelEncoder", "x", "a", "keys_strings", words).node("Multinomial", "a", "y").bytes("y"))
	if !errors.Is(err, onnx.ErrOperator) || !strings.Contains(err.Error(), "operator LabelEncoder: operator not supported") || !strings.Contains(err.Error(), "operator Multinomial: operator not supported") {
		t.Errorf("error %v, want both misses", err)
	}
}

// TestWeightsInAnotherFile reads an array from where the file says it lies, and
// nothing else.
func TestWeightsInAnotherFile(t *testing.T) {
	dtype := int64(1)
	net := func(location, offset, length string) []byte {
		f := rowFile(2)
		b := varint(varint(msg(nil, 8, []byte("w")), 2, dtype), 1, 2)
		for _, e := range [][2]string{{"location", location}, {"offset", offset}, {"length", length}} {
			b = msg(b, 13, msg(msg(nil, 1, []byte(e[0])), 2, []byte(e[1])))
		}
		f.inits = append(f.inits, varint(b, 14, 1))
		return f.node("Mul", "x w", "y").bytes("y")
	}
	var data []byte
	for _, v := range []float32{7, 2, 3} {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	files := fstest.MapFS{"weights/w.bin": {Data: data}}
	y, err := run(t, net("weights/w.bin", "4", "8"), []float32{5, 10}, 1, onnx.Files(files))
	if err != nil {
		t.Fatal(err)
	}
	near(t, y, []float32{10, 30})
	for _, c := range []struct {
		file []byte
		opts []onnx.Option
		want error
	}{
		{net("weights/w.bin", "4", "8"), nil, onnx.ErrUnsupported},
		{net("weights/w.bin", "8", "8"), []onnx.Option{onnx.Files(files)}, io.ErrUnexpectedEOF},
		{net("weights/w.bin", "-4", "8"), []onnx.Option{onnx.Files(files)}, onnx.ErrFormat},
		{net("weights/w.bin", "0", "12"), []onnx.Option{onnx.Files(files)}, onnx.ErrFormat},
		{net("../w.bin", "0", "8"), []onnx.Option{onnx.Files(files)}, fs.ErrInvalid},
		{net("none.bin", "0", "8"), []onnx.Option{onnx.Files(files)}, fs.ErrNotExist},
	} {
		if _, err := onnx.Compile(c.file, c.opts...); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
	_, err = onnx.Compile(net("weights/w.bin", "4", "8"), onnx.Files(files), onnx.MaxElements(3))
	if !errors.Is(err, onnx.ErrTooLarge) || !strings.Contains(err.Error(), `array "w" of 2 elements of float exceeds onnx.MaxElements: 1 of 3 elements are left; raise it to read the file`) {
		t.Errorf("beyond the limit: %v", err)
	}
	dtype = 8
	_, err = onnx.Compile(net("weights/w.bin", "4", "8"), onnx.Files(files))
	if !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), `array "w" has elements of string`) {
		t.Errorf("an array of strings: %v", err)
	}
}

// TestIf: the graph that a known condition chooses is read, with its own names.
func TestIf(t *testing.T) {
	branch := func(op string) graphAttr {
		return rowFile(0).node(op, "x", "inner").graph("inner")
	}
	net := func(yes byte) []byte {
		return rowFile(2).array("c", 9, []byte{yes}, nil).node("If", "c", "y", "then_branch", branch("Relu"), "else_branch", branch("Neg")).bytes("y")
	}
	for yes, want := range [][]float32{{1, -2}, {0, 2}} {
		y, err := run(t, net(byte(yes)), []float32{-1, 2}, 1)
		if err != nil {
			t.Fatal(err)
		}
		near(t, y, want)
	}
	row := rowFile(2).float("z", []float32{0}).node("ReduceMax", "x", "m", "keepdims", 0).node("Less", "m z", "c").
		node("If", "c", "y", "then_branch", branch("Relu"), "else_branch", branch("Neg")).batch(1).bytes("y")
	if _, err := onnx.Compile(row); !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), "a condition that depends on the row") {
		t.Errorf("a condition of the row: %v", err)
	}
}

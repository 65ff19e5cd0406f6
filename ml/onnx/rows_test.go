package onnx_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/onnx"
)

// declare gives an output of floats a shape; a dimension of 0 is open and has the
// name of the input's at its place.
func (f *file) declare(output string, dims ...int) *file {
	if f.outs == nil {
		f.outs = map[string][]byte{}
	}
	f.outs[output] = info(output, 1, dims)
	return f
}

// lstmOver adds an LSTM of one unit that reads name (steps, 1, 2).
func (f *file) lstmOver(name string) *file {
	w := []float32{0.5, -0.2, 0.1, 0.3, -0.4, 0.2, 0.6, 0.1}
	return f.float("w", w, 1, 4, 2).float("r", w[:4], 1, 4, 1).node("LSTM", name+" w r", "y4", "hidden_size", 1)
}

// TestMixedRowsAreRefused: files that one row alone doesn't show to mix rows. Each
// error names the node.
func TestMixedRowsAreRefused(t *testing.T) {
	const mixes, counts = "puts rows of the batch together", "does something else with two rows"
	two := []float32{1, 2, 3, 4}
	for _, c := range []struct {
		name string
		file []byte
		says string
		node string
	}{
		{"transpose and reduce", rowFile(2).node("Transpose", "x", "t", "perm", []int{1, 0}).node("ReduceMean", "t", "m", "axes", []int{1}).
			node("Sub", "t m", "d").node("Transpose", "d", "y", "perm", []int{1, 0}).bytes("y"), mixes, "ReduceMean_1"},
		{"transpose of a fixed batch", rowFile(2).batch(8).node("Transpose", "x", "t", "perm", []int{1, 0}).node("ReduceMean", "t", "m", "axes", []int{1}).
			node("Sub", "t m", "d").node("Transpose", "d", "y", "perm", []int{1, 0}).bytes("y"), mixes, "ReduceMean_1"},
		{"old softmax over all", rowFile(2).opset(11).node("Softmax", "x", "y", "axis", 0).bytes("y"), mixes, "Softmax_0"},
		{"flattened to one row", rowFile(2).node("Flatten", "x", "f", "axis", 0).node("ReduceMax", "f", "m", "axes", []int{1}).
			node("Div", "x m", "y").bytes("y"), mixes, "ReduceMax_1"},
		{"flattened and multiplied", rowFile(2).node("Transpose", "x", "t", "perm", []int{1, 0}).node("MatMul", "x t", "p").
			node("MatMul", "p x", "y").bytes("y"), "", "MatMul_1"},
		{"first row", rowFile(2).scalar("i", 0).node("Gather", "x i", "g", "axis", 0).node("Sub", "x g", "y").bytes("y"), mixes, "Sub_1"},
		{"first row as a slice", rowFile(2).int("from", 0).int("until", 1).int("axis", 0).node("Slice", "x from until axis", "g").
			node("Sub", "x g", "y").bytes("y"), mixes, "Sub_1"},
		{"rows as steps", rowFile(2).int("one", 1).node("Unsqueeze", "x one", "s").lstmOver("s").int("s12", 1, 2).
			node("Squeeze", "y4 s12", "y").bytes("y"), mixes, "LSTM_1"},
		{"by the number of rows", rowFile(2).node("Shape", "x", "s").scalar("zero", 0).node("Gather", "s zero", "n").
			node("Cast", "n", "f", "to", 1).node("Div", "x f", "y").bytes("y"), counts, "Div_3"},
		{"a constant for each row", rowFile(2).float("c", two, 2, 2).node("Add", "x c", "y").bytes("y"), "which should be twice as large", "Add_0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := onnx.Compile(c.file)
			if !errors.Is(err, compile.ErrForward) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.node) {
				t.Errorf("error %v, want ErrForward with %q at %s", err, c.says, c.node)
			}
		})
	}
}

// TestOutputsOutOfOrderAreRefused: files whose output isn't the first row's result
// and then the second's. Each error names the node.
func TestOutputsOutOfOrderAreRefused(t *testing.T) {
	const order = "isn't the first row's result followed by the second's"
	joined := func(axis int) *file { return rowFile(2).node("Concat", "x x", "y", "axis", axis) }
	for _, c := range []struct {
		name string
		file []byte
		is   error
		says string
		node string
	}{
		{"joined along the batch", joined(0).bytes("y"), compile.ErrForward, order, "Concat_0"},
		{"joined along axis -2", joined(-2).bytes("y"), compile.ErrForward, order, "Concat_0"},
		{"declared as long as the batch", joined(0).declare("y", 0, 2).bytes("y"), onnx.ErrInput, "has the shape (d0, 2), and for 1 row it has (2, 2)", `output "y"`},
		{"fixed batch", joined(0).batch(2).declare("y", 4, 2).bytes("y"), compile.ErrForward, order, "Concat_0"},
		{"transposed", rowFile(2).node("Transpose", "x", "y").bytes("y"), compile.ErrForward, order, "Transpose_0"},
		{"transposed as declared", rowFile(2).node("Transpose", "x", "y").declare("y", 2, 0).bytes("y"), compile.ErrForward, order, "Transpose_0"},
		{"transposed around axes of one element", rowFile(1, 2).node("Transpose", "x", "y", "perm", []int{2, 0, 1}).bytes("y"), compile.ErrForward, order, "Transpose_0"},
		{"columns split and joined as rows", rowFile(4).node("Split", "x", "a b", "axis", 1).node("Concat", "a b", "y", "axis", 0).bytes("y"), compile.ErrForward, order, "Concat_1"},
		{"reshaped and transposed", rowFile(4).int("s", -1, 2, 2).node("Reshape", "x s", "r").node("Transpose", "r", "t", "perm", []int{1, 0, 2}).
			int("f", -1, 2).node("Reshape", "t f", "y").bytes("y"), compile.ErrForward, order, "Transpose_1"},
		{"stacked in front", rowFile(2).int("zero", 0).node("Unsqueeze", "x zero", "a").node("Concat", "a a", "y", "axis", 0).bytes("y"), compile.ErrForward, order, "Concat_1"},
		{"repeated along the batch", rowFile(2).int("s", 3, 1, 1).node("Expand", "x s", "y").bytes("y"), compile.ErrForward, order, "Expand_0"},
		{"first row", rowFile(2).int("from", 0).int("until", 1).int("axis", 0).node("Slice", "x from until axis", "y").bytes("y"), compile.ErrForward, "which should be twice as large", "Slice_0"},
		{"backward", rowFile(2).int("from", -1).int("until", -9).int("axis", 0).int("step", -1).node("Slice", "x from until axis step", "y").bytes("y"), compile.ErrForward, "", "Slice_0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := onnx.Compile(c.file)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.node) {
				t.Errorf("error %v, want %v with %q at %s", err, c.is, c.says, c.node)
			}
		})
	}
}

// TestRowsApart: what looks like the above and keeps rows apart has, for each row,
// the result of the batch.
func TestRowsApart(t *testing.T) {
	x := []float32{1, 2, 3, 5, 8, 13, -1, -4, -9, 0.5, 0.25, 0}
	for _, c := range []struct {
		name string
		file []byte
		want []float32 // of 3 rows of 4 elements
	}{
		{"mean of each row, transposed", rowFile(4).node("Transpose", "x", "t", "perm", []int{1, 0}).node("ReduceMean", "t", "y", "axes", []int{0}, "keepdims", 0).
			declare("y", 0).bytes("y"), []float32{2.75, 4, -2.0625}},
		{"batch in the middle", rowFile(2, 2).node("Transpose", "x", "t", "perm", []int{1, 0, 2}).node("ReduceSum", "t axes", "s", "keepdims", 0).
			int("axes", 0).declare("s", 0, 2).bytes("s"), []float32{4, 7, 7, 9, -8.75, 0.5}},
		{"one matrix for all rows", rowFile(2, 2).float("w", []float32{1, 1, 0, 2}, 1, 2, 2).node("MatMul", "x w", "y").
			declare("y", 0, 2, 2).bytes("y"), []float32{1, 5, 3, 13, 8, 34, -1, -9, -9, -8, 0.25, 0.25}},
		{"zeros for each row", rowFile(4).node("Shape", "x", "s").node("ConstantOfShape", "s", "z").node("Max", "x z", "y").
			declare("y", 0, 4).bytes("y"), []float32{1, 2, 3, 5, 8, 13, 0, 0, 0, 0.5, 0.25, 0}},
		{"a fixed batch", rowFile(4).batch(8).int("shape", 8, 2, 2).node("Reshape", "x shape", "r").node("ReduceSum", "r axes", "y", "keepdims", 0).
			int("axes", 1).declare("y", 8, 2).bytes("y"), []float32{4, 7, 7, 9, -8.75, 0.5}},
		{"joined along the batch and taken apart", rowFile(2, 2).node("Concat", "x x", "xx", "axis", 0).int("s", 2, -1, 2, 2).node("Reshape", "xx s", "r").
			node("Transpose", "r", "y", "perm", []int{1, 2, 0, 3}).declare("y", 0, 2, 2, 2).bytes("y"),
			[]float32{1, 2, 1, 2, 3, 5, 3, 5, 8, 13, 8, 13, -1, -4, -1, -4, -9, 0.5, -9, 0.5, 0.25, 0, 0.25, 0}},
		{"one row at a time", rowFile(4).batch(1).node("Flatten", "x", "f", "axis", 0).node("ReduceMax", "f", "y", "axes", []int{1}).
			declare("y", 1, 1).bytes("y"), []float32{5, 13, 0.5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := onnx.Compile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			y, err := m.NewWorker(3).Run(x, 3)
			if err != nil {
				t.Fatal(err)
			}
			near(t, y, c.want)
		})
	}
}

// TestDeclaredOutput: an output must have the shape that the file says.
func TestDeclaredOutput(t *testing.T) {
	net := func() *file { return rowFile(2).float("w", make([]float32, 6), 2, 3).node("MatMul", "x w", "y") }
	for _, c := range []struct {
		dims []int
		ok   bool
	}{{[]int{0, 3}, true}, {[]int{0, 0}, true}, {[]int{1, 3}, true}, {[]int{0, 4}, false}, {[]int{0}, false}, {[]int{0, 3, 1}, false}} {
		_, err := onnx.Compile(net().declare("y", c.dims...).bytes("y"))
		if c.ok && err != nil || !c.ok && (!errors.Is(err, onnx.ErrInput) || !strings.Contains(err.Error(), `output "y": `)) {
			t.Errorf("declared %v: %v", c.dims, err)
		}
	}
}

// TestBatchNameTwice: PyTorch's exporter gives the batch's name to other axes as well.
func TestBatchNameTwice(t *testing.T) {
	net := rowFile(1, 2, 2).int("p", 0, 0, 1, 1, 0, 0, 1, 1).node("Pad", "x p", "h", "mode", "reflect").node("Relu", "h", "y")
	net.outs = map[string][]byte{"y": infoOf("y", "d0", "1", "d0", "w")}
	m, err := onnx.Compile(net.bytes("y"))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.OutputShape(); !slices.Equal(got, []int{1, 4, 4}) {
		t.Errorf("a row's result has the shape %v, want [1 4 4]", got)
	}
	net.outs["y"] = infoOf("y", "d0", "1", "5", "w")
	if _, err := onnx.Compile(net.bytes("y")); !errors.Is(err, onnx.ErrInput) {
		t.Errorf("an axis of 4 that is declared as 5: %v", err)
	}
}

// TestFileBatchRefused: nodes that are valid for the file's batch and not for the
// rows that it is read for are not called broken; those that are broken anyway are.
func TestFileBatchRefused(t *testing.T) {
	const fixed, open = "the file's batch of 2 is read a row at a time, which this node doesn't fit", "the file is read a row at a time"
	two := func() *file { return rowFile(2).batch(2) }
	for _, c := range []struct {
		name string
		file []byte
		is   error
		says string
	}{
		{"Split of the batch", two().node("Split", "x", "y z", "axis", 0).bytes("y"), onnx.ErrUnsupported, fixed + " (an axis of 1 in 2 equal parts)"},
		{"Split of the batch by sizes", two().int("s", 1, 1).node("Split", "x s", "y z", "axis", 0).bytes("y"), onnx.ErrUnsupported, fixed},
		{"Split of an open batch", rowFile(2).node("Split", "x", "y z", "axis", 0).bytes("y"), onnx.ErrUnsupported, open},
		{"Split that never fits", two().node("Split", "x", "y z w", "axis", 0).bytes("y"), onnx.ErrFormat, "an axis of 1 in 3 equal parts"},
		{"Reshape of all", two().int("flat", -1).node("Reshape", "x flat", "f").int("s", 2, 2).node("Reshape", "f s", "y").bytes("y"), onnx.ErrUnsupported, fixed + " (cannot reshape 2 elements to (2, 2)"},
		{"Reshape of rows", two().int("s", -1, 4).node("Reshape", "x s", "y").bytes("y"), onnx.ErrUnsupported, fixed + " (cannot reshape 2 elements to (-1, 4)"},
		{"Reshape of rows of an open batch", rowFile(2).int("s", -1, 4).node("Reshape", "x s", "y").bytes("y"), onnx.ErrUnsupported, open},
		{"Reshape that never fits", two().int("s", -1, 3).node("Reshape", "x s", "y").bytes("y"), nn.ErrShape, "cannot reshape 2 elements to (-1, 3)"},
		{"rows in another order", two().int("i", 1, 0).node("Gather", "x i", "y", "axis", 0).bytes("y"), onnx.ErrUnsupported, fixed + " (index 1 of 1)"},
		{"the second row", rowFile(2).scalar("i", 1).node("Gather", "x i", "y", "axis", 0).bytes("y"), onnx.ErrUnsupported, open + ", which this node doesn't fit (index 1 of 1)"},
		{"weights for each row", two().float("w", make([]float32, 4), 2, 2).node("Concat", "x w", "y", "axis", 1).bytes("y"), onnx.ErrUnsupported, fixed},
		{"two rows of a batch of 8", rowFile(2).batch(8).int("s", -1, 2).node("Reshape", "x s", "r").int("n", 1, 7).node("Split", "r n", "y z", "axis", 0).bytes("y"), onnx.ErrUnsupported, "the file's batch of 8 is read a row at a time"},
		{"a batch beyond all limits", rowFile(2).batch(1<<40).node("Split", "x", "y z", "axis", 0).bytes("y"), onnx.ErrUnsupported, "the file's batch of 1099511627776 is read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := onnx.Compile(c.file)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || errors.Is(err, onnx.ErrFormat) != (c.is == onnx.ErrFormat) {
				t.Errorf("error %v, want %v with %q", err, c.is, c.says)
			}
		})
	}
}

package onnx_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/ml/serializers/npz"
)

// The fixtures were written by Chainer's and PyTorch's exporters, the inputs and
// outputs by Chainer; see testdata/README.md.

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func arrays(t *testing.T, name string) map[string]npz.Array {
	t.Helper()
	entries, err := npz.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]npz.Array{}
	for _, e := range entries {
		m[e.Name] = e.Array
	}
	return m
}

func floats(t *testing.T, a npz.Array) []float32 {
	t.Helper()
	f, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// near holds results against the fixtures' tolerance.
func near(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-5+1e-4*math.Abs(float64(want[i]))) {
			t.Fatalf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestFixtures(t *testing.T) {
	for _, c := range []struct{ file, io, layers string }{
		{"mlp_opset11.onnx", "mlp_io.npz", "dense 30x20 + ReLU"},
		{"mlp_torch.onnx", "mlp_io.npz", "dense 30x20 + ReLU"},
		{"cnn_bn_dropout_opset11.onnx", "cnn_bn_dropout_io.npz", "conv 5x5 1 to 6 + ReLU + max 2x2"},
		{"cnn_bn_dropout_torch.onnx", "cnn_bn_dropout_io.npz", "conv 5x5 1 to 6 + ReLU + max 2x2"},
		{"cnn_bn_dropout_torch_opset13.onnx", "cnn_bn_dropout_io.npz", "conv 5x5 1 to 6 + ReLU + max 2x2"},
	} {
		t.Run(c.file, func(t *testing.T) {
			io := arrays(t, c.io)
			x, want := floats(t, io["x"]), floats(t, io["y"])
			m, err := onnx.Compile(fixture(t, c.file))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(m.String(), c.layers) || strings.Contains(m.String(), "row by row") {
				t.Errorf("layers\n%swant %q and none that runs row by row", m, c.layers)
			}
			n := len(x) / m.InputLen()
			y, err := m.NewWorker(n).Run(x, n)
			if err != nil {
				t.Fatal(err)
			}
			near(t, y, want)
			near(t, tapeMachine(t, fixture(t, c.file), x[:m.InputLen()]), want[:m.OutputLen()])
		})
	}
}

// tapeMachine runs a file's graph in Gorgonia's machine on one row.
func tapeMachine(t *testing.T, file []byte, x []float32, opts ...onnx.Option) []float32 {
	t.Helper()
	f, err := onnx.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	trace, err := f.Trace(opts...)
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.Build(trace, 0)
	if err != nil {
		t.Fatal(err)
	}
	in := tensor.New(tensor.WithShape(trace.Values[trace.Inputs[0]].Spec.Shape...), tensor.WithBacking(x))
	if err := gorgonia.Let(g.Inputs[0], in); err != nil {
		t.Fatal(err)
	}
	vm := gorgonia.NewTapeMachine(g.Expr)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	return g.Outputs[0].Value().(*tensor.Dense).Float32s()
}

// TestOperators runs one operator on known numbers.
func TestOperators(t *testing.T) {
	x := []float32{-2, -1, 0, 1, 2, 3}
	image := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, c := range []struct {
		name  string
		file  *file
		input []float32
		want  []float32
	}{
		{"Relu", rowFile(6).node("Relu", "x", "y"), x, []float32{0, 0, 0, 1, 2, 3}},
		{"LeakyRelu default", rowFile(6).node("LeakyRelu", "x", "y"), x, []float32{-.02, -.01, 0, 1, 2, 3}},
		{"Elu", rowFile(6).node("Elu", "x", "y", "alpha", float32(2)), x, []float32{-1.7293295, -1.2642411, 0, 1, 2, 3}},
		{"HardSigmoid", rowFile(6).node("HardSigmoid", "x", "y", "alpha", float32(.5), "beta", float32(.25)), x, []float32{0, 0, .25, .75, 1, 1}},
		{"Clip", rowFile(6).float("lo", []float32{-1}).float("hi", []float32{2}).node("Clip", "x lo hi", "y"), x, []float32{-1, -1, 0, 1, 2, 2}},
		{"Clip without high", rowFile(6).float("lo", []float32{0}).node("Clip", "x lo", "y"), x, []float32{0, 0, 0, 1, 2, 3}},
		{"PRelu", rowFile(6).float("w", []float32{.5, .1, 1, 1, 1, 1}, 6).node("PRelu", "x w", "y"), x, []float32{-1, -.1, 0, 1, 2, 3}},
		{"PRelu along the last axis", rowFile(2, 2).float("w", []float32{.1, 10}, 2).node("PRelu", "x w", "y"), []float32{-1, -1, -2, 2}, []float32{-.1, -10, -.2, 2}},
		{"PRelu for channels", rowFile(2, 2).float("w", []float32{.1, 10}, 2, 1).node("PRelu", "x w", "y"), []float32{-1, -1, -2, 2}, []float32{-.1, -.1, -20, 2}},
		{"PRelu for all", rowFile(2, 2).float("w", []float32{.5}).node("PRelu", "x w", "y"), []float32{-1, -1, -2, 2}, []float32{-.5, -.5, -1, 2}},
		{"Clip with crossed limits", rowFile(3).float("lo", []float32{1}).float("hi", []float32{-1}, 1).node("Clip", "x lo hi", "y"), []float32{-5, 0, 5}, []float32{-1, -1, -1}},
		{"Cast to float16", rowFile(3).node("Cast", "x", "h", "to", 10).node("Cast", "h", "y", "to", 1), []float32{.1, 1.0004, 65519}, []float32{.099975586, 1, 65504}},
		{"Cast to int32 wraps", rowFile(1).node("Constant", "", "c", "value_ints", []int{1<<32 + 3}).node("Cast", "c", "i", "to", 6).node("Cast", "i", "f", "to", 1).node("Mul", "x f", "y"), []float32{2}, []float32{6}},
		{"Dropout that is told not to train", rowFile(2).array("no", 9, []byte{0}, nil).node("Dropout", "x _ no", "y"), []float32{1, 2}, []float32{1, 2}},
		{"Split, the last smaller", rowFile(5).opset(18).node("Split", "x", "a y", "axis", 1, "num_outputs", 2), []float32{1, 2, 3, 4, 5}, []float32{4, 5}},
		{"Gather irregularly", rowFile(2, 4).int("i", 0, -1, 0, 1).node("Gather", "x i", "y", "axis", 2), []float32{1, 2, 3, 4, 5, 6, 7, 8}, []float32{1, 4, 1, 2, 5, 8, 5, 6}},
		{"Gather a range", rowFile(2, 3).int("i", 2, 1, 0).node("Gather", "x i", "y", "axis", -1), x, []float32{0, -1, -2, 3, 2, 1}},
		{"Pow", rowFile(6).float("two", []float32{2}).node("Pow", "x two", "y"), x, []float32{4, 1, 0, 1, 4, 9}},
		{"Sub from a constant", rowFile(6).float("c", []float32{1, 1, 1, 2, 2, 2}, 6).node("Sub", "c x", "y"), x, []float32{3, 2, 1, 1, 0, -1}},
		{"Max of three", rowFile(6).float("a", []float32{1}, 1).float("b", []float32{0, 0, 0, 5, 0, 0}, 1, 6).node("Max", "x a b", "y"), x, []float32{1, 1, 1, 5, 2, 3}},
		{"Min", rowFile(6).float("a", []float32{1}, 1).node("Min", "x a", "y"), x, []float32{-2, -1, 0, 1, 1, 1}},
		{"Gemm", rowFile(2).float("w", []float32{1, 2, 3, 4, 5, 6}, 3, 2).float("b", []float32{10, 20, 30}, 3).
			node("Gemm", "x w b", "y", "transB", 1, "alpha", float32(2), "beta", float32(.5)), []float32{1, 1}, []float32{11, 24, 37}},
		{"MatMul of sequences", rowFile(2, 2).float("w", []float32{1, 10}, 2, 1).node("MatMul", "x w", "y"), []float32{1, 2, 3, 4}, []float32{21, 43}},
		{"MatMul of two results", rowFile(2, 2).node("MatMul", "x x", "y"), []float32{1, 2, 3, 4}, []float32{7, 10, 15, 22}},
		{"Softmax before 13", rowFile(2, 2).opset(12).node("Softmax", "x", "y"), []float32{0, 0, 0, 0}, []float32{.25, .25, .25, .25}},
		{"Softmax since 13", rowFile(2, 2).node("Softmax", "x", "y"), []float32{0, 0, 0, 0}, []float32{.5, .5, .5, .5}},
		{"LogSoftmax", rowFile(2).node("LogSoftmax", "x", "y"), []float32{5, 5}, []float32{-.6931472, -.6931472}},
		{"ReduceMean", rowFile(2, 2).node("ReduceMean", "x", "y", "axes", []int{2}, "keepdims", 0).opset(13), []float32{1, 2, 3, 4}, []float32{1.5, 3.5}},
		{"ReduceMax by input", rowFile(2, 2).int("a", -1).node("ReduceMax", "x a", "y").opset(18), []float32{1, 2, 3, 4}, []float32{2, 4}},
		{"Transpose", rowFile(2, 3).node("Transpose", "x", "y", "perm", []int{0, 2, 1}), x, []float32{-2, 1, -1, 2, 0, 3}},
		{"Slice backward", rowFile(6).int("s", -1).int("e", -7).int("a", 1).int("st", -2).node("Slice", "x s e a st", "y"), x, []float32{3, 1, -1}},
		{"Slice without axes", rowFile(6).batch(1).int("s", 0, 1).int("e", 1, 1<<40).node("Slice", "x s e", "y"), x, []float32{-1, 0, 1, 2, 3}},
		{"Gather one", rowFile(2, 3).scalar("i", -1).node("Gather", "x i", "y", "axis", 1), x, []float32{1, 2, 3}},
		{"Gather some", rowFile(6).int("i", 5, 0).node("Gather", "x i", "y", "axis", 1), x, []float32{3, -2}},
		{"Split and Concat", rowFile(6).int("n", 2, 4).node("Split", "x n", "a b", "axis", 1).node("Concat", "b a", "y", "axis", -1), x, []float32{0, 1, 2, 3, -2, -1}},
		{"Split evenly", rowFile(6).node("Split", "x", "a b", "axis", 1).node("Sub", "b a", "y"), x, []float32{3, 3, 3}},
		{"Pad", rowFile(2).int("p", 0, 1, 0, 2).float("v", []float32{9}).node("Pad", "x p v", "y"), []float32{1, 2}, []float32{9, 1, 2, 9, 9}},
		{"Expand", rowFile(1, 2).int("s", 3, 1).node("Expand", "x s", "y"), []float32{1, 2}, []float32{1, 2, 1, 2, 1, 2}},
		{"Squeeze and Unsqueeze", rowFile(1, 2).int("a", 1).node("Squeeze", "x a", "h").int("b", 0, -1).node("Unsqueeze", "h b", "y"), []float32{1, 2}, []float32{1, 2}},
		{"Constant and Cast", rowFile(2).node("Constant", "", "c", "value_ints", []int{3, 4}).node("Cast", "c", "f", "to", 1).node("Mul", "x f", "y"), []float32{2, 5}, []float32{6, 20}},
		{"Shape arithmetic", rowFile(2, 3).node("Shape", "x", "s").scalar("i", 0).node("Gather", "s i", "n").int("zero", 0).
			node("Unsqueeze", "n zero", "n1").int("rest", -1).node("Concat", "n1 rest", "to", "axis", 0).node("Reshape", "x to", "y"), x, x},
		{"Dropout", rowFile(2).node("Dropout", "x", "y mask"), []float32{1, 2}, []float32{1, 2}},
		{"Flatten", rowFile(2, 3).node("Flatten", "x", "y"), x, x},
		{"ConstantOfShape", rowFile(2).int("s", 1, 2).node("ConstantOfShape", "s", "c").node("Add", "x c", "y"), []float32{1, 2}, []float32{1, 2}},
		{"GlobalAveragePool", rowFile(1, 3, 3).node("GlobalAveragePool", "x", "y"), image, []float32{5}},
		{"GlobalMaxPool", rowFile(1, 3, 3).node("GlobalMaxPool", "x", "y"), image, []float32{9}},
		{"MaxPool with ceil_mode", rowFile(1, 3, 3).node("MaxPool", "x", "y", "kernel_shape", []int{2, 2}, "strides", []int{2, 2}, "ceil_mode", 1), image, []float32{5, 6, 8, 9}},
		{"MaxPool with ceil_mode, nothing behind the image", rowFile(1, 1, 4).node("MaxPool", "x", "y", "kernel_shape", []int{1, 3}, "strides", []int{1, 4}, "pads", []int{0, 0, 0, 2}, "ceil_mode", 1), []float32{0, 1, 3, 2}, []float32{3}},
		{"MaxPool with ceil_mode on one axis", rowFile(1, 3, 4).node("MaxPool", "x", "y", "kernel_shape", []int{2, 3}, "strides", []int{2, 4}, "pads", []int{0, 0, 0, 2}, "ceil_mode", 1),
			[]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, []float32{7, 11}},
		{"AveragePool with ceil_mode", rowFile(1, 3, 3).node("AveragePool", "x", "y", "kernel_shape", []int{2, 2}, "strides", []int{2, 2}, "ceil_mode", 1), image, []float32{3, 4.5, 7.5, 9}},
		{"AveragePool excludes uneven padding", rowFile(1, 3, 3).node("AveragePool", "x", "y", "kernel_shape", []int{2, 2}, "strides", []int{2, 2}, "pads", []int{1, 1, 0, 0}), image, []float32{1, 2.5, 5.5, 7}},
		{"AveragePool counts padding, not what is behind", rowFile(1, 1, 3).node("AveragePool", "x", "y", "kernel_shape", []int{1, 3}, "strides", []int{1, 2}, "pads", []int{0, 1, 0, 1}, "ceil_mode", 1, "count_include_pad", 1), []float32{1, 2, 3}, []float32{1, 5. / 3}},
		{"MaxPool padded unevenly", rowFile(1, 3, 3).node("MaxPool", "x", "y", "kernel_shape", []int{2, 2}, "strides", []int{2, 2}, "pads", []int{1, 1, 0, 0}), image, []float32{1, 3, 7, 9}},
		{"AveragePool excludes padding", rowFile(1, 3, 3).node("AveragePool", "x", "y", "kernel_shape", []int{3, 3}, "strides", []int{2, 2}, "pads", []int{1, 1, 1, 1}), image, []float32{3, 4, 6, 7}},
		{"AveragePool counts padding", rowFile(1, 3, 3).node("AveragePool", "x", "y", "kernel_shape", []int{3, 3}, "strides", []int{2, 2}, "pads", []int{1, 1, 1, 1}, "count_include_pad", 1), image, []float32{12. / 9, 16. / 9, 24. / 9, 28. / 9}},
		{"Conv SAME_UPPER", rowFile(1, 3, 3).float("w", []float32{1, 1, 1, 1}, 1, 1, 2, 2).node("Conv", "x w", "y", "auto_pad", "SAME_UPPER"), image, []float32{12, 16, 9, 24, 28, 15, 15, 17, 9}},
		{"Conv SAME_LOWER", rowFile(1, 3, 3).float("w", []float32{1, 1, 1, 1}, 1, 1, 2, 2).node("Conv", "x w", "y", "auto_pad", "SAME_LOWER"), image, []float32{1, 3, 5, 5, 12, 16, 11, 24, 28}},
		{"Conv dilated, in groups", rowFile(2, 1, 3).float("w", []float32{1, 1, 1, -1}, 2, 1, 1, 2).float("b", []float32{10, 0}, 2).
			node("Conv", "x w b", "y", "group", 2, "dilations", []int{1, 2}), []float32{1, 2, 3, 4, 5, 6}, []float32{14, -2}},
		{"BatchNormalization", rowFile(2).float("g", []float32{2, 2}, 2).float("b", []float32{1, 1}, 2).float("m", []float32{1, 0}, 2).float("v", []float32{4, 1}, 2).
			node("BatchNormalization", "x g b m v", "y", "epsilon", float32(0)), []float32{3, 3}, []float32{3, 7}},
		{"Gather by tokens", tokenFile(3).float("w", []float32{0, 1, 10, 11, 20, 21}, 3, 2).node("Gather", "w x", "y"), []float32{2, 0, -2}, []float32{20, 21, 0, 1, 10, 11}},
		{"tokens moved, then looked up", tokenFile(2, 2).node("Transpose", "x", "t", "perm", []int{0, 2, 1}).int("a", 1).int("b", 2).node("Slice", "t a b a", "last").
			float("w", []float32{5, 6, 7, 8}, 4).node("Gather", "w last", "y"), []float32{0, 1, 2, 3}, []float32{6, 8}},
		{"tokens cast to floats", tokenFile(2).node("Cast", "x", "f", "to", 1).float("half", []float32{.5}).node("Mul", "f half", "y"), []float32{3, 4}, []float32{1.5, 2}},
		{"Transpose that moves nothing", rowFile(1, 2).batch(1).node("Transpose", "x", "y", "perm", []int{2, 0, 1}), []float32{1, 2}, []float32{1, 2}},
		{"sum with a bias behind MatMul", rowFile(2, 2).float("w", []float32{1, 0, 0, 1}, 2, 2).float("b", []float32{10, 20}, 2).node("MatMul", "x w", "h").node("Add", "h b", "y"),
			[]float32{1, 2, 3, 4}, []float32{11, 22, 13, 24}},
		{"fixed batch in a Reshape", rowFile(4).batch(8).int("to", 8, 2, 2).node("Reshape", "x to", "h").node("ReduceSum", "h ax", "y").int("ax", 1), []float32{1, 2, 3, 4}, []float32{4, 6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := onnx.Compile(c.file.bytes("y"))
			if err != nil {
				t.Fatal(err)
			}
			y, err := m.NewWorker(1).Run(c.input, 1)
			if err != nil {
				t.Fatal(err)
			}
			near(t, y, c.want)
		})
	}
}

func TestRefuses(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		file []byte
		is   error
		says string
	}{
		{"empty", nil, onnx.ErrFormat, "onnx: not a valid ONNX file: it holds no graph"},
		{"text", []byte("<html>hello"), onnx.ErrFormat, "onnx: this doesn't look like an ONNX file: not a valid ONNX file: ModelProto: field 7 has wire type 4"},
		{"text that could be cut", []byte("\x7a\x7fhello"), onnx.ErrFormat, "onnx: this doesn't look like an ONNX file: not a valid ONNX file: ModelProto: field 15"},
		{"text that has fields", []byte("h hi"), onnx.ErrFormat, "onnx: this doesn't look like an ONNX file: not a valid ONNX file: it holds no graph"},
		{"file of torch.save", []byte("PK\x03\x04\x00\x00\x08\x08"), onnx.ErrFormat, "onnx: this doesn't look like an ONNX file but like a zip archive, which torch.save and Keras write: export the network as ONNX: not a valid ONNX file: ModelProto: "},
		{"cut", fixture(t, "mlp_torch.onnx")[:9000], onnx.ErrFormat, "unexpected EOF; is it whole? It has 9000 bytes"},
		{"pointer of Git LFS", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), onnx.ErrFormat, "git lfs pull"},
		{"broken node", msg(nil, 7, msg(nil, 1, append(msg(nil, 3, []byte("bad")), 0x2a, 0x7f))), onnx.ErrFormat, `node "bad": not a valid ONNX file: NodeProto: field 5`},
		{"broken attribute", msg(nil, 7, msg(nil, 1, msg(msg(nil, 2, []byte("y")), 5, msg(msg(nil, 1, []byte("axis")), 3, []byte{1})))), onnx.ErrFormat, `node 0 (output "y"): attribute axis: not a valid ONNX file: field 3 has wire type 2, want 0`},
		{"broken array", msg(nil, 7, msg(nil, 5, msg(msg(nil, 8, []byte("w")), 2, nil))), onnx.ErrFormat, `array 0 ("w"): not a valid ONNX file: field 2 has wire type 2, want 0`},
		{"old", rowFile(2).opset(5).node("Relu", "x", "y").bytes("y"), onnx.ErrOpset, "opset 5, opsets 6 to 28"},
		{"unknown operator", rowFile(2).node("Relu", "x", "h").node("Multinomial", "h", "y").bytes("y"), onnx.ErrOperator, `node "Multinomial_1": operator Multinomial: operator not supported (opset 17)`},
		{"other domain", rowFile(2).domain("com.microsoft").node("Relu", "x", "y").bytes("y"), onnx.ErrOperator, "com.microsoft::Relu"},
		{"undefined", rowFile(2).node("Relu", "z", "y").bytes("y"), onnx.ErrFormat, `reads "z"`},
		{"cycle", rowFile(2).node("Add", "x b", "a").node("Relu", "a", "b").node("Neg", "b", "y").bytes("y"), onnx.ErrFormat, `node "Add_0": operator Add: not a valid ONNX file: it reads "b", which no node before it writes`},
		{"cycle of one node", rowFile(2).node("Add", "x y", "y").bytes("y"), onnx.ErrFormat, `reads "y", which no node before it writes`},
		{"no such output", rowFile(2).node("Relu", "x", "y").bytes("z"), onnx.ErrInput, `"z"`},
		{"output of integers", rowFile(2).node("Shape", "x", "y").bytes("y"), onnx.ErrInput, ""},
		{"mean of the batch", rowFile(2).node("ReduceMean", "x", "m", "axes", []int{0}).node("Sub", "x m", "y").bytes("y"), compile.ErrForward, "goes over the batch axis"},
		{"unknown type", (&file{version: 17, dims: []int{2}, dtype: 99}).node("Relu", "x", "y").bytes("y"), onnx.ErrInput, "type 99"},
		{"open dimension", rowFile(0, 3).node("Relu", "x", "y").bytes("y"), onnx.ErrInput, "onnx.Dim"},
		{"weights", rowFile(2).float("bad", []float32{1, nan}, 2).node("Add", "x bad", "y").bytes("y"), compile.ErrWeights, "bad (2) has NaN at element 1"},
		{"misfit", rowFile(2).float("w", []float32{1, 2, 3}, 3, 1).node("MatMul", "x w", "y").bytes("y"), nil, "a has 2 columns, b has 3 rows"},
		{"wrong count", rowFile(2).float("w", []float32{1, 2, 3}, 2, 2).node("Add", "x w", "y").bytes("y"), onnx.ErrFormat, `"w" of shape [2 2] holds 3`},
		{"half an element", rowFile(2).array("w", 1, make([]byte, 7), []int{2}).node("Add", "x w", "y").bytes("y"), onnx.ErrFormat, `"w" of shape [2] holds 7 bytes, want 8`},
		{"names of a node", msg(nil, 7, msg(nil, 1, append(msg(nil, 3, []byte("n")), bytes.Repeat([]byte{1<<3 | 2, 0}, 1<<16+1)...))), onnx.ErrTooLarge, `node "n": graph too large: more than 65536 names`},
		{"dimensions of an input", msg(nil, 7, msg(nil, 11, info("x", 1, make([]int, 65)))), onnx.ErrTooLarge, `input or output "x": graph too large: more than 64 dimensions`},
		{"too large", rowFile(2).int("s", 1<<20, 1<<20, 2).node("Expand", "x s", "y").bytes("y"), onnx.ErrTooLarge, "an array of shape (1048576, 1048576, 2) exceeds onnx.MaxElements: 268435454 of 268435456 elements are left; raise it to read the file"},
		{"overflow", rowFile(2).int("s", 1<<30, 1<<30, 16).node("Reshape", "x s", "y").bytes("y"), onnx.ErrFormat, "target shape"},
		{"training mode", rowFile(2).float("c", []float32{1, 1}, 2).node("BatchNormalization", "x c c c c", "y", "training_mode", 1).bytes("y"), onnx.ErrUnsupported, "training_mode is 1, which trains; export the network for inference"},
		{"training with statistics", rowFile(2).float("c", []float32{1, 1}, 2).opset(11).node("BatchNormalization", "x c c c c", "y m v _ _").bytes("y"), onnx.ErrUnsupported, `output 1, "m"`},
		{"training of Dropout", rowFile(2).float("r", []float32{.5}).array("yes", 9, []byte{1}, nil).node("Dropout", "x r yes", "y").bytes("y"), onnx.ErrUnsupported, "training_mode"},
		{"large mask of Dropout", rowFile(70000).node("Dropout", "x", "h mask").node("Not", "mask", "y").bytes("y"), onnx.ErrUnsupported, `input 0, "mask", is output 1 of node "Dropout_0", which isn't computed`},
		{"sum of truth values", rowFile(2).node("Dropout", "x", "h mask").node("Relu", "mask", "y").bytes("y"), onnx.ErrFormat, "input 0 holds truth values, want numbers"},
		{"kernel_shape", rowFile(1, 3, 3).float("w", make([]float32, 9), 1, 1, 3, 3).node("Conv", "x w", "y", "kernel_shape", []int{2, 2}).bytes("y"), onnx.ErrFormat, "kernel_shape is [2 2], W has the shape (1, 1, 3, 3)"},
		{"pads and auto_pad", rowFile(1, 3, 3).float("w", make([]float32, 9), 1, 1, 3, 3).node("Conv", "x w", "y", "pads", []int{1, 1, 1, 1}, "auto_pad", "SAME_UPPER").bytes("y"), onnx.ErrFormat, "both pads"},
		{"unknown attribute", rowFile(2).node("Relu", "x", "y", "alpha", float32(1)).bytes("y"), onnx.ErrFormat, `the attribute "alpha"`},
		{"attribute of a later opset", rowFile(2).opset(13).int("s", 2).node("Reshape", "x s", "y", "allowzero", 0).bytes("y"), onnx.ErrFormat, `"allowzero"`},
		{"attribute that says another kind", rowFile(2).node("LeakyRelu", "x", "y", "alpha", ofKind(2)).bytes("y"), onnx.ErrFormat, "attribute alpha is an integer, want float"},
		{"attribute that says a list", rowFile(2).node("Softmax", "x", "y", "axis", ofKind(7)).bytes("y"), onnx.ErrFormat, "attribute axis is a list of integers, want integer"},
		{"attribute of another kind", rowFile(2).node("Softmax", "x", "y", "axis", float32(1)).bytes("y"), onnx.ErrFormat, "attribute axis doesn't hold one value of the kind that it should: integer"},
		{"list for a number", rowFile(2).node("Softmax", "x", "y", "axis", []int{1}).bytes("y"), onnx.ErrFormat, "attribute axis"},
		{"no truth value", rowFile(2).node("ReduceSum", "x", "y", "keepdims", 2).bytes("y"), onnx.ErrFormat, "attribute keepdims 2, want 0 or 1"},
		{"attribute twice", rowFile(2).node("Softmax", "x", "y", "axis", 1, "axis", 1).bytes("y"), onnx.ErrFormat, `the attribute "axis" twice`},
		{"attribute missing", rowFile(2).node("Concat", "x x", "y").bytes("y"), onnx.ErrFormat, "attribute axis is missing"},
		{"inputs too many", rowFile(2).node("Relu", "x x", "y").bytes("y"), onnx.ErrFormat, "2 inputs, the most is 1"},
		{"inputs too few", rowFile(2).node("Add", "x", "y").bytes("y"), onnx.ErrFormat, "input 1 is missing"},
		{"outputs too many", rowFile(2).node("Relu", "x", "y z").bytes("y"), onnx.ErrFormat, "2 outputs, the most is 1"},
		{"value written twice", rowFile(2).node("Relu", "x", "y").node("Neg", "x", "y").bytes("y"), onnx.ErrFormat, `node "Neg_1": operator Neg: it writes "y"`},
		{"input written", rowFile(2).node("Relu", "x", "x").bytes("x"), onnx.ErrFormat, `it writes "x"`},
		{"weights written", rowFile(2).float("w", []float32{1}, 1).node("Relu", "x", "w").bytes("w"), onnx.ErrFormat, `it writes "w"`},
		{"weights twice", rowFile(2).float("w", []float32{1}, 1).float("w", []float32{2}, 1).node("Mul", "x w", "y").bytes("y"), onnx.ErrFormat, `two arrays have the name "w"`},
		{"input twice", rowFile(2).input("x", 1, 2).node("Relu", "x", "y").bytes("y"), onnx.ErrFormat, `two inputs have the name "x"`},
		{"slopes", rowFile(2, 2).float("w", []float32{1, 2, 3}, 3).node("PRelu", "x w", "y").bytes("y"), onnx.ErrFormat, "don't broadcast to (1, 2, 2)"},
		{"C of Gemm", rowFile(2).float("w", make([]float32, 4), 2, 2).float("c", make([]float32, 6), 3, 2).node("Gemm", "x w c", "y").bytes("y"), onnx.ErrFormat, "C has the shape (3, 2)"},
		{"limit of Clip", rowFile(2).float("lo", []float32{1}, 1, 1).node("Clip", "x lo", "y").bytes("y"), onnx.ErrUnsupported, "input 1 must be one constant number"},
		{"parts of Split", rowFile(6).int("n", 2, 4).node("Split", "x n", "a b y", "axis", 1).bytes("y"), onnx.ErrFormat, "2 parts [2 4] for 3 outputs"},
		{"unequal parts of Split", rowFile(5).node("Split", "x", "a y", "axis", 1).bytes("y"), onnx.ErrFormat, "an axis of 5 in 2 equal parts"},
		{"Expand beyond all limits", rowFile(1).int("s", 1<<33).node("Expand", "x s", "y").bytes("y"), onnx.ErrTooLarge, "target shape [8589934592], the most for an axis is 2147483647"},
		{"axis twice in Slice", rowFile(6).int("s", 0, 1).int("e", 3, 4).int("a", 1, -1).node("Slice", "x s e a", "y").bytes("y"), onnx.ErrFormat, "axis 1 twice"},
		{"shape that is a number", rowFile(6).scalar("s", 6).node("Reshape", "x s", "y").bytes("y"), onnx.ErrFormat, "input 1 has the shape (), want a list"},
		{"axes that are none", rowFile(6).node("Transpose", "x", "y", "perm", []int{0, 2}).bytes("y"), onnx.ErrFormat, "perm [0 2] for 2 dimensions"},
		{"two values of Constant", rowFile(2).node("Constant", "", "c", "value_int", 1, "value_float", float32(1)).node("Mul", "x c", "y").bytes("y"), onnx.ErrFormat, "2 values, want one"},
		{"padding wider than the window", rowFile(1, 3, 3).node("MaxPool", "x", "y", "kernel_shape", []int{2, 2}, "pads", []int{0, 0, 0, 2}).bytes("y"), onnx.ErrUnsupported, "doesn't reach over"},
		{"empty constant", rowFile(2).float("none", nil, 0).node("Mul", "x none", "y").bytes("y"), onnx.ErrUnsupported, `input 1, "none", is an array of shape (0), which holds no element`},
		{"sine of tokens", tokenFile(2).node("Sin", "x", "y").bytes("y"), onnx.ErrUnsupported, `node "Sin_0": operator Sin: not supported: input 0 is left out or holds integers, want floats`},
		{"tokens along another axis", tokenFile(2).float("w", []float32{1, 2}, 1, 2).node("Gather", "w x", "y", "axis", 1).bytes("y"), onnx.ErrUnsupported, "along axis 0"},
		{"two inputs", rowFile(2).input("lengths", 6, 0).node("Relu", "x", "y").bytes("y"), onnx.ErrInput, "onnx.Fix"},
		{"input of text", (&file{version: 17, dims: []int{2}, dtype: 8}).node("Relu", "x", "y").bytes("y"), onnx.ErrInput, "elements of string, want numbers"},
		{"indices of a pooling", rowFile(1, 2, 2).node("MaxPool", "x", "y i", "kernel_shape", []int{2, 2}).bytes("y"), onnx.ErrUnsupported, "Indices"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := onnx.Compile(c.file)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v with %q", err, c.is, c.says)
			}
		})
	}
}

// TestGuideListsOperators: docs/onnx.md names every operator, and none that there
// isn't.
func TestGuideListsOperators(t *testing.T) {
	guide, err := os.ReadFile("../../docs/onnx.md")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join(onnx.Operators(), ", ")
	if text := strings.Join(strings.Fields(string(guide)), " "); !strings.Contains(text, "The operators: "+want+".") {
		t.Errorf("the guide should list %s", want)
	}
}

// TestOptions reads a file with two inputs and two outputs: h = x + state and
// y = relu(h), all of shape (d0, d1).
func TestOptions(t *testing.T) {
	data := rowFile(0).input("state", 1, 0, 0).node("Add", "x state", "h").node("Relu", "h", "y").bytes("y", "h")
	dim0, dim1, state := onnx.Dim("d0", 2), onnx.Dim("d1", 2), onnx.Fix("state", 1, 2)
	for _, c := range []struct {
		name string
		opts []onnx.Option
		want []float32 // for 3, -4
		says string
	}{
		{"batch first", []onnx.Option{dim1, state}, []float32{4, 0}, ""},
		{"batch second", []onnx.Option{dim0, state, onnx.Batch(1)}, []float32{4, 0}, ""},
		{"one value for all", []onnx.Option{dim1, onnx.Fix("state", 10)}, []float32{13, 6}, ""},
		{"other output", []onnx.Option{dim1, state, onnx.Output("h")}, []float32{4, -2}, ""},
		{"no such output", []onnx.Option{dim1, state, onnx.Output("z")}, nil, `no output "z"`},
		{"no such input", []onnx.Option{dim1, state, onnx.Fix("stats", 1)}, nil, `no input "stats"`},
		{"not fixed", []onnx.Option{dim1}, nil, "onnx.Fix"},
		{"both fixed", []onnx.Option{dim1, state, onnx.Fix("x", 1)}, nil, `onnx.Fix or onnx.PerRow gives all inputs of the graph, ["x" "state"]; leave one, which is the row`},
		{"open", []onnx.Option{state}, nil, `dimension 1 ("d1") of input "x" is open`},
		{"wrong count", []onnx.Option{dim1, onnx.Fix("state", 1, 2, 3)}, nil, `input "state": input or output can't be used: 3 values for shape (1, 2)`},
		{"too large", []onnx.Option{onnx.Dim("d1", 1<<30), state}, nil, "MaxElements"},
		{"misspelt", []onnx.Option{onnx.Dim("heigth", 4), dim1, state}, nil, `onnx.Dim("heigth", 4): no input has an open dimension of this name; there are ["d0" "d1"]`},
		{"negative", []onnx.Option{onnx.Dim("d1", -4), state}, nil, `onnx.Dim("d1", -4): a size is at least 1`},
		{"no such axis", []onnx.Option{dim1, state, onnx.Batch(2)}, nil, "dimension 2 is the batch"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := onnx.Compile(data, c.opts...)
			if c.want == nil {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want one that says %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := m.OutputShape(); len(got) != 1 || got[0] != 2 {
				t.Errorf("a row's result has shape %v, want [2]", got)
			}
			y, err := m.NewWorker(1).Run([]float32{3, -4}, 1)
			if err != nil {
				t.Fatal(err)
			}
			near(t, y, c.want)
		})
	}
	ints := rowFile(2).input("n", 7, 1).node("Cast", "n", "f", "to", 1).node("Mul", "x f", "y").bytes("y")
	if _, err := onnx.Compile(ints, onnx.Fix("n", 1.5)); !errors.Is(err, onnx.ErrInput) || !strings.Contains(err.Error(), "1.5 is no integer") {
		t.Errorf("error %v", err)
	}
}

// TestDimByPlace: dimensions without a name, and those of one name, are told apart by where
// they are.
func TestDimByPlace(t *testing.T) {
	f := rowFile().node("Relu", "x", "y")
	input := func(dims ...string) []byte {
		g := msg(msg(msg(nil, 11, infoOf("x", dims...)), 12, msg(nil, 1, []byte("y"))), 1, f.nodes[0])
		return msg(msg(nil, 7, g), 8, varint(nil, 2, 17))
	}
	for _, c := range []struct {
		dims []string
		opts []onnx.Option
	}{
		{[]string{"N", "", ""}, []onnx.Option{onnx.Dim("x[1]", 2), onnx.Dim("x[2]", 3)}},
		{[]string{"N", "s", "s"}, []onnx.Option{onnx.Dim("x[1]", 2), onnx.Dim("x[2]", 3)}},
		{[]string{"N", "s", "s"}, []onnx.Option{onnx.Dim("s", 2), onnx.Dim("x[2]", 3)}},
		{[]string{"N", "N", "s"}, []onnx.Option{onnx.Dim("x[1]", 2), onnx.Dim("s", 3)}},
		// the batch stays open
		{[]string{"N", "N", "s"}, []onnx.Option{onnx.Dim("N", 2), onnx.Dim("s", 3)}},
		{[]string{"N", "s", "t"}, []onnx.Option{onnx.Dim("N", 7), onnx.Dim("s", 2), onnx.Dim("t", 3)}},
	} {
		m, err := onnx.Compile(input(c.dims...), c.opts...)
		if err != nil {
			t.Errorf("%q: %v", c.dims, err)
		} else if got := m.InputShape(); !slices.Equal(got, []int{2, 3}) {
			t.Errorf("%q: a row has the shape %v, want [2 3]", c.dims, got)
		} else if y, err := m.NewWorker(5).Run(make([]float32, 5*6), 5); err != nil || len(y) != 5*6 {
			t.Errorf("%q: 5 rows: %d numbers, %v", c.dims, len(y), err)
		}
	}
	_, err := onnx.Compile(input("N", "s", ""), onnx.Dim("s", 2), onnx.Dim("x[3]", 3))
	if !errors.Is(err, onnx.ErrInput) || !strings.Contains(err.Error(), `onnx.Dim("x[3]", 3): no input has an open dimension of this name; there are ["N" "s" "x[2]"]`) {
		t.Errorf("error %v", err)
	}
}

// TestNoSize: a dimension of 0 isn't open.
func TestNoSize(t *testing.T) {
	shape := msg(msg(nil, 1, msg(nil, 2, []byte("N"))), 1, varint(nil, 1, 0))
	input := msg(msg(nil, 1, []byte("x")), 2, msg(nil, 1, msg(varint(nil, 1, 1), 2, shape)))
	f := rowFile(1).node("Relu", "x", "y")
	g := msg(msg(msg(nil, 11, input), 12, msg(nil, 1, []byte("y"))), 1, f.nodes[0])
	_, err := onnx.Compile(msg(msg(nil, 7, g), 8, varint(nil, 2, 17)))
	if !errors.Is(err, onnx.ErrInput) || !strings.Contains(err.Error(), `dimension 1 of input "x" has the size 0`) {
		t.Errorf("error %v", err)
	}
}

// TestGathers: a node costs what its result is worth, whatever indices it shares
// with others.
func TestGathers(t *testing.T) {
	f := rowFile(4)
	index := make([]int, 1024)
	for i := range index {
		index[i] = i * i % 4
	}
	f.int("i", index...).node("Gather", "x i", "h0", "axis", 1)
	const nodes = 1500
	for i := range nodes {
		f.node("Gather", fmt.Sprintf("h%d i", i), fmt.Sprintf("h%d", i+1), "axis", 1)
	}
	data := f.bytes(fmt.Sprintf("h%d", nodes))
	r, err := onnx.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	trace, err := r.Trace()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(trace.Steps); n != nodes+1 {
		t.Errorf("%d operations for %d nodes", n, nodes+1)
	}
	m, err := onnx.Compile(data)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.ScratchBytes(1); n > 1<<20 {
		t.Errorf("%d bytes for a worker of one row", n)
	}
	y, err := m.NewWorker(2).Run([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2)
	if err != nil || len(y) != 2*len(index) || y[0] != 1 || y[1] != 2 || y[len(index)+1] != 6 {
		t.Errorf("results %v... of %d, error %v", y[:2], len(y), err)
	}
}

// TestBounds: what nodes take besides arrays is bounded too.
func TestBounds(t *testing.T) {
	steps := rowFile(2)
	for i := range 1 << 16 { // three operations each
		in := "x"
		if i > 0 {
			in = fmt.Sprintf("h%d", i-1)
		}
		steps.node("PRelu", in+" s", fmt.Sprintf("h%d", i))
	}
	_, err := onnx.Compile(steps.float("s", []float32{1}).bytes("h65535"))
	if !errors.Is(err, onnx.ErrTooLarge) || !strings.Contains(err.Error(), "more than 131072 operations") {
		t.Errorf("error %v", err)
	}
	integers := rowFile(2).int("n", 1<<16)
	for i := range 65 {
		integers.node("ConstantOfShape", "n", fmt.Sprintf("c%d", i), "value", int64(0))
	}
	_, err = onnx.Compile(integers.node("Relu", "x", "y").bytes("y"))
	if !errors.Is(err, onnx.ErrTooLarge) || !strings.Contains(err.Error(), "more than 4194304 integers that are known when the file is read") {
		t.Errorf("error %v", err)
	}
	var many []byte // attributes of a node
	for i := range 1 << 18 {
		many = msg(many, 5, msg(nil, 1, fmt.Append(nil, i)))
	}
	for name, graph := range map[string][]byte{
		"nodes": bytes.Repeat(msg(nil, 1, nil), 1<<18+1), "arrays": bytes.Repeat(msg(nil, 5, nil), 1<<18+1),
		"inputs": bytes.Repeat(msg(nil, 11, nil), 1<<18+1), "attributes": msg(nil, 1, many),
	} {
		if _, err := onnx.Read(msg(nil, 7, graph)); !errors.Is(err, onnx.ErrTooLarge) || !strings.Contains(err.Error(), "more than 262144 nodes, attributes, arrays, inputs and outputs") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenDimension(t *testing.T) {
	data := rowFile(0, 3).node("Relu", "x", "y").bytes("y")
	m, err := onnx.Compile(data, onnx.Dim("d1", 5))
	if err != nil {
		t.Fatal(err)
	}
	if m.InputLen() != 15 {
		t.Errorf("input of %v", m.InputShape())
	}
}

package onnx_test

import (
	"archive/zip"
	"io"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/hibana-engine/hibana/ml/onnx"
)

// FuzzCompile reads, compiles and runs arbitrary files: an error or a result, but
// no panic and no more memory than the limit allows.
func FuzzCompile(f *testing.F) {
	f.Add(fixture(f, "mlp_opset11.onnx"))
	f.Add(fixture(f, "cnn_bn_dropout_torch_opset13.onnx"))
	f.Add(rowFile(2, 3).node("Shape", "x", "s").int("i", 0).node("Gather", "s i", "n").int("rest", -1).
		node("Concat", "n rest", "to", "axis", 0).node("Reshape", "x to", "y").bytes("y"))
	f.Add(rowFile(6).int("s", -1).int("e", -7).int("a", 1).int("st", -2).node("Slice", "x s e a st", "y").bytes("y"))
	f.Add(rowFile(2, 3, 3).float("w", make([]float32, 16), 2, 2, 2, 2).node("Conv", "x w", "h", "auto_pad", "SAME_UPPER", "strides", []int{2, 2}).
		node("MaxPool", "h", "p", "kernel_shape", []int{2, 2}, "pads", []int{1, 1, 0, 0}).node("GlobalAveragePool", "p", "y").bytes("y"))
	f.Add(rowFile(2, 2).node("Softmax", "x", "h", "axis", 1).node("Split", "h", "a b", "axis", 1).node("MatMul", "a b", "y").bytes("y"))
	f.Add(rowFile(4).int("p", 0, 1, 0, 2).node("Pad", "x p", "h").int("q", 3, 1, 7).node("Expand", "h q", "k").node("ReduceMax", "k", "y").bytes("y"))
	f.Add(fixture(f, "nstep_gru_opset14.onnx"))
	f.Add(tokenFile(2, 2).node("Transpose", "x", "t", "perm", []int{0, 2, 1}).float("w", []float32{1, 2, 3}, 3, 1).node("Gather", "w t", "y").bytes("y"))
	for _, c := range recurrentCases {
		_, w := c.random(rand.New(rand.NewPCG(1, 1)))
		f.Add(c.file(w).bytes("y"))
	}
	for _, name := range []string{"nodes.zip", "newer.zip", "runtime.zip"} {
		for _, model := range nodeTests(f, name) {
			f.Add(model)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var more []string // inputs beside the first
		if file, err := onnx.Read(data); err == nil {
			for i, p := range file.Inputs() {
				if i > 0 {
					more = append(more, p.Name)
				}
			}
		}
		for _, opts := range [][]onnx.Option{
			{},
			{onnx.Whole()},
			{onnx.Whole(), onnx.PerRow(more...)},
			{onnx.Batch(1), onnx.Dim("T", 3), onnx.Fix("lengths", 3)},
		} {
			m, err := onnx.Compile(data, append(opts, onnx.MaxElements(1<<16))...)
			if err != nil {
				continue
			}
			w := m.NewWorker(2)
			y, err := w.Run(make([]float32, 2*m.InputLen()), 2)
			if err == nil && len(y) != 2*m.OutputLen() {
				t.Fatalf("%d results, want %d", len(y), 2*m.OutputLen())
			}
		}
	})
}

// nodeTests are the small networks of a file of tests.
func nodeTests(t testing.TB, name string) (models [][]byte) {
	z, err := zip.OpenReader("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, file := range z.File {
		if path.Base(file.Name) != "model.onnx" {
			continue
		}
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, b)
	}
	return models
}

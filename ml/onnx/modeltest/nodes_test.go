package main

import (
	"archive/zip"
	"fmt"
	"io"
	"path"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/ml/onnx"
)

// untested are the operators of which ONNX's tests have none that is small and of an
// opset that is read; TestMoreOperators of package onnx has them.
var untested = []string{"Mish", "Not"}

// TestNodes holds each operator against tests of ONNX itself, which
// testdata/nodes.py and testdata/newer.py chose, and networks against ONNX Runtime's
// results, which testdata/runtime.py wrote.
func TestNodes(t *testing.T) {
	tested := map[string]bool{}
	for _, name := range []string{"nodes.zip", "newer.zip", "runtime.zip"} {
		testNodes(t, "../testdata/"+name, tested)
	}
	for _, o := range onnx.Operators() {
		if !tested[o] && !slices.Contains(untested, o) {
			t.Errorf("no test has the operator %s", o)
		}
	}
}

// testNodes runs the tests of a zip file and notes their operators.
func testNodes(t *testing.T, file string, tested map[string]bool) {
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	read := func(name string) ([]byte, bool) {
		f, err := z.Open(name)
		if err != nil {
			return nil, false
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return b, true
	}
	arrays := func(test, kind string) (all []onnx.Array) {
		for i := 0; ; i++ {
			b, ok := read(fmt.Sprintf("%s/test_data_set_0/%s_%d.pb", test, kind, i))
			if !ok {
				return all
			}
			a, err := onnx.ReadArray(b)
			if err != nil {
				t.Fatal(test, err)
			}
			all = append(all, a)
		}
	}
	for _, file := range z.File {
		if path.Base(file.Name) != "model.onnx" {
			continue
		}
		name := path.Dir(file.Name)
		model, _ := read(file.Name)
		f, err := onnx.Read(model)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, o := range f.Operators() {
			tested[o] = true
		}
		inputs := arrays(name, "input")
		for i, want := range arrays(name, "output") {
			if v, why := holds(f, inputs, i, want); v > folded {
				t.Errorf("%s, output %d: %s", name, i, why)
			}
		}
	}
}

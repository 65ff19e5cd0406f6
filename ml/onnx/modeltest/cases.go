package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/onnx"
)

// testCase is a file with the inputs and outputs of one run.
type testCase struct {
	group, name string
	model       string // file
	data        string // folder of input_N.pb and output_N.pb
}

// runCases runs ONNX's tests below a folder.
func runCases(dir string, only *regexp.Regexp, r *report) error {
	root := filepath.Join(dir, "onnx", "backend", "test", "data")
	sets, err := filepath.Glob(filepath.Join(root, "*", "*", "test_data_set_*"))
	if err != nil {
		return err
	}
	if len(sets) == 0 {
		return fmt.Errorf("%s holds no tests", root)
	}
	for _, set := range sets {
		test := filepath.Dir(set)
		c := testCase{filepath.Base(filepath.Dir(test)), filepath.Base(test), filepath.Join(test, "model.onnx"), set}
		if only.MatchString(c.name) {
			c.run(r)
		}
	}
	return runLight(filepath.Join(root, "light"), only, r)
}

// numbered lists files of a name with a number, in the order of the numbers.
func (c testCase) numbered(name string) []string {
	var files []string
	for i := 0; ; i++ {
		f := filepath.Join(c.data, fmt.Sprintf("%s_%d.pb", name, i))
		if _, err := os.Stat(f); err != nil {
			return files
		}
		files = append(files, f)
	}
}

// errOther says that test data is of another type than arrays.
var errOther = errors.New("sequences, maps, optional and text values")

// run runs one test and reports each of its outputs.
func (c testCase) run(r *report) {
	outputs := c.numbered("output")
	fail := func(err error) {
		for range max(1, len(outputs)) {
			r.add(c.group, c.name, refused, err.Error())
		}
	}
	data, err := os.ReadFile(c.model)
	if err != nil {
		fail(err)
		return
	}
	f, err := onnx.Read(data)
	if err != nil {
		fail(err)
		return
	}
	inputs, err := readArrays(c.numbered("input"))
	if err != nil {
		fail(err)
		return
	}
	for i, file := range outputs {
		want, err := readArrays([]string{file})
		if err != nil {
			r.add(c.group, c.name, refused, err.Error())
			continue
		}
		v, why := holds(f, inputs, i, want[0])
		r.add(c.group, c.name, v, why)
	}
}

func readArrays(files []string) ([]onnx.Array, error) {
	var all []onnx.Array
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		a, err := onnx.ReadArray(b)
		switch {
		case errors.Is(err, onnx.ErrFormat):
			return nil, errOther
		case err != nil:
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// light are whole networks with made-up weights, of which ONNX ships the result
// for an input of ramps only as a file without its input.
func runLight(dir string, only *regexp.Regexp, r *report) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	slices.Sort(files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".onnx")
		if !only.MatchString(name) {
			continue
		}
		want, err := readArrays([]string{filepath.Join(dir, name+"_output_0.pb")})
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		f, err := onnx.Read(data)
		if err != nil {
			r.add("light", name, refused, err.Error())
			continue
		}
		v, why := holds(f, ramps(f), 0, want[0])
		r.add("light", name, v, why)
	}
	return err
}

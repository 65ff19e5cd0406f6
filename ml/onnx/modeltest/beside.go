package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/onnx"
)

// besideTime bounds one run of ONNX Runtime.
const besideTime = 2 * time.Minute

//go:embed beside.py
var besideScript string

// runtime tells whether this Python has ONNX Runtime.
func runtime(python string) error {
	ctx, cancel := context.WithTimeout(context.Background(), besideTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, python, "-c", "import onnxruntime, numpy").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, lastLine(string(out)))
	}
	return nil
}

// feed is an input of a network.
type feed struct {
	Name   string    `json:"name"`
	Shape  []int     `json:"shape"`
	Values []float32 `json:"values"`
}

// feeds makes up an input: random numbers, or bytes where integers are wanted. The
// first inputs are the parts of the model's row.
func (n network) feeds(f *onnx.File) (row []float32, all []feed) {
	random := rand.New(rand.NewPCG(1, 1))
	ports := f.Inputs()
	slices.SortStableFunc(ports, func(a, b onnx.Port) int { return n.order(a) - n.order(b) })
	for _, p := range ports {
		in := feed{Name: p.Name, Shape: []int{}}
		size := 1
		for i, d := range p.Dims {
			if d == 0 {
				d = max(1, n.dims[fmt.Sprintf("%s[%d]", p.Name, i)])
			}
			in.Shape = append(in.Shape, d)
			size *= d
		}
		value, fixed := n.fixed[p.Name]
		for range size {
			v := float32(value)
			switch {
			case fixed:
			case strings.HasPrefix(p.Type, "int"):
				v = float32(random.IntN(256))
			default:
				v = float32(random.NormFloat64() / 2)
			}
			in.Values = append(in.Values, v)
		}
		if !fixed {
			row = append(row, in.Values...)
		}
		all = append(all, in)
	}
	return row, all
}

// order is where an input lies in the row: the one without an option, those that are
// named, and then those that are no part of it.
func (n network) order(p onnx.Port) int {
	if _, fixed := n.fixed[p.Name]; fixed {
		return len(n.perRow) + 1
	}
	return slices.Index(n.perRow, p.Name) + 1
}

// beside holds a network's result against ONNX Runtime's and says how far they are
// apart, in parts of the largest number or of 0.01: float32 has 7 digits of the numbers
// that a network's last function makes small.
func (n network) beside(python, file string, f *onnx.File, m *compile.Model) (float64, error) {
	row, inputs := n.feeds(f)
	got, err := m.NewWorker(1).Run(row, 1)
	if err != nil {
		return 0, err
	}
	task, err := json.Marshal(map[string]any{"model": file, "inputs": inputs, "outputs": n.outputs})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), besideTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", besideScript)
	var text bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(task), &text
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("ONNX Runtime: %w: %s", err, lastLine(text.String()))
	}
	var results [][]float64
	if err := json.Unmarshal(out, &results); err != nil {
		return 0, fmt.Errorf("ONNX Runtime: %w", err)
	}
	want := slices.Concat(results...)
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d numbers, ONNX Runtime has %d", len(got), len(want))
	}
	apart, largest := 0.0, 0.0
	for i, w := range want {
		apart, largest = max(apart, math.Abs(float64(got[i])-w)), max(largest, math.Abs(w))
	}
	return apart / max(largest, 0.01), nil
}

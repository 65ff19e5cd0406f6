package ml_test

import (
	"fmt"
	"os"
	"slices"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml"
)

// scores runs a network over rows of numbers.
func scores(rows *engine.DStream[[]float32], network []byte) *engine.DStream[[]float32] {
	model := ml.ONNX(rows.Context(), "scores", network)
	return ml.Predict(rows, model,
		func(v, row []float32) error { // row is the input without the batch's axis, flat: (3, 4) is 12 numbers
			if len(v) != len(row) {
				return fmt.Errorf("a row has %d numbers, the network takes %d", len(v), len(row))
			}
			copy(row, v)
			return nil
		},
		func(_ []float32, out ml.Row) ([]float32, error) {
			return slices.Clone(out.Outputs()[0]), nil // the memory is used again for the next row
		})
}

// A network over rows of 30 numbers that has 5 scores for each.
func ExamplePredict() {
	network, err := os.ReadFile("onnx/testdata/mlp_torch.onnx") // a program carries it, with go:embed
	if err != nil {
		fmt.Println(err)
		return
	}
	rising, falling := make([]float32, 30), make([]float32, 30)
	for i := range rising {
		rising[i], falling[29-i] = float32(i)/30, float32(i)/30
	}
	printed(func(ssc *engine.StreamingContext) *engine.DStream[string] {
		rows := engine.QueueStream(ssc, [][][]float32{{rising, falling}}, 1)
		return engine.Map(scores(rows, network), func(s []float32) string { return fmt.Sprintf("%.3f", s) })
	})
	// Output:
	// [0.368 0.866 0.867 -0.252 0.155]
	// [0.495 1.006 0.638 -0.194 -0.038]
}

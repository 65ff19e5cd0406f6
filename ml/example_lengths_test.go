package ml_test

import (
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

// mood is the mean of what the words of a sentence are worth. A row holds the words' ids,
// and a mask that says which places are words.
type mood struct {
	links.Chain
	words *links.EmbedIDLink
}

func newMood() ml.Network {
	m := &mood{}
	m.words = links.Add(m, "words", links.EmbedID(4, 1, links.InitW(nn.Values([]float32{0, 1, -1, 0.5}))))
	return m
}

func (m *mood) Forward(x *nn.Variable) *nn.Variable {
	parts := functions.SplitAxis(x, 2, 1)                    // ids and mask, (N, 1, length) each
	worth := functions.Squeeze(m.words.Forward(parts[0]), 3) // (N, 1, length)
	sum := functions.Sum(functions.Mul(worth, parts[1]), 2)  // of the words alone
	return functions.Div(sum, functions.Sum(parts[1], 2))    // (N, 1)
}

// Sentences of different lengths run at the least of the model's lengths that they fit.
func ExamplePredictLengths() {
	ids := map[string]float32{"good": 1, "bad": 2, "very": 3}
	shown(newMood(), func(ssc *engine.StreamingContext, weights []byte) *engine.DStream[string] {
		sentences := engine.QueueStream(ssc, [][]string{{"good", "very bad", "good bad good"}}, 1)
		model := ml.ModelLengths(ssc, "mood", newMood, weights, []int{2, 4}, func(length int) []int { return []int{2, length} })
		return ml.PredictLengths(sentences, model,
			func(s string) int { return len(strings.Fields(s)) },
			func(s string, length int, row []float32) error { // ids, then the mask; the rest is 0
				for i, word := range strings.Fields(s) {
					row[i], row[length+i] = ids[word], 1
				}
				return nil
			},
			func(s string, out ml.Row) (string, error) {
				return fmt.Sprintf("%s: %.2f, at length %d", s, out.Output[0], out.Length), nil
			})
	})
	// Output:
	// good: 1.00, at length 2
	// very bad: -0.25, at length 2
	// good bad good: 0.33, at length 4
}

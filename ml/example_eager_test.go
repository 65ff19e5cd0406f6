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

// meaning gives a phrase a number: each word multiplies what the words behind it say.
type meaning struct {
	links.Chain
	words *links.EmbedIDLink
}

func newMeaning() *meaning {
	m := &meaning{}
	m.words = links.Add(m, "words", links.EmbedID(3, 1, links.InitW(nn.Values([]float32{1, 2, -1}))))
	return m
}

// of builds the network for a phrase: one layer for each word.
func (m *meaning) of(tape *nn.Tape, words []int32) *nn.Variable {
	first := m.words.Forward(nn.From(tape, words[:1], 1))
	if len(words) == 1 {
		return first
	}
	return functions.Mul(first, m.of(tape, words[1:]))
}

// A network that is another one for each element isn't compiled, but run as the program
// calls it.
func ExamplePredictEager() {
	ids := map[string]int32{"good": 0, "very": 1, "not": 2}
	shown(newMeaning(), func(ssc *engine.StreamingContext, weights []byte) *engine.DStream[string] {
		phrases := engine.QueueStream(ssc, [][]string{{"good", "not good", "not very very good"}}, 1)
		model := ml.Eager(ssc, "meaning", newMeaning, weights)
		return ml.PredictEager(phrases, model, func(tape *nn.Tape, net *meaning, phrase string) (string, error) {
			var words []int32
			for _, w := range strings.Fields(phrase) {
				words = append(words, ids[w])
			}
			y := net.of(tape, words)
			return fmt.Sprintf("%s: %v", phrase, y.Float()), y.Err()
		})
	})
	// Output:
	// good: 1
	// not good: -1
	// not very very good: -4
}

package main

import (
	"math"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

// window is a stretch of text, read in several places at once: step t holds a
// word of each place.
type window struct {
	words [][]int32 // one step longer than is predicted from
	first bool      // the text begins here
}

// windows cuts text into windows of steps words for batch places that lie far
// apart in it. The windows of a pass follow each other.
func windows(ids []int32, batch, steps int) datasets.Dataset[window] {
	stretch := len(ids) / batch
	n := (stretch - 1) / steps
	return datasets.Func(n, func(i int) (window, error) {
		w := window{first: i == 0, words: make([][]int32, steps+1)}
		for t := range w.words {
			w.words[t] = make([]int32, batch)
			for b := range batch {
				w.words[t][b] = ids[b*stretch+i*steps+t]
			}
		}
		return w, nil
	})
}

// languageModel predicts the next word with two layers of LSTM.
type languageModel struct {
	links.Chain
	embed   *links.EmbedIDLink
	l1, l2  *links.LSTMLink
	out     *links.LinearLink
	dropout float32
}

func newLanguageModel(words, units int, dropout float64) *languageModel {
	m := &languageModel{dropout: float32(dropout)}
	m.embed = links.Add(m, "embed", links.EmbedID(words, units, links.InitW(nn.Uniform(0.1))))
	m.l1 = links.Add(m, "l1", links.LSTM(units))
	m.l2 = links.Add(m, "l2", links.LSTM(units))
	m.out = links.Add(m, "l3", links.Linear(words))
	return m
}

// Forward reads a word of each place and gives scores for the next.
func (m *languageModel) Forward(words *nn.Variable) *nn.Variable {
	h := m.l1.Forward(m.drop(m.embed.Forward(words)))
	return m.out.Forward(m.drop(m.l2.Forward(m.drop(h))))
}

func (m *languageModel) drop(x *nn.Variable) *nn.Variable {
	if m.dropout == 0 {
		return x
	}
	return functions.Dropout(x, m.dropout)
}

func (m *languageModel) resetState() {
	m.l1.ResetState()
	m.l2.ResetState()
}

// Loss is the mean loss of a word. The state goes on from the window before, but
// gradients don't: backpropagation through time is truncated there.
func (m *languageModel) Loss(tape *nn.Tape, batch []window, report *links.Report) *nn.Variable {
	var sum *nn.Variable
	steps := 0
	for _, w := range batch {
		if w.first {
			m.resetState()
		}
		for t, words := range w.words[:len(w.words)-1] {
			next := nn.From(tape, w.words[t+1], len(words))
			e := functions.SoftmaxCrossEntropy(m.Forward(nn.From(tape, words, len(words))), next)
			if sum != nil {
				e = functions.Add(sum, e)
			}
			sum = e
			steps++
		}
	}
	loss := functions.MulScalar(sum, 1/float32(steps))
	report.Add("loss", loss)
	report.AddValue("perplexity", math.Exp(float64(loss.Float())))
	return loss
}

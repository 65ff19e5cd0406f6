package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/internal/language"
	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

// pair is a word and one that stands near it.
type pair struct{ word, near int32 }

// pairs lists each word with those up to window places before and behind it.
func pairs(ids []int32, window int) datasets.Dataset[pair] {
	inner := len(ids) - 2*window
	return datasets.Func(inner*2*window, func(i int) (pair, error) {
		at, k := window+i/(2*window), i%(2*window)
		if k < window {
			return pair{ids[at], ids[at-window+k]}, nil
		}
		return pair{ids[at], ids[at+1+k-window]}, nil
	})
}

// count tells how often each word occurs.
func count(ids []int32) []int {
	counts := make([]int, len(language.Vocabulary()))
	for _, id := range ids {
		counts[id]++
	}
	return counts
}

// wordLoss is a link that tells words from vectors.
type wordLoss interface {
	links.Link
	Loss(x, t *nn.Variable) *nn.Variable
}

// skipGram tells from a word's vector which words stand near it.
type skipGram struct {
	links.Chain
	embed *links.EmbedIDLink
	out   wordLoss
}

// newSkipGram makes a model with one of the losses.
func newSkipGram(out string, counts []int, units int) (*skipGram, error) {
	m := &skipGram{}
	m.embed = links.Add(m, "embed", links.EmbedID(len(counts), units, links.InitW(nn.Uniform(1/float64(units)))))
	switch out {
	case "ns":
		m.out = links.Add(m, "loss_func", links.NegativeSampling(units, counts, 5))
	case "hsm":
		m.out = links.Add(m, "loss_func", links.BinaryHierarchicalSoftmax(units, functions.HuffmanTree(counts)))
	default:
		return nil, fmt.Errorf("%w: --out is ns or hsm, not %q", cli.ErrUsage, out)
	}
	return m, nil
}

// Loss is the mean loss of a pair.
func (m *skipGram) Loss(tape *nn.Tape, batch []pair, report *links.Report) *nn.Variable {
	words, near := make([]int32, len(batch)), make([]int32, len(batch))
	for i, p := range batch {
		words[i], near[i] = p.word, p.near
	}
	x := m.embed.Forward(nn.From(tape, words, len(words)))
	loss := functions.MulScalar(m.out.Loss(x, nn.From(tape, near, len(near))), 1/float32(len(batch)))
	report.Add("loss", loss)
	return loss
}

// vectors gives the words' vectors, of length 1.
func (m *skipGram) vectors() (*nn.Variable, error) {
	v := functions.Normalize(&m.embed.W.Variable, 1e-9)
	return v, v.Err()
}

// nearest lists all other words, those first whose vectors have the direction of
// the given word's most.
func nearest(vectors *nn.Variable, id int) []int {
	row := functions.GetItem(vectors, functions.Span(id, id+1))
	cosines := functions.MatMulTrans(row, vectors, false, true).Floats()
	order := make([]int, 0, len(cosines))
	for i := range cosines {
		if i != id {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(cosines[b], cosines[a]), a-b) })
	return order
}

package links

import (
	"math"
	"sort"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
)

// NegativeSamplingLink is made by NegativeSampling.
type NegativeSamplingLink struct {
	Chain
	W       *nn.Parameter
	samples int
	upTo    []float64 // the probability of a word or one before it
}

// NegativeSampling is the loss of word vectors of size in against noise, see
// functions.NegativeSampling: for each row it draws a number of words by their
// counts to the power 0.75. counts are how often each word occurs, by its id; W is
// (words, in) and starts with zeros.
//
// Options: InitW.
func NegativeSampling(in int, counts []int, samples int, opts ...Option) *NegativeSamplingLink {
	o := newOptions("NegativeSampling", append([]Option{InitW(nn.Constant(0))}, opts...), "InitW")
	o.atLeast(1, "size of the vectors", in)
	o.atLeast(1, "samples", samples)
	o.atLeast(0, "count", counts...)
	l := &NegativeSamplingLink{samples: samples, upTo: make([]float64, len(counts))}
	total := 0.0
	for i, n := range counts {
		total += math.Pow(float64(max(n, 0)), 0.75)
		l.upTo[i] = total
	}
	if total == 0 {
		o.fail("counts of %d words add up to 0", len(counts))
	}
	l.bad = o.err
	l.W = AddParameter(l, "W", o.weight, max(len(counts), 1), max(in, 1))
	return l
}

// Loss takes x (batch, in) and the words t, int32 (batch), and gives the loss
// summed over the batch; words -1 are left out. The samples come from x's tape.
func (l *NegativeSamplingLink) Loss(x, t *nn.Variable) *nn.Variable {
	if l.bad != nil {
		return l.failed(x, "NegativeSampling", l.bad)
	}
	r := x.Tape().Rand()
	if r == nil {
		return l.failed(x, "NegativeSampling", nn.ErrNoTape)
	}
	n := max(x.Dim(0), 1)
	samples := make([]int32, n*l.samples)
	total := l.upTo[len(l.upTo)-1]
	for i := range samples {
		at := r.Float64() * total
		samples[i] = int32(sort.Search(len(l.upTo)-1, func(k int) bool { return l.upTo[k] > at }))
	}
	return functions.NegativeSampling(x, &l.W.Variable, t, nn.From(x.Tape(), samples, n, l.samples))
}

// BinaryHierarchicalSoftmaxLink is made by BinaryHierarchicalSoftmax.
type BinaryHierarchicalSoftmaxLink struct {
	Chain
	W    *nn.Parameter
	tree *functions.BinaryTree
}

// BinaryHierarchicalSoftmax is the loss of words that are told by decisions in a
// tree, such as functions.HuffmanTree makes, from vectors of size in; see
// functions.BinaryHierarchicalSoftmax. W is (inner nodes, in) and starts uniformly
// from -1 to 1.
//
// Options: InitW.
func BinaryHierarchicalSoftmax(in int, tree *functions.BinaryTree, opts ...Option) *BinaryHierarchicalSoftmaxLink {
	o := newOptions("BinaryHierarchicalSoftmax", append([]Option{InitW(nn.Uniform(1))}, opts...), "InitW")
	o.atLeast(1, "size of the vectors", in)
	nodes := 0
	if tree != nil {
		nodes = tree.Nodes()
	}
	o.atLeast(1, "inner nodes of the tree", nodes)
	l := &BinaryHierarchicalSoftmaxLink{tree: tree}
	l.bad = o.err
	l.W = AddParameter(l, "W", o.weight, max(nodes, 1), max(in, 1))
	return l
}

// Loss takes x (batch, in) and the words t, int32 (batch), and gives the loss
// summed over the batch.
func (l *BinaryHierarchicalSoftmaxLink) Loss(x, t *nn.Variable) *nn.Variable {
	if l.bad != nil {
		return l.failed(x, "BinaryHierarchicalSoftmax", l.bad)
	}
	return functions.BinaryHierarchicalSoftmax(x, &l.W.Variable, t, l.tree)
}

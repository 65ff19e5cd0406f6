package functions

import (
	"container/heap"

	"github.com/hibana-engine/hibana/ml/nn"
)

// NegativeSampling is the loss of word vectors that tells a word from noise
// (Mikolov et al., arXiv:1310.4546), summed over the rows: with w_k row k of w,
//
//	sum over i of  -log s(x_i w_t)  - sum over j of  log s(-x_i w_ij),  s the sigmoid
//
// where t is row i's word and ij are its samples of noise. x is (N, D), w
// (vocabulary, D), t int32 (N), samples int32 (N, K). A row whose t is -1 is left
// out. links.NegativeSampling draws the samples.
func NegativeSampling(x, w, t, samples *nn.Variable) *nn.Variable {
	const name = "NegativeSampling"
	sx, ss := x.Shape(), samples.Shape()
	words, noise := nn.Ints(t.Data()), nn.Ints(samples.Data())
	if len(sx) != 2 || len(t.Shape()) != 1 || len(ss) != 2 || sx[0] != len(words) || ss[0] != sx[0] || noise == nil {
		return invalid(name, nn.ShapeErrorf("want x (N, D), w (vocabulary, D), int32 t (N) and int32 samples (N, K)"), x, w, t, samples)
	}
	n, k := sx[0], ss[1]+1
	ids, signs, counts := make([]int32, 0, n*k), make([]float32, n*k), make([]float32, n*k)
	for i, word := range words {
		for j := range k {
			signs[i*k+j] = 1
			if word != -1 {
				counts[i*k+j] = 1
			}
		}
		signs[i*k] = -1
		ids = append(append(ids, max(word, 0)), noise[i*(k-1):(i+1)*(k-1)]...)
		if word < -1 {
			return invalid(name, nn.ValueErrorf("word %d at element %d", word, i), x, w, t, samples)
		}
	}
	tape := x.Tape()
	rows := EmbedID(nn.From(tape, ids, n, k), w)
	scores := Sum(Mul(Reshape(x, n, 1, sx[1]), rows), 2)
	return Sum(Mul(Softplus(Mul(scores, nn.From(tape, signs, n, k))), nn.From(tape, counts, n, k)))
}

// BinaryTree is a binary tree whose leaves are words: a word is told by the
// decisions on the way from the root to it. It doesn't change.
type BinaryTree struct {
	nodes int
	paths [][]int32   // by word: the inner nodes on the way, from the root
	codes [][]float32 // by word: 1 where the way goes left, -1 where it goes right
}

// HuffmanTree makes the tree in which frequent words have short ways. counts are
// how often each word occurs, by its id.
func HuffmanTree(counts []int) *BinaryTree {
	q := make(trees, len(counts))
	for id, n := range counts {
		q[id] = &tree{count: n, first: id, word: id}
	}
	heap.Init(&q)
	for q.Len() > 1 {
		left, right := heap.Pop(&q).(*tree), heap.Pop(&q).(*tree)
		heap.Push(&q, &tree{left.count + right.count, min(left.first, right.first), -1, left, right})
	}
	b := &BinaryTree{paths: make([][]int32, len(counts)), codes: make([][]float32, len(counts))}
	if len(q) > 0 {
		b.walk(q[0], nil, nil)
	}
	return b
}

// walk numbers the inner nodes below t, in the order in which they are met.
func (b *BinaryTree) walk(t *tree, path []int32, code []float32) {
	if t.word >= 0 {
		b.paths[t.word], b.codes[t.word] = path, code
		return
	}
	path = append(path[:len(path):len(path)], int32(b.nodes))
	b.nodes++
	code = code[:len(code):len(code)]
	b.walk(t.left, path, append(code, 1))
	b.walk(t.right, path, append(code, -1))
}

// Words is the number of leaves.
func (b *BinaryTree) Words() int { return len(b.paths) }

// Nodes is the number of inner nodes.
func (b *BinaryTree) Nodes() int { return b.nodes }

// tree is a node of a Huffman tree under construction.
type tree struct {
	count       int
	first       int // the smallest word below, which settles ties
	word        int // -1 for an inner node
	left, right *tree
}

// trees is a heap of them, the rarest first.
type trees []*tree

func (q trees) Len() int { return len(q) }
func (q trees) Less(i, j int) bool {
	return q[i].count < q[j].count || q[i].count == q[j].count && q[i].first < q[j].first
}
func (q trees) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *trees) Push(t any)   { *q = append(*q, t.(*tree)) }
func (q *trees) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// BinaryHierarchicalSoftmax is the loss of words that are told by decisions in a
// tree (Morin and Bengio 2005), summed over the rows: of each inner node n on the
// way to row i's word, log(1 + exp(-c x_i w_n)), c being 1 where the way goes left
// and -1 where it goes right. x is (N, D), w (tree.Nodes(), D), t int32 (N).
func BinaryHierarchicalSoftmax(x, w, t *nn.Variable, tree *BinaryTree) *nn.Variable {
	const name = "BinaryHierarchicalSoftmax"
	words := nn.Ints(t.Data())
	if len(x.Shape()) != 2 || len(t.Shape()) != 1 || x.Dim(0) != len(words) || len(w.Shape()) != 2 || tree == nil || w.Dim(0) != tree.nodes {
		return invalid(name, nn.ShapeErrorf("want x (N, D), w (inner nodes of the tree, D) and int32 t (N)"), x, w, t)
	}
	var rows, nodes []int32
	var codes []float32
	for i, word := range words {
		if word < 0 || int(word) >= tree.Words() {
			return invalid(name, nn.ValueErrorf("word %d at element %d, want 0..%d", word, i, tree.Words()-1), x, w, t)
		}
		for k, node := range tree.paths[word] {
			rows, nodes, codes = append(rows, int32(i)), append(nodes, node), append(codes, -tree.codes[word][k])
		}
	}
	tape, n := x.Tape(), len(rows)
	scores := Sum(Mul(EmbedID(nn.From(tape, rows, n), x), EmbedID(nn.From(tape, nodes, n), w)), 1)
	return Sum(Softplus(Mul(scores, nn.From(tape, codes, n))))
}

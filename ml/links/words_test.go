package links_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
)

// TestNegativeSamplingDraws: the noise follows the counts to the power 0.75, and a
// word that never occurs is never drawn.
func TestNegativeSamplingDraws(t *testing.T) {
	const rows, samples = 50, 40
	l := links.NegativeSampling(1, []int{0, 16, 1, 0}, samples)
	copy(l.W.Floats(), []float32{1e6, 1, 0, 1e6}) // a drawn word's score
	tape := nn.NewTape(nn.Train, nn.Seed(3))
	ones, words := make([]float32, rows), make([]int32, rows)
	for i := range ones {
		ones[i], words[i] = 1, 2
	}
	loss := l.Loss(nn.From(tape, ones, rows, 1), nn.From(tape, words, rows))
	if loss.Err() != nil {
		t.Fatal(loss.Err())
	}
	// Each sample costs log(1+e) or log 2; eight of nine should be word 1.
	extra := float64(loss.Float()) - rows*math.Log(2)*(1+samples)
	share := extra / (rows * samples) / (math.Log1p(math.E) - math.Log(2))
	if math.Abs(share-8.0/9) > 0.03 {
		t.Errorf("word 1 is %.3f of the noise, want %.3f", share, 8.0/9)
	}
}

// TestWordLinksLearn: both losses bring vectors to tell the words that they are
// trained on.
func TestWordLinksLearn(t *testing.T) {
	counts := []int{3, 3, 3, 3}
	type loss interface {
		links.Link
		Loss(x, t *nn.Variable) *nn.Variable
	}
	for name, l := range map[string]loss{
		"sampling":     links.NegativeSampling(6, counts, 3),
		"hierarchical": links.BinaryHierarchicalSoftmax(6, functions.HuffmanTree(counts)),
	} {
		net := &links.Chain{}
		embed := links.Add(net, "embed", links.EmbedID(4, 6))
		links.Add(net, "loss", l)
		ids := []int32{0, 1, 2, 3}
		first, last := 0.0, 0.0
		for step := range 200 {
			tape := nn.NewTape(nn.Train, nn.Seed(uint64(step)))
			links.ClearGrads(net)
			y := l.Loss(embed.Forward(nn.From(tape, ids, 4)), nn.From(tape, ids, 4))
			if err := y.Backward(); err != nil {
				t.Fatal(name, err)
			}
			for _, p := range links.Params(net) {
				for i, g := range p.GradFloats() {
					p.Floats()[i] -= 0.1 * g
				}
			}
			if last = float64(y.Float()); step == 0 {
				first = last
			}
		}
		if last > first/2 {
			t.Errorf("%s: the loss went from %.2f to %.2f", name, first, last)
		}
	}
}

func TestWordLinkArguments(t *testing.T) {
	x, words := nn.From(nn.NewTape(nn.Train), wave(4), 2, 2), nn.From(nil, []int32{0, 1}, 2)
	for name, c := range map[string]struct {
		y    *nn.Variable
		want error
		says string
	}{
		"no words":        {links.NegativeSampling(2, nil, 3).Loss(x, words), nn.ErrValue, "add up to 0"},
		"no samples":      {links.NegativeSampling(2, []int{1, 1}, 0).Loss(x, words), nn.ErrValue, "samples 0"},
		"negative count":  {links.NegativeSampling(2, []int{1, -1}, 2).Loss(x, words), nn.ErrValue, "count -1"},
		"no random":       {links.NegativeSampling(2, []int{1, 1}, 2).Loss(nn.From(nil, wave(4), 2, 2), words), nn.ErrNoTape, "NegativeSampling"},
		"another width":   {links.NegativeSampling(3, []int{1, 1}, 2).Loss(x, words), nn.ErrShape, "(2, 1, 2)"},
		"no tree":         {links.BinaryHierarchicalSoftmax(2, nil).Loss(x, words), nn.ErrValue, "tree 0"},
		"option":          {links.BinaryHierarchicalSoftmax(2, functions.HuffmanTree([]int{1, 2}), links.NoBias()).Loss(x, words), nn.ErrValue, "NoBias"},
		"word not in it":  {links.BinaryHierarchicalSoftmax(2, functions.HuffmanTree([]int{1, 2})).Loss(x, nn.From(nil, []int32{0, 9}, 2)), nn.ErrValue, "word 9"},
		"floats as words": {links.NegativeSampling(2, []int{1, 1}, 2).Loss(x, x), nn.ErrShape, "int32 t"},
	} {
		if err := c.y.Err(); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v saying %q", name, err, c.want, c.says)
		}
	}
}

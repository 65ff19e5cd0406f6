// Sentiment-tree learns whether a sentence speaks well or badly of something,
// from its parse tree: a recursive network that has another shape for each
// sentence. It follows Chainer's sentiment example, on generated trees.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/internal/train"
	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// recursive computes a vector for each node from those of its children.
type recursive struct {
	links.Chain
	embed *links.EmbedIDLink
	l, w  *links.LinearLink
}

func newRecursive(units int) *recursive {
	m := &recursive{}
	m.embed = links.Add(m, "embed", links.EmbedID(words, units))
	m.l = links.Add(m, "l", links.Linear(units))
	m.w = links.Add(m, "w", links.Linear(3))
	return m
}

// visit gives a node's vector and hands every node's scores to score.
func (m *recursive) visit(tape *nn.Tape, n *node, score func(n *node, y *nn.Variable)) *nn.Variable {
	var v *nn.Variable
	if n.left == nil {
		v = m.embed.Forward(nn.From(tape, []int32{n.word}, 1))
	} else {
		left, right := m.visit(tape, n.left, score), m.visit(tape, n.right, score)
		v = functions.Tanh(m.l.Forward(functions.Concat([]*nn.Variable{left, right}, 1)))
	}
	score(n, m.w.Forward(v))
	return v
}

// Loss is the loss of all nodes, a mean over trees; the accuracy is that of the
// roots.
func (m *recursive) Loss(tape *nn.Tape, batch []*node, report *links.Report) *nn.Variable {
	var losses []*nn.Variable
	right := 0.0
	for _, tree := range batch {
		m.visit(tape, tree, func(n *node, y *nn.Variable) {
			t := nn.From(tape, []int32{n.label}, 1)
			losses = append(losses, functions.ExpandDims(functions.SoftmaxCrossEntropy(y, t), 0))
			if n == tree {
				right += float64(functions.Accuracy(y, t).Float())
			}
		})
	}
	loss := functions.MulScalar(functions.Sum(functions.Concat(losses, 0)), 1/float32(len(batch)))
	report.Add("loss", loss)
	report.AddValue("accuracy", right/float64(len(batch)))
	return loss
}

// options are the program's flags.
type options struct {
	train.Options
	units, trees int
}

func main() {
	cli.Main("sentiment-tree", program)
}

// program reads the command line and trains.
func program(ctx context.Context, args []string, stdout io.Writer) error {
	o := options{Options: train.Options{Epochs: 15, Batch: 25}}
	f := flag.NewFlagSet("sentiment-tree", flag.ContinueOnError)
	o.AddTo(f, "the trees", "trees a step", "trees, weights and order")
	f.IntVar(&o.units, "units", 30, "length of a node's vector")
	f.IntVar(&o.trees, "trees", 3000, "trees to train on")
	if err := cli.Parse(f, "sentiment-tree --epochs 5 --trees 1000", args, stdout); err != nil {
		return err
	}
	_, err := run(ctx, o, stdout)
	return err
}

// run trains and gives the accuracy on trees that were not trained on.
func run(ctx context.Context, o options, w io.Writer) (float64, error) {
	if o.Epochs < 1 || o.Batch < 1 || o.units < 1 || o.trees < 4 {
		return 0, fmt.Errorf("%w: --epochs, --batch and --units must be at least 1, and --trees at least 4", cli.ErrUsage)
	}
	model := newRecursive(o.units)
	links.Seed(model, o.Seed)
	optimizer := optimizers.AdaGrad(model)
	optimizer.LR = 0.05
	optimizer.AddHook(optimizers.WeightDecay(1e-4))

	trees, test := datasets.Slice[*node](forest(o.trees, o.Seed+1)), datasets.Slice[*node](forest(o.trees/4, o.Seed+2))
	batches := iterators.Serial(trees, o.Batch, iterators.Seed(o.Seed))
	trainer := train.Trainer(o.Options, w, optimizer, batches, "main/loss", "main/accuracy", "validation/main/accuracy")
	evaluate := extensions.Evaluate(test)
	trainer.Extend(evaluate, extensions.PlotReport("loss.png"))
	if err := trainer.Run(ctx); err != nil {
		return 0, err
	}
	means, err := evaluate.Of(ctx, model)
	return means["accuracy"], err
}

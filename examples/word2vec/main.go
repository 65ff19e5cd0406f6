// Word2vec learns vectors of words from generated text, such that words which
// stand in the same places have vectors of the same direction. It follows
// Chainer's example: a skip-gram model with negative sampling or a hierarchical
// softmax.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/internal/language"
	"github.com/hibana-engine/hibana/examples/internal/train"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// options are the program's flags.
type options struct {
	train.Options
	window, units, words int
	out                  string
}

func main() {
	cli.Main("word2vec", program)
}

// program reads the command line and trains.
func program(ctx context.Context, args []string, stdout io.Writer) error {
	o := options{Options: train.Options{Epochs: 10, Batch: 100}}
	f := flag.NewFlagSet("word2vec", flag.ContinueOnError)
	o.AddTo(f, "the text", "pairs of words a step", "text, vectors, order and samples")
	f.IntVar(&o.window, "window", 2, "words on each side that a word tells")
	f.IntVar(&o.units, "units", 16, "length of a vector")
	f.IntVar(&o.words, "words", 10_000, "words of text")
	f.StringVar(&o.out, "out", "ns", "loss: ns, negative sampling, or hsm, hierarchical softmax")
	if err := cli.Parse(f, "word2vec --out hsm --epochs 5", args, stdout); err != nil {
		return err
	}
	_, err := run(ctx, o, stdout)
	return err
}

// run trains and gives the share of the words whose nearest is of their kind.
func run(ctx context.Context, o options, w io.Writer) (float64, error) {
	if o.Epochs < 1 || o.Batch < 1 || o.window < 1 || o.units < 1 || o.words <= 2*o.window {
		return 0, fmt.Errorf("%w: --epochs, --batch, --window and --units must be at least 1, --words more than two windows", cli.ErrUsage)
	}
	ids := language.Text(o.words, o.Seed+1)
	model, err := newSkipGram(o.out, count(ids), o.units)
	if err != nil {
		return 0, err
	}
	links.Seed(model, o.Seed)
	optimizer := optimizers.Adam(model)
	optimizer.Alpha = 0.01

	batches := iterators.Serial(pairs(ids, o.window), o.Batch, iterators.Seed(o.Seed))
	trainer := train.Trainer(o.Options, w, optimizer, batches, "main/loss")
	trainer.Extend(extensions.PlotReport("loss.png", "main/loss"))
	if err := trainer.Run(ctx); err != nil {
		return 0, err
	}
	share, err := judge(model, w)
	if err == nil {
		fmt.Fprintf(w, "%.0f %% of the words have one of their kind as the nearest\n", 100*share)
	}
	return share, err
}

// judge prints the nearest words of each kind's first and gives the share of all
// words, but for those that are of no kind, whose nearest is of the same kind.
func judge(model *skipGram, w io.Writer) (float64, error) {
	words := language.Vocabulary()
	vectors, err := model.vectors()
	if err != nil {
		return 0, err
	}
	kind := map[string]int{}
	for k, list := range language.Kinds() {
		for _, word := range list {
			kind[word] = k + 1
		}
	}
	right, shown := 0, map[int]bool{}
	for id, word := range words {
		k := kind[word]
		if k == 0 {
			continue
		}
		near := nearest(vectors, id)
		if kind[words[near[0]]] == k {
			right++
		}
		if !shown[k] {
			shown[k] = true
			fmt.Fprintf(w, "%-10s %s\n", word, strings.Join([]string{words[near[0]], words[near[1]], words[near[2]]}, " "))
		}
	}
	return float64(right) / float64(len(kind)), nil
}

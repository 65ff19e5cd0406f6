// Ptb trains a language model on generated text and writes some of its own. It
// follows Chainer's example for the Penn Treebank: LSTM layers and truncated
// backpropagation through time.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/internal/language"
	"github.com/hibana-engine/hibana/examples/internal/train"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// options are the program's flags.
type options struct {
	train.Options
	steps, units, words int
}

func main() {
	cli.Main("ptb", program)
}

// program reads the command line and trains.
func program(ctx context.Context, args []string, stdout io.Writer) error {
	o := options{Options: train.Options{Epochs: 8, Batch: 20}}
	f := flag.NewFlagSet("ptb", flag.ContinueOnError)
	o.AddTo(f, "the text", "places in the text read at once", "text, weights and dropout")
	f.IntVar(&o.steps, "steps", 20, "words that gradients go back")
	f.IntVar(&o.units, "units", 64, "units of a layer")
	f.IntVar(&o.words, "words", 40_000, "words of text to train on")
	if err := cli.Parse(f, "ptb --epochs 5 --words 10000", args, stdout); err != nil {
		return err
	}
	_, err := run(ctx, o, stdout)
	return err
}

// run trains and gives the perplexity on text that was not trained on.
func run(ctx context.Context, o options, w io.Writer) (float64, error) {
	if o.Epochs < 1 || o.Batch < 1 || o.steps < 1 || o.units < 1 || o.words < 4*o.Batch*(o.steps+1) {
		return 0, fmt.Errorf("%w: --epochs, --batch, --steps and --units must be at least 1, and --words at least %d", cli.ErrUsage, 4*o.Batch*(o.steps+1))
	}
	model := newLanguageModel(len(language.Vocabulary()), o.units, 0.2)
	links.Seed(model, o.Seed)
	optimizer := optimizers.Adam(model)
	optimizer.Alpha = 0.003
	optimizer.AddHook(optimizers.GradientClipping(5))

	text := windows(language.Text(o.words, o.Seed+1), o.Batch, o.steps)
	test := windows(language.Text(o.words/4, o.Seed+2), o.Batch, o.steps)
	trainer := train.Trainer(o.Options, w, optimizer, iterators.Serial(text, 1, iterators.Ordered()), "main/perplexity", "validation/main/perplexity")
	evaluate := extensions.Evaluate(test)
	evaluate.BatchSize = 1
	trainer.Extend(evaluate, extensions.PlotReport("perplexity.png", "main/perplexity", "validation/main/perplexity"))
	if err := trainer.Run(ctx); err != nil {
		return 0, err
	}
	means, err := evaluate.Of(ctx, model)
	if err != nil {
		return 0, err
	}
	story, err := write(model, 40, o.Seed)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(w, "perplexity %.2f of %d words\n%s\n", means["perplexity"], len(language.Vocabulary()), story)
	return means["perplexity"], nil
}

// write lets the model go on by itself, drawing each word by its probability.
func write(m *languageModel, n int, seed uint64) (string, error) {
	m.resetState()
	r := rand.New(rand.NewPCG(seed, 2))
	words := language.Vocabulary()
	tape := nn.NewTape(nn.Evaluate)
	said := []string{"the"}
	for len(said) < n || said[len(said)-1] != "." && len(said) < 2*n {
		last := int32(0)
		for i, w := range words {
			if w == said[len(said)-1] {
				last = int32(i)
			}
		}
		p := functions.Softmax(m.Forward(nn.From(tape, []int32{last}, 1)))
		if err := p.Err(); err != nil {
			return "", err
		}
		said = append(said, words[draw(p.Floats(), r.Float32())])
	}
	return strings.Join(said, " "), nil
}

// draw gives the index at which the sum of probabilities passes u.
func draw(p []float32, u float32) int {
	for i, v := range p {
		if u -= v; u < 0 {
			return i
		}
	}
	return len(p) - 1
}

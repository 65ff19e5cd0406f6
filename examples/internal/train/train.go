// Package train holds what the examples that train a network have in common: some
// flags, and a trainer that reports each epoch.
package train

import (
	"flag"
	"io"

	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/training"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// Options are the flags that every program has which trains.
type Options struct {
	Epochs, Batch int
	Seed          uint64
	Dir           string
}

// AddTo adds the flags to a program's; what o holds are the defaults. data is what
// an epoch passes over, batch what a step takes, and seed what is drawn.
func (o *Options) AddTo(f *flag.FlagSet, data, batch, seed string) {
	f.IntVar(&o.Epochs, "epochs", o.Epochs, "passes over "+data)
	f.IntVar(&o.Batch, "batch", o.Batch, batch)
	f.Uint64Var(&o.Seed, "seed", o.Seed, "seed of "+seed)
	f.StringVar(&o.Dir, "dir", "result", "directory for the log and whatever else is written")
}

// Trainer returns a trainer of a network, the optimizer's target, with batches. After
// each epoch it prints the columns and the time to w, and writes the file log;
// meanwhile a terminal shows how far it is.
func Trainer[T any](o Options, w io.Writer, optimizer optimizers.Optimizer, batches iterators.Iterator[T], columns ...string) *training.Trainer {
	trainer := training.New(optimizer, batches, training.Epochs(float64(o.Epochs)), training.Seed(o.Seed), training.Out(o.Dir))
	report := extensions.PrintReport(append(append([]string{"epoch"}, columns...), "elapsed_time")...)
	report.Out = w
	trainer.Extend(extensions.LogReport(), report, extensions.ProgressBar())
	return trainer
}

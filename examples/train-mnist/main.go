// Train-mnist trains a network to read handwritten digits, as Chainer's MNIST
// example does, and saves its weights.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/internal/mnistnet"
	"github.com/hibana-engine/hibana/examples/internal/train"
	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/training/extensions"
)

// options are the program's flags.
type options struct {
	train.Options
	model   string
	alpha   float64
	decay   float64
	dropout float64
	augment bool
	limit   int
	out     string
	plot    string
	resume  bool
}

func main() {
	cli.Main("train-mnist", func(ctx context.Context, args []string, stdout io.Writer) error {
		opt, err := parse(args, stdout)
		if err == nil {
			_, err = run(ctx, opt, stdout)
		}
		return err
	})
}

func parse(args []string, stdout io.Writer) (options, error) {
	o := options{Options: train.Options{Epochs: 20, Batch: 100}}
	f := flag.NewFlagSet("train-mnist", flag.ContinueOnError)
	f.StringVar(&o.model, "model", "mlp", "network: mlp or cnn")
	o.AddTo(f, "the training images", "images a step", "weights, order, dropout and augmentation")
	f.Float64Var(&o.alpha, "alpha", 0.001, "Adam's step size at the start")
	f.Float64Var(&o.decay, "decay", 1, "factor on the step size after each epoch")
	f.Float64Var(&o.dropout, "dropout", 0, "ratio dropped before the last layer")
	f.BoolVar(&o.augment, "augment", false, "shift, turn and scale the training images at random")
	f.IntVar(&o.limit, "limit", 0, "use only the first images of each set (0 = all)")
	f.StringVar(&o.out, "out", "", "file for the trained weights (.npz)")
	f.StringVar(&o.plot, "plot", "loss.png", "plot of the loss, in the directory")
	f.BoolVar(&o.resume, "resume", false, "go on from the newest snapshot in the directory")
	if err := cli.Parse(f, "train-mnist --model cnn --epochs 3 --out mnist-cnn.npz", args, stdout); err != nil {
		return o, err
	}
	return o, o.check()
}

// check reports what is wrong with the flags.
func (o options) check() error {
	switch {
	case o.Epochs < 1 || o.Batch < 1 || o.limit < 0:
		return fmt.Errorf("%w: --epochs and --batch must be at least 1, --limit not negative", cli.ErrUsage)
	case !(o.alpha > 0) || !(o.decay > 0):
		return fmt.Errorf("%w: --alpha and --decay must be above 0", cli.ErrUsage)
	case !(o.dropout >= 0 && o.dropout < 1):
		return fmt.Errorf("%w: --dropout %g is not from 0 to below 1", cli.ErrUsage, o.dropout)
	}
	return nil
}

// run trains and gives the accuracy on the test images.
func run(ctx context.Context, opt options, w io.Writer) (float64, error) {
	net, err := mnistnet.New(opt.model, opt.dropout)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	links.Seed(net, opt.Seed)
	model := links.Classifier(net)
	optimizer := optimizers.Adam(model)
	optimizer.Alpha = opt.alpha

	images, test := data(opt)
	batches := iterators.Serial(images, opt.Batch, iterators.Seed(opt.Seed))
	trainer := train.Trainer(opt.Options, w, optimizer, batches, "main/loss", "validation/main/loss", "main/accuracy", "validation/main/accuracy")

	save := extensions.Snapshot()
	save.Keep, save.OnStop, save.Resume = 1, true, opt.resume
	trainer.Extend(
		extensions.Evaluate(test),
		extensions.PlotReport(opt.plot),
		extensions.ExponentialShift("alpha", opt.decay),
		save)
	if err := trainer.Run(ctx); err != nil {
		return 0, err
	}
	means, err := extensions.Evaluate(test).Of(ctx, model)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(w, "%d parameters, %.2f %% of the test images right\n", links.CountParams(model), 100*means["accuracy"])
	if opt.out == "" {
		return means["accuracy"], nil
	}
	if err := serializers.SaveNPZ(opt.out, net); err != nil {
		return 0, err
	}
	fmt.Fprintln(w, "weights written to", opt.out)
	return means["accuracy"], nil
}

// data gives the training and the test images.
func data(opt options) (train, test datasets.Dataset[datasets.Example]) {
	train, test = datasets.MNIST()
	if opt.limit > 0 {
		train, _ = datasets.Split(train, opt.limit)
		test, _ = datasets.Split(test, opt.limit)
	}
	if opt.augment {
		move := datasets.Jitter{Shift: 2, Rotate: 10, Scale: 0.1}
		train = datasets.Augment(train, opt.Seed, func(r *rand.Rand, e datasets.Example) datasets.Example { return move.Apply(r, e) })
	}
	return train, test
}

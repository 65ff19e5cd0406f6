package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/iterators"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/optimizers"
	"github.com/hibana-engine/hibana/ml/training"
)

// trainResult is how long passes over the training images take on one core.
type trainResult struct {
	Workload        string    `json:"workload"`
	Model           string    `json:"model"`
	Optimizer       string    `json:"optimizer"`
	Batch           int       `json:"batch"`
	Images          int       `json:"images"` // of an epoch
	SecondsPerEpoch float64   `json:"seconds_per_epoch"`
	BestSeconds     float64   `json:"best_seconds_per_epoch"`
	Epochs          []float64 `json:"epochs"` // seconds of each
	Loss            float64   `json:"loss"`   // mean of the last epoch
	AllocsPerStep   float64   `json:"allocs_per_step"`
	GFlops          float64   `json:"gflops"`
	PeakGFlops      float64   `json:"peak_gflops"`
}

func (r *trainResult) named(workload string) { r.Workload = workload }

func (r *trainResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %s, batch %d, one core: %.2f seconds an epoch of %d images (best %.2f, all %.2f), loss %.4f\n",
		r.Model, r.Optimizer, r.Batch, r.SecondsPerEpoch, r.Images, r.BestSeconds, r.Epochs, r.Loss)
	fmt.Fprintf(w, "  gflops %.1f of peak_gflops %.1f, %.1f allocations a step\n", r.GFlops, r.PeakGFlops, r.AllocsPerStep)
}

// runTrain measures training on the shipped images.
func runTrain(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	model := f.String("model", "mlp", "network: mlp or cnn")
	batch := f.Int("batch", 100, "images a step")
	epochs := f.Int("epochs", 3, "passes that are measured, after one over a tenth of the images")
	limit := f.Int("limit", 0, "use only the first images (0 = all 60,000)")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	if *model != "cnn" && *model != "mlp" {
		return nil, fmt.Errorf("%w: --model %q; there are cnn and mlp", errUsage, *model)
	}
	if *batch < 1 || *epochs < 1 || *limit < 0 {
		return nil, fmt.Errorf("%w: --batch and --epochs are at least 1, --limit not negative", errUsage)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	set, _ := datasets.MNIST()
	if *limit > 0 {
		set, _ = datasets.Split(set, min(*limit, set.Len()))
	}
	b, err := newTrainBench(*model, *batch, set)
	if err != nil {
		return nil, err
	}
	return b.run(ctx, &trainResult{Model: *model, Optimizer: "Adam", Batch: *batch, Images: set.Len()}, *epochs)
}

// trainBench steps an updater by hand: no extensions, no evaluation.
type trainBench struct {
	updater training.Updater
	flops   float64 // of an image's forward and backward pass
	steps   int     // of an epoch
	warm    int     // steps
}

func newTrainBench(model string, batch int, set datasets.Dataset[datasets.Example]) (*trainBench, error) {
	net, ok := (&mnistBench{model: model}).network().(links.Link)
	if !ok {
		return nil, fmt.Errorf("network %s is no link", model)
	}
	m, err := benchModel(model, &networkFile{})
	if err != nil {
		return nil, err
	}
	links.Seed(net, 1)
	steps := (set.Len() + batch - 1) / batch
	u, err := training.NewStandardUpdater[datasets.Example](optimizers.Adam(links.Classifier(net.(links.Layer))), iterators.Serial(set, batch, iterators.Seed(1)), nil)
	if err != nil {
		return nil, err
	}
	// The backward pass multiplies twice for each product of the forward pass.
	return &trainBench{updater: u, flops: 3 * m.Flops(), steps: steps, warm: max(1, steps/10)}, nil
}

func (b *trainBench) run(ctx context.Context, r *trainResult, epochs int) (*trainResult, error) {
	if _, err := b.pass(ctx, b.warm); err != nil {
		return nil, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range epochs {
		start := time.Now()
		loss, err := b.pass(ctx, b.steps)
		if err != nil {
			return nil, err
		}
		seconds := time.Since(start).Seconds()
		fmt.Fprintf(os.Stderr, "%d steps: %.2f s, loss %.4f\n", b.steps, seconds, loss)
		r.Epochs, r.Loss = append(r.Epochs, seconds), loss
	}
	runtime.ReadMemStats(&after)
	peak, err := compile.PeakFlops(ctx, 200*time.Millisecond)
	if err != nil {
		return nil, err
	}
	r.AllocsPerStep = float64(after.Mallocs-before.Mallocs) / float64(epochs*b.steps)
	r.SecondsPerEpoch, r.BestSeconds, r.PeakGFlops = median(r.Epochs), slices.Min(r.Epochs), peak/1e9
	r.GFlops = b.flops * float64(r.Images) / r.SecondsPerEpoch / 1e9
	return r, nil
}

// pass makes n steps and returns their mean loss.
func (b *trainBench) pass(ctx context.Context, n int) (float64, error) {
	var sum float64
	for range n {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		report, err := b.updater.Update(ctx)
		if err != nil {
			return 0, err
		}
		for name, v := range report.All() {
			if name == "loss" {
				sum += v
			}
		}
	}
	return sum / float64(n), nil
}

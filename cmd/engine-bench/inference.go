package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/datasets/mnist"
)

// inferenceResult is what a compiled network does on some cores, beside what the
// cores could do at most. Rates are medians over the rounds; operations are
// those of the convolutions and dense layers computed directly.
type inferenceResult struct {
	Workload       string    `json:"workload"`
	Model          string    `json:"model"`
	Batch          int       `json:"batch"`
	Cores          int       `json:"cores"`
	ImagesPerSec   float64   `json:"images_per_second"`
	BestPerSec     float64   `json:"best_images_per_second"`
	MFlopPerImage  float64   `json:"mflop_per_image"`
	GFlops         float64   `json:"gflops"`
	PeakGFlops     float64   `json:"peak_gflops"` // of all cores
	Ratio          float64   `json:"ratio"`       // median of the rounds'
	Ratios         []float64 `json:"ratios"`
	AllocsPerImage float64   `json:"allocs_per_image"`
	Partial        string    `json:"partial,omitempty"` // why there is less than was wanted
}

func (r *inferenceResult) named(workload string) { r.Workload = workload }

func (r *inferenceResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s, batch %d, %d cores: %.0f images/s (best round %.0f), %.4f allocations an image\n",
		r.Model, r.Batch, r.Cores, r.ImagesPerSec, r.BestPerSec, r.AllocsPerImage)
	fmt.Fprintf(w, "  gflops %.1f (%.2f MFLOP an image), peak_gflops %.1f, ratio %.3f (rounds %.3f)\n",
		r.GFlops, r.MFlopPerImage, r.PeakGFlops, r.Ratio, r.Ratios)
	if r.Partial != "" {
		fmt.Fprintln(w, "  PARTIAL, less than was wanted:", r.Partial)
	}
}

// runInference measures a compiled network alone.
func runInference(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	model := f.String("model", "cnn", "network: cnn, mlp or an ONNX file")
	batch := f.Int("batch", 256, "images that run at once")
	cores := f.Int("cores", 1, "goroutines, each with batches of its own and a core to itself")
	rounds := f.Int("rounds", 7, "rounds of peak and network in turn")
	span := f.Duration("time", 500*time.Millisecond, "length of a round's network part; the peak takes a fifth")
	var file networkFile
	file.flags(f)
	if err := parse(f, args); err != nil {
		return nil, err
	}
	if file.ids < 1 || file.ids > 1<<24 {
		return nil, fmt.Errorf("%w: --ids %d, want 1 to 2^24", errUsage, file.ids)
	}
	if *batch < 1 || *rounds < 1 || *cores < 1 || *cores > runtime.NumCPU() || *span <= 0 {
		return nil, fmt.Errorf("%w: --batch, --rounds and --time are at least 1, --cores 1 to %d", errUsage, runtime.NumCPU())
	}
	start := time.Now()
	m, err := benchModel(*model, &file)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "%s: compiled in %.1f s with %d MB resident at most, %.1f MFLOP an image\n", *model, time.Since(start).Seconds(), peakRSS(), m.Flops()/1e6)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(*cores))
	b := inferenceBench{model: m, batch: *batch, cores: *cores, progress: os.Stderr}
	b.open(&file)
	return b.run(ctx, &inferenceResult{Model: *model, Batch: *batch, Cores: *cores, MFlopPerImage: m.Flops() / 1e6}, *rounds, *span)
}

// benchModel compiles a network with random weights, or a file.
func benchModel(name string, file *networkFile) (*compile.Model, error) {
	if strings.HasSuffix(name, ".onnx") {
		return file.compile(name)
	}
	if given := file.given(); given != nil {
		return nil, fmt.Errorf("%w: %s: only an ONNX file has dimensions, inputs and outputs to name", errUsage, strings.Join(given, ", "))
	}
	if name == "cnn" || name == "mlp" {
		net := (&mnistBench{model: name}).network()
		m, err := compile.Network(net.Forward, 1, mnist.Rows, mnist.Cols)
		if err == nil {
			file.parts = []rowPart{{size: m.InputLen()}}
		}
		return m, err
	}
	return nil, fmt.Errorf("%w: --model %q; there are cnn, mlp and files that end in .onnx", errUsage, name)
}

// inferenceBench runs one model on some cores.
type inferenceBench struct {
	model        *compile.Model
	batch, cores int
	progress     io.Writer

	workers []*compile.Worker
	inputs  [][]float32
}

// open makes each core's worker and random rows.
func (b *inferenceBench) open(file *networkFile) {
	for c := range b.cores {
		r := rand.New(rand.NewPCG(1, uint64(c)))
		x := make([]float32, b.batch*b.model.InputLen())
		file.fill(x, r)
		b.workers = append(b.workers, b.model.NewWorker(b.batch))
		b.inputs = append(b.inputs, x)
	}
}

// run alternates between the peak and the network, after a round of warming up.
func (b *inferenceBench) run(ctx context.Context, r *inferenceResult, rounds int, span time.Duration) (report, error) {
	err := b.rounds(ctx, r, rounds, span)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w after %d of %d rounds", paper.ErrInterrupted, len(r.Ratios), rounds)
	}
	return partial(r, len(r.Ratios) > 0, &r.Partial, err)
}

// rounds measures the rounds that count, after the one that warms up.
func (b *inferenceBench) rounds(ctx context.Context, r *inferenceResult, rounds int, span time.Duration) error {
	var rates, peaks []float64
	for round := range rounds + 1 {
		peak, err := b.peak(ctx, span/5)
		if err != nil {
			return err
		}
		b.announce(round, rounds, peak, span)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rate, images, err := b.measure(ctx, span)
		if err != nil {
			return err
		}
		runtime.ReadMemStats(&after)
		if round == 0 {
			continue
		}
		rates, peaks = append(rates, rate), append(peaks, peak)
		r.Ratios = append(r.Ratios, rate*b.model.Flops()/peak)
		r.AllocsPerImage = float64(after.Mallocs-before.Mallocs) / images
		r.ImagesPerSec, r.BestPerSec = median(rates), slices.Max(rates)
		r.GFlops, r.PeakGFlops, r.Ratio = r.ImagesPerSec*b.model.Flops()/1e9, median(peaks)/1e9, median(r.Ratios)
	}
	return nil
}

// announce says what is measured next, of networks that take longer than a round's
// time and a second for one batch: how long that is at least.
func (b *inferenceBench) announce(round, rounds int, peak float64, span time.Duration) {
	least := float64(b.cores*b.batch) * b.model.Flops() / peak
	if least <= max(span.Seconds(), 1) {
		return
	}
	what := fmt.Sprintf("round %d of %d", round, rounds)
	if round == 0 {
		what = "warming up"
	}
	fmt.Fprintf(b.progress, "%s: a batch of %d takes at least %.1f s\n", what, b.batch, least)
}

// peak returns the sum of what the cores do at once.
func (b *inferenceBench) peak(ctx context.Context, d time.Duration) (float64, error) {
	var sum float64
	err := b.onCores(func(int) (float64, error) { return compile.PeakFlops(ctx, d) }, &sum)
	return sum, err
}

// measure runs batches on all cores for d, at least one on each, and returns images a
// second, and how many there were.
func (b *inferenceBench) measure(ctx context.Context, d time.Duration) (rate, images float64, err error) {
	start := time.Now()
	err = b.onCores(func(c int) (float64, error) {
		n := 0
		for n == 0 || time.Since(start) < d {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			if _, err := b.workers[c].Run(b.inputs[c], b.batch); err != nil {
				return 0, err
			}
			n += b.batch
		}
		return float64(n), nil
	}, &images)
	return images / time.Since(start).Seconds(), images, err
}

// onCores runs f once for each core at the same time and adds up the results.
func (b *inferenceBench) onCores(f func(core int) (float64, error), sum *float64) error {
	values, errs := make([]float64, b.cores), make([]error, b.cores)
	var wg sync.WaitGroup
	for c := range b.cores {
		wg.Go(func() { values[c], errs[c] = f(c) })
	}
	wg.Wait()
	for c, v := range values {
		if errs[c] != nil {
			return errs[c]
		}
		*sum += v
	}
	return nil
}

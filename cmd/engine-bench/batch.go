package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// batchResult is what a batch program took.
type batchResult struct {
	Workload         string    `json:"workload"`
	Records          int64     `json:"records"`
	Bytes            int64     `json:"bytes,omitempty"` // of the records, about
	Iterations       int       `json:"iterations,omitempty"`
	Results          int64     `json:"results"`
	Seconds          float64   `json:"seconds"`
	RecordsPerSecond float64   `json:"records_per_second"` // of each iteration
	Baseline         string    `json:"baseline,omitempty"`
	BaselineSeconds  float64   `json:"baseline_seconds,omitempty"`
	Ratio            float64   `json:"ratio,omitempty"`  // of the rates
	Ratios           []float64 `json:"ratios,omitempty"` // of each round
	Master           string    `json:"master"`
	Memory           string    `json:"executor_memory,omitempty"`
	PeakRSSMiB       int       `json:"peak_rss_mib"` // without the baseline
}

func (r *batchResult) named(workload string) { r.Workload = workload }

// print writes the result for people.
func (r *batchResult) print(w io.Writer) {
	memory := "a part of the machine's memory"
	if r.Memory != "" {
		memory = r.Memory
	}
	fmt.Fprintf(w, "%s on %s with %s\n  %d records", r.Workload, r.Master, memory, r.Records)
	if r.Bytes > 0 {
		fmt.Fprintf(w, " of %d bytes in all", r.Bytes)
	}
	if r.Iterations > 0 {
		fmt.Fprintf(w, " %d times", r.Iterations)
	}
	fmt.Fprintf(w, " in %.2f s: %.0f records/s, %d results, peak RSS of the process %d MiB\n",
		r.Seconds, r.RecordsPerSecond, r.Results, r.PeakRSSMiB)
	if r.Baseline != "" {
		fmt.Fprintf(w, "  baseline %s: %.2f s, ratio %.2f (rounds %.2f)\n", r.Baseline, r.BaselineSeconds, r.Ratio, r.Ratios)
	}
}

// batchFlags are what workloads that are batch programs have in common.
type batchFlags struct {
	records    *int64
	partitions *int
	master     *string
	memory     *string
}

func newBatchFlags(f *flag.FlagSet, what string, records int64) batchFlags {
	return batchFlags{
		records:    f.Int64("records", records, what),
		partitions: f.Int("partitions", 16, "partitions before and after"),
		master:     f.String("master", "local[2]", localUsage),
		memory:     f.String("memory", "", "the engine's executor.memory, such as 1g; none: its default"),
	}
}

// run runs a program that makes records, each of some bytes, and counts what comes out.
func (f batchFlags) run(ctx context.Context, bytes int64, program func(sc *rdd.Context) (int64, error)) (report, error) {
	if err := checkLocal(*f.master); err != nil {
		return nil, err
	}
	r := &batchResult{Records: *f.records, Bytes: *f.records * bytes, Master: *f.master, Memory: *f.memory}
	var err error
	r.Results, r.Seconds, err = timed(ctx, f, program)
	r.RecordsPerSecond = float64(r.Records) / r.Seconds
	r.PeakRSSMiB = peakRSS()
	return r, err
}

// timed runs a batch program, and returns its result and how many seconds it took.
func timed[T any](ctx context.Context, f batchFlags, program func(sc *rdd.Context) (T, error)) (result T, seconds float64, err error) {
	args := []string{"--master", *f.master, "--log-level", "error"}
	if *f.memory != "" {
		args = append(args, "--conf", "executor.memory="+*f.memory)
		if err := holdHeap(*f.memory); err != nil {
			return result, 0, err
		}
	}
	started := time.Now()
	err = engine.NewApp("bench").RunBatch(ctx, args, func(sc *rdd.Context) error {
		v, err := program(sc)
		sc.OnDriver(func() error { result = v; return nil })
		return err
	})
	return result, time.Since(started).Seconds(), err
}

// holdHeap holds the process to what the engine holds a program's own process to that sets
// executor.memory: a quarter more, and 128 MiB.
func holdHeap(memory string) error {
	var n float64
	var unit string
	_, err := fmt.Sscanf(strings.ToLower(memory), "%f%s", &n, &unit)
	shift, ok := map[string]int{"m": 20, "g": 30}[strings.TrimRight(unit, "ib")]
	if err != nil || !ok || n <= 0 {
		return fmt.Errorf("--memory %s: a number with m or g is wanted, such as 512m", memory)
	}
	debug.SetMemoryLimit(int64(n*float64(int(1)<<shift))*5/4 + 128<<20)
	return nil
}

// iterations are the flags of workloads that go over their records several times.
type iterations struct {
	batchFlags
	iterations *int
	rounds     *int
}

// aboveOfIterations are the flags of newIterations that are above 0.
func aboveOfIterations() []string { return []string{"records", "partitions", "iterations", "rounds"} }

func newIterations(f *flag.FlagSet, what string, records int64, n int) iterations {
	return iterations{
		batchFlags: newBatchFlags(f, what, records),
		iterations: f.Int("iterations", n, "times that the program goes over the records"),
		rounds:     f.Int("rounds", 1, "rounds of engine and baseline in turn"),
	}
}

// compareLoop runs rounds of a batch program, which has as many results as it says, and of a
// loop that does the same. differ says what is wrong with the program's result beside the
// loop's.
func compareLoop[T any](ctx context.Context, f iterations, baseline string, program func(sc *rdd.Context) (T, error), loop func() T, differ func(got, want T) (results int, err error)) (report, error) {
	if err := checkLocal(*f.master); err != nil {
		return nil, err
	}
	r := &batchResult{Records: *f.records, Iterations: *f.iterations, Master: *f.master, Memory: *f.memory, Baseline: baseline}
	var all comparison
	for n := range *f.rounds {
		runtime.GC() // what the round before left
		got, seconds, err := timed(ctx, f.batchFlags, program)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			r.PeakRSSMiB = peakRSS()
		}
		runtime.GC()
		started := time.Now()
		want := loop()
		base := time.Since(started).Seconds()
		results, err := differ(got, want)
		if err != nil {
			return nil, err
		}
		r.Results = int64(results)
		fmt.Fprintf(os.Stderr, "round %d: baseline %.2f s, engine %.2f s\n", n+1, base, seconds)
		all.add(1/seconds, 1/base)
	}
	rate, base := all.medians()
	r.Seconds, r.BaselineSeconds, r.Ratio, r.Ratios = 1/rate, 1/base, median(all.ratios), all.ratios
	r.RecordsPerSecond = float64(r.Records) * float64(r.Iterations) / r.Seconds
	return r, nil
}

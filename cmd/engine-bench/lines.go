package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
)

// linesResult is how fast the lines of a file are counted.
type linesResult struct {
	Workload        string    `json:"workload"`
	Bytes           int64     `json:"bytes"`
	Lines           int64     `json:"lines"`
	Seconds         float64   `json:"seconds"` // median, the program's start included
	BytesPerSecond  float64   `json:"bytes_per_second"`
	Baseline        string    `json:"baseline"`
	BaselineSeconds float64   `json:"baseline_seconds"`
	Ratio           float64   `json:"ratio"`
	Ratios          []float64 `json:"ratios"`
	Master          string    `json:"master"`
	PeakRSSMiB      int       `json:"peak_rss_mib"`
}

func (r *linesResult) named(workload string) { r.Workload = workload }

// print writes the result for people.
func (r *linesResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s on %s\n  %d lines, %d bytes in %.3f s: %.0f MB/s\n  baseline %s: %.3f s, ratio %.2f (rounds %.2f)\n  peak RSS of the process %d MiB\n",
		r.Workload, r.Master, r.Lines, r.Bytes, r.Seconds, r.BytesPerSecond/1e6, r.Baseline, r.BaselineSeconds, r.Ratio, r.Ratios, r.PeakRSSMiB)
}

// runLines measures how fast the lines of a file are counted, which is in the page cache.
func runLines(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	mib := f.Int64("size", 2048, "MiB of the file that is made")
	width := f.Int("width", 100, "bytes of a line")
	file := f.String("file", "", "a file to use instead")
	master := f.String("master", "local[2]", "where the engine runs: local[N] or local-cluster[N,CORES], whose processes are started in each round")
	rounds := f.Int("rounds", 5, "rounds of baseline and engine in turn")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	if *mib < 1 || *width < 1 || *rounds < 1 {
		return nil, fmt.Errorf("%w: --size, --width and --rounds are above 0", errUsage)
	}
	path := *file
	if inJob() {
		_, _, err := countLines(ctx, *master, path)
		return nil, err
	}
	if path == "" {
		dir, err := os.MkdirTemp("", "engine-bench-")
		if err != nil {
			return nil, err
		}
		defer removeDir(dir)
		path = filepath.Join(dir, "lines.txt")
		if err := writeLines(ctx, path, *mib<<20, *width); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	r := &linesResult{Bytes: info.Size(), Master: *master, Baseline: "wc -l"}
	var ours, theirs []float64
	for round := range *rounds + 1 { // the first one reads the file into the page cache
		want, base, err := countByWC(ctx, path)
		if err != nil {
			return nil, err
		}
		got, took, err := countLines(ctx, *master, path)
		if err != nil {
			return nil, err
		}
		if got != want {
			return nil, fmt.Errorf("the engine counted %d lines, wc %d", got, want)
		}
		if r.Lines = got; round > 0 {
			fmt.Fprintf(os.Stderr, "round %d: wc %.3f s, engine %.3f s\n", round, base, took)
			ours, theirs, r.Ratios = append(ours, took), append(theirs, base), append(r.Ratios, base/took)
		}
	}
	r.Seconds, r.BaselineSeconds, r.Ratio, r.PeakRSSMiB = median(ours), median(theirs), median(r.Ratios), peakRSS()
	r.BytesPerSecond = float64(r.Bytes) / r.Seconds
	return r, nil
}

// writeLines writes a file of so many bytes, about, in lines of so many.
func writeLines(ctx context.Context, path string, size int64, width int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	line := []byte(strings.Repeat("x", width-1) + "\n")
	for i := int64(0); i*int64(width) < size; i++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		copy(line[:width-1], strconv.FormatInt(i, 10))
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// countByWC counts a file's lines with wc and returns the seconds that it took.
func countByWC(ctx context.Context, path string) (lines int64, seconds float64, err error) {
	started := time.Now()
	out, err := exec.CommandContext(ctx, "wc", "-l", path).Output()
	seconds = time.Since(started).Seconds()
	if err != nil {
		return 0, 0, fmt.Errorf("wc -l: %w", err)
	}
	words := strings.Fields(string(out))
	if len(words) == 0 {
		return 0, 0, errors.New("wc -l: it said nothing")
	}
	lines, err = strconv.ParseInt(words[0], 10, 64)
	return lines, seconds, err
}

// countLines counts a file's lines with the engine.
func countLines(ctx context.Context, master, path string) (lines int64, seconds float64, err error) {
	started := time.Now()
	app := engine.NewApp("bench")
	app.ChildArgs("lines", "--file", path)
	err = app.RunBatch(ctx, []string{"--master", master, "--log-level", "error"}, func(sc *rdd.Context) error {
		n, err := rdd.Count(rdd.TextFile(sc, files.Quote(path)))
		sc.OnDriver(func() error { lines = n; return nil })
		return err
	})
	return lines, time.Since(started).Seconds(), err
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// result is what a workload measured. Rates are medians over the rounds.
type result struct {
	Workload         string    `json:"workload"`
	Records          int64     `json:"records"`
	Seconds          float64   `json:"seconds"`
	RecordsPerSecond float64   `json:"records_per_second"`
	Batches          int       `json:"batches"`
	IntervalMS       float64   `json:"interval_ms"`
	BatchRecords     int64     `json:"batch_records"` // median
	Master           string    `json:"master"`
	Brokers          string    `json:"brokers"`
	Baseline         string    `json:"baseline,omitempty"`
	BaselineRate     float64   `json:"baseline_records_per_second,omitempty"`
	Ratio            float64   `json:"ratio,omitempty"`
	Ratios           []float64 `json:"ratios,omitempty"` // of each round
	RawRate          float64   `json:"raw_records_per_second,omitempty"`
	RawRatio         float64   `json:"raw_ratio,omitempty"` // the engine's rate by it
	RawRatios        []float64 `json:"raw_ratios,omitempty"`
	P50MS            float64   `json:"p50_ms,omitempty"`
	P99MS            float64   `json:"p99_ms,omitempty"`
	MaxMS            float64   `json:"max_ms,omitempty"`
	DelayP50MS       float64   `json:"delay_p50_ms,omitempty"` // from a batch's time to its completion, planning included
	DelayP99MS       float64   `json:"delay_p99_ms,omitempty"`
	LastDelayMS      float64   `json:"last_delay_ms,omitempty"` // total delay of the last batches, mean
	Gaps             []gap     `json:"gaps,omitempty"`          // after each kill
	AllocsPerRecord  float64   `json:"allocs_per_record"`
	PeakRSSMiB       int       `json:"peak_rss_mib"`
}

func (r *result) named(workload string) { r.Workload = workload }

// print writes the result for people.
func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "%s on %s, %s\n", r.Workload, r.Master, r.Brokers)
	if len(r.Gaps) > 0 {
		printGaps(w, r.Gaps)
		return
	}
	fmt.Fprintf(w, "  %d records in %.3f s: %.0f records/s in %d batches, half of them of at most %d (interval %.4g ms)\n",
		r.Records, r.Seconds, r.RecordsPerSecond, r.Batches, r.BatchRecords, r.IntervalMS)
	if r.Baseline != "" {
		fmt.Fprintf(w, "  baseline %s: %.0f records/s, ratio %.2f (rounds %.2f)\n", r.Baseline, r.BaselineRate, r.Ratio, r.Ratios)
	}
	if r.RawRate > 0 {
		fmt.Fprintf(w, "  raw fetch loop: %.0f records/s, ratio %.2f (rounds %.2f)\n", r.RawRate, r.RawRatio, r.RawRatios)
	}
	if r.P50MS > 0 {
		fmt.Fprintf(w, "  processing p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", r.P50MS, r.P99MS, r.MaxMS)
	}
	if r.LastDelayMS > 0 {
		fmt.Fprintf(w, "  total delay of the last batches %.3f ms\n", r.LastDelayMS)
	}
	if r.DelayP50MS > 0 {
		fmt.Fprintf(w, "  from tick to completion p50 %.3f ms, p99 %.3f ms\n", r.DelayP50MS, r.DelayP99MS)
	}
	fmt.Fprintf(w, "  %.4f allocations a record, peak RSS of the process %d MiB\n", r.AllocsPerRecord, r.PeakRSSMiB)
}

// latencies fills in quantiles of the batches' processing times.
func (r *result) latencies(d []time.Duration) {
	if len(d) == 0 {
		return
	}
	s := slices.Sorted(slices.Values(d))
	r.P50MS, r.P99MS, r.MaxMS = ms(quantile(s, 0.5)), ms(quantile(s, 0.99)), ms(s[len(s)-1])
}

// delays fills in quantiles of the time from a batch's tick to its completion.
func (r *result) delays(d []time.Duration) {
	if len(d) == 0 {
		return
	}
	s := slices.Sorted(slices.Values(d))
	r.DelayP50MS, r.DelayP99MS = ms(quantile(s, 0.5)), ms(quantile(s, 0.99))
}

// quantile returns a quantile of sorted values, of which there is one at least.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median returns the middle value, the mean of the middle two for an even count.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// comparison is rates of the engine and of a baseline, in turn.
type comparison struct{ rates, bases, ratios []float64 }

func (c *comparison) add(rate, base float64) {
	c.rates, c.bases, c.ratios = append(c.rates, rate), append(c.bases, base), append(c.ratios, rate/base)
}

func (c *comparison) medians() (rate, base float64) { return median(c.rates), median(c.bases) }

// peakRSS returns the largest resident set of this process, in MiB, 0 where the
// system doesn't tell.
func peakRSS() int {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(v)[0])
			return kb / 1024
		}
	}
	return 0
}

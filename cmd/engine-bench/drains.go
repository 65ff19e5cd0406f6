package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
)

// drainFlags are what the workloads have in common that drain a topic, a loop by
// hand and the engine in turn.
type drainFlags struct {
	records    *int64
	partitions *int
	topic      *string
	master     *string
	brokers    *string // each workload's own flag
	interval   *time.Duration
	rounds     *int
	warmUps    *int
	own        string                  // what the topic's own name ends with
	next       func() []byte           // makes the topic's records
	raw        func() (float64, error) // reads the topic raw and returns records per second; nil: it isn't
}

// newDrainFlags adds the flags but brokers, for so many records by default; a topic of the run's own is called after what.
func newDrainFlags(f *flag.FlagSet, what string, number int64, records string, interval time.Duration, rounds, warmUps int) drainFlags {
	return drainFlags{
		records:    f.Int64("records", number, records),
		partitions: f.Int("partitions", 8, "partitions of the topic"),
		topic:      f.String("topic", "", topicUsage("made and filled")),
		master:     f.String("master", "local[2]", localUsage),
		interval:   f.Duration("interval", interval, "batch interval"),
		rounds:     f.Int("rounds", rounds, "rounds of baseline and engine in turn"),
		warmUps:    f.Int("warm-ups", warmUps, "rounds before them that don't count"),
		own:        what,
		next:       lines(),
	}
}

// aboveOfDrains are the flags of newDrainFlags that are above 0.
func aboveOfDrains() []string { return []string{"records", "partitions", "interval", "rounds"} }

// check says what is wrong with the flags.
func (o drainFlags) check() error {
	if *o.warmUps < 0 {
		return fmt.Errorf("%w: --warm-ups is 0 or above", errUsage)
	}
	return checkLocal(*o.master)
}

// compare fills the topic and runs rounds, after those that don't count: raw, and then round, which
// runs the baseline, whose records per second it returns, and the engine as d.
func (o drainFlags) compare(ctx context.Context, addr, kind, baseline string, round func(d *drain) (base float64, err error)) (report, error) {
	var remove func()
	*o.topic, remove = topicFor(ctx, *o.topic, *o.brokers, o.own)
	defer remove()
	if err := load(ctx, addr, *o.topic, *o.partitions, *o.records, o.next); err != nil {
		return nil, err
	}
	r := &result{Records: *o.records, Master: *o.master, Brokers: kind, IntervalMS: ms(*o.interval), Baseline: baseline}
	var all, byRaw comparison
	var seconds []float64
	for n := range *o.rounds + *o.warmUps {
		raw, err := o.readRaw()
		if err != nil {
			return nil, err
		}
		d := &drain{records: *o.records}
		base, err := round(d)
		if err != nil {
			return nil, err
		}
		if n < *o.warmUps {
			continue
		}
		rate := float64(*o.records) / d.took.Seconds()
		beside := fmt.Sprintf("baseline %s/s", paper.Thousands(base))
		if raw > 0 {
			beside = fmt.Sprintf("raw %s/s, %s", paper.Thousands(raw), beside)
			byRaw.add(rate, raw)
		}
		fmt.Fprintf(os.Stderr, "round %d: %s, engine %s/s in %d batches\n", n-*o.warmUps+1, beside, paper.Thousands(rate), len(d.batches))
		all.add(rate, base)
		seconds = append(seconds, d.took.Seconds())
		d.fill(r)
	}
	r.RecordsPerSecond, r.BaselineRate = all.medians()
	r.Ratio, r.Ratios, r.Seconds = median(all.ratios), all.ratios, median(seconds)
	_, r.RawRate = byRaw.medians()
	r.RawRatio, r.RawRatios = median(byRaw.ratios), byRaw.ratios
	r.PeakRSSMiB = peakRSS()
	return r, nil
}

// readRaw reads the topic raw, where that is measured, and returns records per second, else 0.
func (o drainFlags) readRaw() (float64, error) {
	if o.raw == nil {
		return 0, nil
	}
	return o.raw()
}

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// wordsPerLine is how many words lines has in each line.
const wordsPerLine = 10

// runWordCount measures how fast lines are read, split into words and counted by word.
func runWordCount(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	records := f.Int64("records", 5_000_000, "lines to read, ten words and some 40 bytes each")
	partitions := f.Int("partitions", 8, "partitions of the topic")
	topic := f.String("topic", "bench-lines", "topic; made and filled if it isn't there")
	brokers := f.String("brokers", "", "Kafka addresses; none: an embedded broker in this process")
	master := f.String("master", "local[2]", "where the engine runs")
	interval := f.Duration("interval", 200*time.Millisecond, "batch interval")
	rounds := f.Int("rounds", 3, "rounds of baseline and engine in turn")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	addr, kind, stop, err := broker(*brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := load(ctx, addr, *topic, *partitions, *records, lines()); err != nil {
		return nil, err
	}
	r := &result{Records: *records, Master: *master, Brokers: kind, IntervalMS: ms(*interval), Baseline: "franz-go poll loop, 2 workers, a map of words each"}
	var rates, base, seconds []float64
	for round := range *rounds {
		want, b, err := countWords(ctx, addr, *topic, *records)
		if err != nil {
			return nil, err
		}
		d := &drain{records: *records}
		got, err := d.countWords(ctx, *master, addr, *topic, *interval)
		if err != nil {
			return nil, err
		}
		for word, n := range want {
			if got[word] != n {
				return nil, fmt.Errorf("the engine counted %q %d times, the baseline %d times", word, got[word], n)
			}
		}
		rate := float64(*records) / d.took.Seconds()
		fmt.Fprintf(os.Stderr, "round %d: baseline %.2f M lines/s, engine %.2f M lines/s in %d batches\n", round+1, b/1e6, rate/1e6, len(d.batches))
		rates, base, seconds = append(rates, rate), append(base, b), append(seconds, d.took.Seconds())
		r.Ratios = append(r.Ratios, rate/b)
		d.fill(r)
	}
	r.RecordsPerSecond, r.BaselineRate, r.Ratio, r.Seconds = median(rates), median(base), median(r.Ratios), median(seconds)
	r.PeakRSSMiB = peakRSS()
	return r, nil
}

// countWords counts the words of a topic without the engine and returns lines per second.
func countWords(ctx context.Context, addr, topic string, records int64) (words map[string]int64, rate float64, err error) {
	perWorker := make([]map[string]int64, 2)
	rate, err = pollLoop(ctx, addr, topic, len(perWorker), records, func(worker int) func([]byte) {
		counts := make(map[string]int64)
		perWorker[worker] = counts
		return func(value []byte) {
			for _, word := range strings.Fields(string(value)) {
				counts[word]++
			}
		}
	})
	words = make(map[string]int64)
	for _, counts := range perWorker {
		for word, n := range counts {
			words[word] += n
		}
	}
	return words, rate, err
}

// countWords counts the words of a topic with the engine.
func (d *drain) countWords(ctx context.Context, master, addr, topic string, interval time.Duration) (map[string]int64, error) {
	d.started = time.Now()
	words := make(map[string]int64)
	var total int64
	err := engine.NewApp("bench").Run(ctx, streamArgs(master, addr), interval, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(d)
		lines := kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue)
		engine.ForEachBatch(engine.CountByValue(engine.FlatMap(lines, strings.Fields)), func(_ engine.Batch, counts []rdd.Pair[string, int64]) error {
			for _, c := range counts {
				words[c.Key] += c.Value
				total += c.Value
			}
			if total >= d.records*wordsPerLine && d.took == 0 {
				d.took = time.Since(d.started)
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if err == nil && total != d.records*wordsPerLine {
		err = fmt.Errorf("counted %d of %d words", total, d.records*wordsPerLine)
	}
	return words, err
}

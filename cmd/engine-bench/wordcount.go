package main

import (
	"context"
	"flag"
	"fmt"
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
	o := newDrainFlags(f, "lines", 5_000_000, "lines to read, ten words and some 40 bytes each", 200*time.Millisecond, 3, 0)
	o.brokers = f.String("brokers", "", "Kafka addresses; none: an embedded broker in this process")
	if err := parse(f, args, aboveOfDrains()...); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	addr, kind, stop, err := broker(ctx, *o.brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	return o.compare(ctx, addr, kind, "franz-go poll loop, 2 workers, a map of words each", func(d *drain) (float64, error) {
		want, base, err := countWords(ctx, addr, *o.topic, *o.records)
		if err != nil {
			return 0, err
		}
		got, err := d.countWords(ctx, *o.master, addr, *o.topic, *o.interval)
		if err != nil {
			return 0, err
		}
		for word, n := range want {
			if got[word] != n {
				return 0, fmt.Errorf("the engine counted %q %d times, the baseline %d times", word, got[word], n)
			}
		}
		return base, nil
	})
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

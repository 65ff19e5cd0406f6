package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
)

// runCount measures how fast short records are read, mapped and counted.
func runCount(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	o := newDrainFlags(f, "lines", 10_000_000, "records to read", 20*time.Millisecond, 5, 1)
	size := f.Int("record-bytes", lineBytes, "bytes of a record, e.g. 784 as an image of MNIST; of 40, lines of ten words that have some 40.")
	o.brokers = f.String("brokers", "", "Kafka addresses; none: an embedded broker in a process of its own")
	if err := parse(f, args, aboveOfDrains()...); err != nil {
		return nil, err
	}
	if *size < 1 || *size > mostBytes {
		return nil, fmt.Errorf("%w: --record-bytes is from 1 to %d", errUsage, mostBytes)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if *size != lineBytes {
		o.next = recordsOf(*size)
	}
	addr, kind, stop, err := brokerProcess(ctx, *o.brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	o.raw = func() (float64, error) { return rawLoop(ctx, addr, *o.topic, 2, *o.records, addLengths) }
	return o.compare(ctx, addr, kind, "franz-go poll loop, 2 workers, record pool, 512 KiB a partition", func(d *drain) (float64, error) {
		base, err := pollLoop(ctx, addr, *o.topic, 2, *o.records, addLengths)
		if err != nil {
			return 0, err
		}
		return base, d.run(ctx, *o.master, addr, *o.topic, *o.interval)
	})
}

// Sizes of the records of count.
const (
	lineBytes = 40        // of lines, on average
	mostBytes = 1_000_000 // a broker's limit, by default, is little more
)

// addLengths adds up the values' lengths.
func addLengths(int) func(value []byte) {
	var bytes int64
	return func(value []byte) { bytes += int64(len(value)) }
}

// drain is one run of the engine over a full topic.
type drain struct {
	records int64
	took    time.Duration
	allocs  uint64
	batches []engine.BatchInfo
	started time.Time
}

// OnBatchCompleted notes a batch.
func (d *drain) OnBatchCompleted(b engine.BatchInfo) {
	if d.took == 0 || b.Records > 0 {
		d.batches = append(d.batches, b)
	}
}

// run counts the topic's records and stops when all are counted. The clock runs
// from the call until the last record is counted: start and first connections
// are in it.
func (d *drain) run(ctx context.Context, master, addr, topic string, interval time.Duration) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d.started = time.Now()
	var total int64
	args := streamArgs(master, addr)
	err := engine.NewApp("bench").Run(ctx, args, interval, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(d)
		lengths := engine.Map(kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue), func(s string) int { return len(s) })
		engine.ForEachBatch(engine.Count(lengths), func(_ engine.Batch, n []int64) error {
			total += n[0]
			if total >= d.records && d.took == 0 {
				d.took = time.Since(d.started)
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	runtime.ReadMemStats(&after)
	d.allocs = after.Mallocs - before.Mallocs
	if err == nil && total != d.records {
		err = fmt.Errorf("counted %d of %s records", total, strconv.FormatInt(d.records, 10))
	}
	return err
}

// fill sets what is known of the batches.
func (d *drain) fill(r *result) {
	r.Batches = len(d.batches)
	var sizes []float64
	var times []time.Duration
	for _, b := range d.batches {
		sizes = append(sizes, float64(b.Records))
		times = append(times, b.ProcessingTime)
	}
	r.BatchRecords = int64(median(sizes))
	r.latencies(times)
	r.AllocsPerRecord = float64(d.allocs) / float64(d.records)
}

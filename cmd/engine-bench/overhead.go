package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
)

// runOverhead measures what a batch costs that has next to nothing to do: one
// record, a map stage of as many tasks as the topic has partitions, and a task
// that adds up their counts.
func runOverhead(ctx context.Context, f *flag.FlagSet, args []string) (*result, error) {
	batches := f.Int("batches", 1000, "batches to run, after 50 to warm up")
	partitions := f.Int("partitions", 8, "partitions of the topic: tasks of a batch")
	brokers := f.String("brokers", "", "Kafka addresses; none: an embedded broker in this process")
	master := f.String("master", "local[2]", "where the engine runs")
	interval := f.Duration("interval", 5*time.Millisecond, "batch interval")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	addr, kind, stop, err := broker(*brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	topic := fmt.Sprintf("bench-overhead-%d", time.Now().UnixNano())
	if err := kafka.EnsureTopic(ctx, []string{addr}, topic, *partitions); err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	o := &overhead{want: *batches, warmup: 50}
	started := time.Now()
	err = engine.NewApp("bench").Run(ctx, []string{"--master", *master, "--brokers", addr, "--log-level", "error"}, *interval,
		func(ssc *engine.StreamingContext) error {
			ssc.AddListener(overheadListener{o, ssc.Stop})
			// One record for each batch, produced while the stream runs.
			ssc.DriverTask("producer", func(ctx context.Context) error {
				for tick := time.NewTicker(*interval); ; {
					select {
					case <-ctx.Done():
						tick.Stop()
						return nil
					case <-tick.C:
						cl.Produce(ctx, kgo.StringRecord("one record of some thirty bytes"), nil)
					}
				}
			})
			lengths := engine.Map(kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue), func(s string) int { return len(s) })
			engine.ForEachBatch(engine.Count(lengths), func(engine.Batch, []int64) error { return nil })
			return nil
		})
	if err != nil {
		return nil, err
	}
	r := &result{
		Records: o.records, Seconds: time.Since(started).Seconds(), Batches: len(o.processing), Master: *master, Brokers: kind,
		IntervalMS: ms(*interval), PeakRSSMiB: peakRSS(), BatchRecords: 1,
	}
	r.RecordsPerSecond = float64(r.Records) / r.Seconds
	r.latencies(o.processing)
	last := o.delays[len(o.delays)-min(len(o.delays), 100):]
	r.LastDelayMS = median(last)
	if r.LastDelayMS > 2*r.IntervalMS {
		return r, fmt.Errorf("the interval of %s does not hold: the last batches were complete %.1f ms after their time", *interval, r.LastDelayMS)
	}
	return r, nil
}

// overhead notes the batches after a warm-up.
type overhead struct {
	want, warmup int
	seen         int
	records      int64
	processing   []time.Duration
	delays       []float64
}

// overheadListener feeds an overhead and stops its stream. The build function
// runs once for the driver and once for the executor: each has its own stop.
type overheadListener struct {
	*overhead
	stop func()
}

// OnBatchCompleted notes a batch.
func (o overheadListener) OnBatchCompleted(b engine.BatchInfo) {
	o.seen++
	if o.seen <= o.warmup || len(o.processing) >= o.want {
		return
	}
	o.records += b.Records
	o.processing = append(o.processing, b.ProcessingTime)
	o.delays = append(o.delays, ms(b.TotalDelay))
	if len(o.processing) == o.want {
		o.stop()
	}
}

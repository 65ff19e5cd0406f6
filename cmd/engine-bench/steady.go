package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/hibana-engine/hibana/engine"
)

// steadyFlags are what the workloads have in common that read a topic of keys at a rate.
type steadyFlags struct {
	keys       *int
	rate       *int
	warm       *int
	batches    *int
	partitions *int
	interval   *time.Duration
	master     *string
	brokers    *string
}

func newSteadyFlags(f *flag.FlagSet, keys, rate, warm int) steadyFlags {
	return steadyFlags{
		keys:       f.Int("keys", keys, "keys"),
		rate:       f.Int("rate", rate, "records a second, of 8 bytes"),
		warm:       f.Int("warm", warm, "batches before those that count"),
		batches:    f.Int("batches", 40, "batches that count"),
		partitions: f.Int("partitions", 8, "partitions of the topic"),
		interval:   f.Duration("interval", time.Second, "batch interval"),
		master:     f.String("master", "local[2]", localUsage),
		brokers:    f.String("brokers", "", "Kafka addresses; none: an embedded broker in a process of its own"),
	}
}

// check says what is wrong with the flags.
func (o steadyFlags) check() error {
	if *o.keys < 1 || *o.partitions < 1 || *o.rate < *o.partitions || *o.warm < 0 || *o.batches < 1 || *o.interval <= 0 {
		return fmt.Errorf("%w: --keys, --partitions, --batches and --interval are above 0, and --rate is a record of each partition at least", errUsage)
	}
	return checkLocal(*o.master)
}

// steady is a run of the engine over a topic of keys, at a rate.
type steady struct {
	steadyFlags
	addr, topic string
	kind        string         // of the broker
	ran         []steadyBatch  // all, those before what counts among them
	seen        func(b uint64) // told of each batch when it is complete; nil for nobody
}

// steadyBatch is a batch of a steady run.
type steadyBatch struct {
	engine.BatchInfo
	ended time.Time
}

// began returns when a batch's first job began.
func (b steadyBatch) began() time.Time { return b.ended.Add(-b.ProcessingTime) }

// start fills a topic with as much as the run reads; stop deletes it.
func (o steadyFlags) start(ctx context.Context) (s *steady, stop func(), err error) {
	addr, kind, end, err := brokerProcess(ctx, *o.brokers)
	if err != nil {
		return nil, nil, err
	}
	topic, remove := topicFor(ctx, "", *o.brokers, "keys")
	s = &steady{steadyFlags: o, addr: addr, kind: kind, topic: topic}
	const spare = 10 // batches
	n := float64(*o.rate) * o.interval.Seconds() * float64(*o.warm+*o.batches+spare)
	stop = func() { remove(); end() }
	if err := load(ctx, addr, topic, *o.partitions, int64(n), keys(*o.keys)); err != nil {
		stop()
		return nil, nil, err
	}
	return s, stop, nil
}

// run runs a program until as many batches are complete as are wanted.
func (s *steady) run(ctx context.Context, conf []string, program func(ssc *engine.StreamingContext)) error {
	args := append(streamArgs(*s.master, s.addr), "--conf", "streaming.backpressure.enabled=false",
		"--conf", fmt.Sprintf("streaming.kafka.maxRatePerPartition=%g", float64(*s.rate)/float64(*s.partitions)))
	return engine.NewApp("bench").Run(ctx, append(args, conf...), *s.interval, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(steadyListener{s, ssc.Stop})
		program(ssc)
		return nil
	})
}

// counted returns the batches that count.
func (s *steady) counted() []steadyBatch {
	return s.ran[min(len(s.ran), *s.warm):min(len(s.ran), *s.warm+*s.batches)]
}

// result returns what was measured of the batches that count.
func (s *steady) result() (*result, error) {
	counted := s.counted()
	r := &result{Master: *s.master, Brokers: s.kind, IntervalMS: ms(*s.interval), Batches: len(counted), PeakRSSMiB: peakRSS()}
	var times, delays []time.Duration
	var sizes []float64
	for _, b := range counted {
		r.Records += b.Records
		times, delays, sizes = append(times, b.ProcessingTime), append(delays, b.TotalDelay), append(sizes, float64(b.Records))
	}
	if len(counted) < *s.batches {
		return r, fmt.Errorf("%d of %d batches ran", len(counted), *s.batches)
	}
	r.BatchRecords = int64(median(sizes))
	r.Seconds = counted[len(counted)-1].ended.Sub(counted[0].began()).Seconds()
	r.RecordsPerSecond = float64(r.Records) / r.Seconds
	r.latencies(times)
	r.delays(delays)
	r.LastDelayMS = ms(delays[len(delays)-1])
	return r, nil
}

// steadyListener notes a run's batches and stops its stream.
type steadyListener struct {
	*steady
	stop func()
}

// OnBatchCompleted notes a batch.
func (s steadyListener) OnBatchCompleted(b engine.BatchInfo) {
	s.ran = append(s.ran, steadyBatch{b, time.Now()})
	if s.seen != nil {
		s.seen(b.Seq)
	}
	if len(s.ran) == *s.warm+*s.batches {
		s.stop()
	}
	if len(s.ran)%10 == 0 {
		fmt.Fprintf(os.Stderr, "batch %d: %.1f ms\n", b.Seq, ms(b.ProcessingTime))
	}
}

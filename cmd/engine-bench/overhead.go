package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
)

// runOverhead measures what a batch costs that has next to nothing to do: one
// record, a map stage of as many tasks as the topic has partitions, and a task
// that adds up their counts.
func runOverhead(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	batches := f.Int("batches", 1000, "batches to run, after 50 to warm up")
	partitions := f.Int("partitions", 8, "partitions of the topic: tasks of a batch")
	brokers := f.String("brokers", "", "Kafka addresses; none: an embedded broker in this process")
	master := f.String("master", "local[2]", "where the engine runs: local[N], local-cluster[N,CORES], or cluster for 3 engine-drivers and 2 engine-executors")
	topic := f.String("topic", "", topicUsage("made"))
	interval := f.Duration("interval", 5*time.Millisecond, "batch interval")
	file := f.String("result", "", internal+"file for a job on a cluster to leave its figures in")
	if err := parse(f, args, "batches", "partitions", "interval"); err != nil {
		return nil, err
	}
	o := &overhead{want: *batches, warmup: 50, topic: *topic, interval: *interval}
	if inJob() {
		o.file = *file
		return nil, o.run(ctx, *master, *brokers)
	}
	addr, kind, stop, err := broker(ctx, *brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	var remove func()
	o.topic, remove = topicFor(ctx, o.topic, *brokers, "overhead")
	defer remove()
	if err := makeTopic(ctx, addr, o.topic, *partitions); err != nil {
		return nil, err
	}
	started := time.Now()
	if *master == masterCluster {
		*master, err = clusterIs, o.runOnCluster(ctx, addr)
	} else {
		err = o.run(ctx, *master, addr)
	}
	if err != nil {
		return nil, err
	}
	r := &result{
		Records: o.records, Seconds: time.Since(started).Seconds(), Batches: len(o.processing), Master: *master, Brokers: kind,
		IntervalMS: ms(*interval), PeakRSSMiB: peakRSS(), BatchRecords: 1,
	}
	r.RecordsPerSecond = float64(r.Records) / r.Seconds
	r.latencies(o.processing)
	r.delays(o.delays)
	last := o.delays[len(o.delays)-min(len(o.delays), 100):]
	for _, d := range last {
		r.LastDelayMS += ms(d) / float64(len(last))
	}
	if r.LastDelayMS > 2*r.IntervalMS {
		return r, fmt.Errorf("the interval of %s does not hold: the last batches were complete %.1f ms after their time", *interval, r.LastDelayMS)
	}
	return r, nil
}

// overhead notes the batches after a warm-up.
type overhead struct {
	topic        string
	file         string // where a job on a cluster leaves its figures
	interval     time.Duration
	want, warmup int
	seen         int
	records      int64
	processing   []time.Duration
	delays       []time.Duration
}

// run runs the stream until as many batches are complete as are wanted.
func (o *overhead) run(ctx context.Context, master, addr string) error {
	app := engine.NewApp("bench")
	app.ChildArgs("overhead", "--brokers", addr, "--topic", o.topic, "--interval", o.interval.String())
	args := streamArgs(master, addr)
	return app.Run(ctx, args, o.interval, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(overheadListener{o, ssc.Stop})
		ssc.DriverTask("producer", func(ctx context.Context) error { return o.produce(ctx, addr) })
		lengths := engine.Map(kafka.Direct(ssc, kafka.Subscribe(o.topic), kafka.StringValue), func(s string) int { return len(s) })
		engine.ForEachBatch(engine.Count(lengths), func(engine.Batch, []int64) error { return nil })
		return nil
	})
}

// figures are what a job on a cluster measured.
type figures struct {
	Records            int64
	Processing, Delays []time.Duration
}

// runOnCluster starts a cluster and submits this program to it.
func (o *overhead) runOnCluster(ctx context.Context, addr string) (err error) {
	c, err := startCluster(ctx)
	if err != nil {
		return err
	}
	defer func() { c.close(err) }()
	var got figures
	err = c.run(ctx, &got, "overhead", "--brokers", addr, "--topic", o.topic, "--interval", o.interval.String(), "--batches", fmt.Sprint(o.want))
	o.records, o.processing, o.delays = got.Records, got.Processing, got.Delays
	if err == nil && len(o.delays) == 0 {
		err = errors.New("the job measured nothing")
	}
	return err
}

// leave writes the figures to a file, if the job has one.
func (o *overhead) leave() error {
	if o.file == "" {
		return nil
	}
	b, err := json.Marshal(figures{o.records, o.processing, o.delays})
	if err != nil {
		return err
	}
	return os.WriteFile(o.file, b, 0o600)
}

// produce writes one record for each batch while the stream runs.
func (o *overhead) produce(ctx context.Context, addr string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(addr)...), kgo.DefaultProduceTopic(o.topic), kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	defer cl.Close()
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			cl.Produce(ctx, kgo.StringRecord("one record of some thirty bytes"), nil)
		}
	}
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
	o.delays = append(o.delays, b.TotalDelay)
	if len(o.processing) == o.want {
		if err := o.leave(); err != nil { // who waits for it says that it is missing
			fmt.Fprintln(os.Stderr, "engine-bench:", err)
		}
		o.stop()
	}
}

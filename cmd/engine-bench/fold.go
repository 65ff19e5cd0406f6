package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
)

// tally is how many records were counted, and of how many keys.
type tally struct{ Records, Keys int64 }

func (t tally) plus(o tally) tally { return tally{t.Records + o.Records, t.Keys + o.Keys} }

// runFold measures how fast records are counted by key, over all batches.
func runFold(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	o := newDrainFlags(f, "keys", 5_000_000, "records to read, each a key of 8 bytes", 200*time.Millisecond, 3, 1)
	n := f.Int("keys", 100_000, "keys")
	o.brokers = f.String("brokers", "", "Kafka addresses; none: an embedded broker in a process of its own")
	if err := parse(f, args, append(aboveOfDrains(), "keys")...); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	addr, kind, stop, err := brokerProcess(ctx, *o.brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	o.next = keys(*n)
	return o.compare(ctx, addr, kind, "franz-go poll loop, 2 workers, a map of keys each", func(d *drain) (float64, error) {
		want, base, err := countKeys(ctx, addr, *o.topic, *o.records)
		if err != nil {
			return 0, err
		}
		got, err := d.countKeys(ctx, *o.master, addr, *o.topic, *o.interval)
		if err == nil && got != want {
			err = fmt.Errorf("the engine counted %+v, the baseline %+v", got, want)
		}
		return base, err
	})
}

// countKeys counts the records of each key without the engine and returns records per
// second.
func countKeys(ctx context.Context, addr, topic string, records int64) (t tally, rate float64, err error) {
	perWorker := make([]map[uint64]int64, 2)
	rate, err = pollLoop(ctx, addr, topic, len(perWorker), records, func(worker int) func([]byte) {
		counts := make(map[uint64]int64)
		perWorker[worker] = counts
		return func(value []byte) {
			if k, err := keyOf(value); err == nil { // else the tallies differ
				counts[k]++
			}
		}
	})
	all := make(map[uint64]int64)
	for _, counts := range perWorker {
		for k, n := range counts {
			all[k] += n
			t.Records += n
		}
	}
	t.Keys = int64(len(all))
	return t, rate, err
}

// countKeys counts the records of each key with the engine.
func (d *drain) countKeys(ctx context.Context, master, addr, topic string, interval time.Duration) (t tally, err error) {
	d.started = time.Now()
	err = engine.NewApp("bench").Run(ctx, streamArgs(master, addr), interval, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(d)
		pairs := kafka.Direct(ssc, kafka.Subscribe(topic), one)
		counted := engine.MapWithState(engine.ReduceByKey(pairs, add), "counts", func(_ uint64, n *int64, s *engine.State[int64]) (tally, bool) {
			count, known := s.Get()
			s.Update(count + *n)
			if known {
				return tally{Records: *n}, true
			}
			return tally{Records: *n, Keys: 1}, true
		})
		engine.ForEachBatch(engine.Reduce(counted, tally.plus), func(_ engine.Batch, batch []tally) error {
			for _, b := range batch {
				t = t.plus(b)
			}
			if t.Records >= d.records && d.took == 0 {
				d.took = time.Since(d.started)
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	return t, err
}

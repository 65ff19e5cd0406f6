package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
)

// runWindow measures what batches take that add up a sliding window by key.
func runWindow(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	o := newSteadyFlags(f, 100_000, 50_000, 15)
	length := f.Duration("window", 10*time.Second, "length of the window")
	slide := f.Duration("slide", time.Second, "slide of the window")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	s, stop, err := o.start(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	var counted int64
	err = s.run(ctx, nil, func(ssc *engine.StreamingContext) {
		pairs := kafka.Direct(ssc, kafka.Subscribe(s.topic), one)
		sums := engine.ReduceByKeyAndWindowInverse(pairs, "sums", add, subtract, *length, *slide, nil)
		engine.ForEachBatch(engine.Count(sums), func(_ engine.Batch, n []int64) error {
			counted = n[0]
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if counted == 0 || counted > int64(*o.keys) {
		return nil, fmt.Errorf("the last window has %d of %d keys", counted, *o.keys)
	}
	return s.result()
}

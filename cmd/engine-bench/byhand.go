package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// byHand reads partitions of a topic from their start until the given offsets without the engine,
// hands their values to each, and returns how many there were.
type byHand func(ctx context.Context, addr, topic string, until map[int32]int64, each func(value []byte)) (int64, error)

// drain has workers read a whole topic, of so many records, and returns records per second. A worker has
// a share of the partitions, whose values go to what each makes for it. The clock runs from before
// the workers connect until the last one is done.
func (read byHand) drain(ctx context.Context, addr, topic string, workers int, records int64, each func(worker int) func(value []byte)) (float64, error) {
	until, err := ends(ctx, addr, topic)
	if err != nil {
		return 0, err
	}
	per := make([]map[int32]int64, workers)
	for w := range per {
		per[w] = make(map[int32]int64)
	}
	for p, end := range until {
		per[int(p)%workers][p] = end
	}
	started := time.Now()
	counts := make([]int64, workers)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { counts[w], errs[w] = read(ctx, addr, topic, per[w], each(w)) })
	}
	wg.Wait()
	took := time.Since(started)
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	var n int64
	for _, c := range counts {
		n += c
	}
	if n != records {
		return 0, fmt.Errorf("read %d of %d records", n, records)
	}
	return float64(n) / took.Seconds(), nil
}

// ends returns the end offset of each partition.
func ends(ctx context.Context, addr, topic string) (map[int32]int64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(addr)...))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	listed, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("looking at topic %s: %w", topic, err)
	}
	until := make(map[int32]int64)
	listed.Each(func(o kadm.ListedOffset) { until[o.Partition] = o.Offset })
	return until, nil
}

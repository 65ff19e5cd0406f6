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

// drainByHand reads a whole topic without the engine and returns records per second. Each
// worker's share of the partitions is read by a call of read, from their start until the given
// offsets; it returns how many records it has read. The clock runs from before the workers
// connect until the last one is done.
func drainByHand(ctx context.Context, addr, topic string, workers int, records int64, read func(worker int, until map[int32]int64) (int64, error)) (float64, error) {
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
		wg.Go(func() { counts[w], errs[w] = read(w, per[w]) })
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
	if err != nil {
		return nil, fmt.Errorf("looking at topic %s: %w", topic, err)
	}
	until := make(map[int32]int64)
	listed.Each(func(o kadm.ListedOffset) { until[o.Partition] = o.Offset })
	return until, nil
}

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// recordPool lends the slabs that franz-go decodes batches into.
type recordPool struct{ p sync.Pool }

func (p *recordPool) GetRecords(n int) []kgo.Record {
	if s, ok := p.p.Get().(*[]kgo.Record); ok && cap(*s) >= n {
		return *s
	}
	return make([]kgo.Record, n)
}

func (p *recordPool) PutRecords(s []kgo.Record) { p.p.Put(&s) }

// pollLoop reads a whole topic with bare franz-go clients, tuned as well as we
// can (no group, pooled records, small partition fetches), hands each worker's values to
// what each makes for it, and returns records per second, connecting included.
func pollLoop(ctx context.Context, addr, topic string, workers int, records int64, each func(worker int) func(value []byte)) (float64, error) {
	until, err := ends(ctx, addr, topic)
	if err != nil {
		return 0, err
	}
	per := make([]map[int32]int64, workers)
	for p, end := range until {
		w := int(p) % workers
		if per[w] == nil {
			per[w] = make(map[int32]int64)
		}
		per[w][p] = end
	}
	started := time.Now()
	counts := make([]int64, workers)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { counts[w], errs[w] = pollPartitions(ctx, addr, topic, per[w], each(w)) })
	}
	wg.Wait()
	took := time.Since(started)
	var n int64
	for w := range workers {
		if errs[w] != nil {
			return 0, fmt.Errorf("baseline: %w", errs[w])
		}
		n += counts[w]
	}
	if n != records {
		return 0, fmt.Errorf("baseline read %d of %d records", n, records)
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

// pollPartitions reads partitions from their start until the given offsets.
func pollPartitions(ctx context.Context, addr, topic string, until map[int32]int64, each func(value []byte)) (n int64, err error) {
	from := make(map[int32]kgo.Offset)
	open := make(map[int32]int64)
	for p, end := range until {
		if end > 0 {
			from[p], open[p] = kgo.NewOffset().AtStart(), end
		}
	}
	if len(open) == 0 {
		return 0, nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(addr)...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchMaxPartitionBytes(512<<10), kgo.WithPools(&recordPool{}))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	for len(open) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return 0, err
		}
		fs.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				n++
				each(r.Value)
				if end, ok := open[p.Partition]; ok && r.Offset >= end-1 {
					delete(open, p.Partition)
				}
				r.Recycle()
			}
		})
	}
	return n, nil
}

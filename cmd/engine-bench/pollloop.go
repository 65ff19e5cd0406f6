package main

import (
	"context"
	"fmt"
	"sync"

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
	rate, err := byHand(pollPartitions).drain(ctx, addr, topic, workers, records, each)
	if err != nil {
		return 0, fmt.Errorf("baseline: %w", err)
	}
	return rate, nil
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

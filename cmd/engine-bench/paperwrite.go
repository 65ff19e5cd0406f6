package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// writePatience is how long an image may wait until a broker has taken it.
const writePatience = time.Minute

// write writes the grid's images to a topic, with a client tuned as well as we can, and
// returns when it began and images/s until all were acknowledged.
func (b *paperBench) write(ctx context.Context, topic string) (began time.Time, rate float64, err error) {
	cl, err := b.newClient(ctx, kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(10*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(50_000),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(64<<10, true, true, nil)), kgo.RecordDeliveryTimeout(writePatience))
	if err != nil {
		return began, 0, err
	}
	defer cl.Close()
	var f firstError
	records := make([]kgo.Record, b.perRun) // at once, so that the client is measured and not the allocator
	began = time.Now()
	for i := range records {
		records[i].Value = b.images.Image(i % b.images.Len())
		cl.Produce(ctx, &records[i], f.note)
		if f.any.Load() {
			break
		}
	}
	err = cl.Flush(ctx)
	took := time.Since(began)
	if f.any.Load() {
		err = f.err
	}
	if err != nil {
		return began, 0, fmt.Errorf("writing to topic %s: %w", topic, err)
	}
	return began, float64(len(records)) / took.Seconds(), nil
}

// firstError is the first error of records that are written.
type firstError struct {
	once sync.Once
	err  error // to be read when any is true
	any  atomic.Bool
}

func (f *firstError) note(_ *kgo.Record, err error) {
	if err != nil {
		f.once.Do(func() {
			f.err = err
			f.any.Store(true)
		})
	}
}

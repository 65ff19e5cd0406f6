// Package feed writes made-up records to a topic, at a steady rate, for examples to read.
package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
)

// Feed says what is written, and where.
type Feed struct {
	Topic      string
	Partitions int           // of the topic, if it isn't there
	Rate       float64       // records/s, of the flag --rate
	Count      int           // records in all, 0 until the stream is stopped, below 0 none
	Flag       string        // that says Count, without dashes
	After      time.Duration // the feed begins so long after the stream
	// Record returns the key of record i, and its value, which is written as JSON, but bytes as they
	// are.
	Record func(i int) (key string, value any)
}

// maxRate bounds a feed's rate, in records/s.
const maxRate = 1e9

// Check reports flags with which nothing would come of the stream. Call it first.
func (f Feed) Check(ssc *engine.StreamingContext) error {
	switch {
	case !(f.Rate > 0 && f.Rate <= maxRate):
		return fmt.Errorf("%w: --rate %g: it takes a number above 0, up to %g", engine.ErrUsage, f.Rate, maxRate)
	case f.Count < 0 && ssc.Brokers() == "" && !ssc.Looking():
		return fmt.Errorf("%w: with --%s %d nothing is written, and the broker in this process has nothing to read: give --brokers HOST:PORT of one that has", engine.ErrUsage, f.Flag, f.Count)
	case f.Count >= 0 && ssc.UntilEnd():
		return fmt.Errorf("%w: --until-end ends when what was there at the start is read, and --%s %d is written later: read what is there with --%s -1 --brokers HOST:PORT", engine.ErrUsage, f.Flag, f.Count, f.Flag)
	}
	return nil
}

// Declare has the feed written beside the stream, by the active driver, which stops the
// stream when all records are written and grace has passed: what is under way is done then.
func (f Feed) Declare(ssc *engine.StreamingContext, grace time.Duration) {
	if f.Count < 0 {
		return
	}
	brokers := kafka.Brokers(ssc)
	ssc.OnDriver(func(ctx context.Context) error {
		return kafka.EnsureTopic(ctx, brokers, f.Topic, f.Partitions)
	})
	ssc.DriverTask("feed of "+f.Topic, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.After):
		}
		if err := f.write(ctx, brokers); err != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(grace):
			ssc.Stop()
		}
		return nil
	})
}

// write writes the records until all are written or ctx ends.
func (f Feed) write(ctx context.Context, brokers []string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(f.Topic))
	if err != nil {
		return fmt.Errorf("connecting the feed: %w", err)
	}
	defer cl.Close()
	const step = 20 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	began, written := time.Now(), 0
	for f.Count == 0 || written < f.Count {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		due := int(time.Since(began).Seconds() * f.Rate)
		if f.Count > 0 {
			due = min(due, f.Count)
		}
		var records []*kgo.Record
		for ; written < due; written++ {
			key, value := f.Record(written)
			b, err := encode(value)
			if err != nil {
				return fmt.Errorf("encoding record %d of the feed: %w", written, err)
			}
			records = append(records, &kgo.Record{Key: []byte(key), Value: b})
		}
		if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("writing the feed: %w", err)
		}
	}
	return nil
}

// encode returns a record's bytes.
func encode(value any) ([]byte, error) {
	if b, ok := value.([]byte); ok {
		return b, nil
	}
	return json.Marshal(value)
}

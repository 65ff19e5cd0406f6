package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// errTooMany ends a program that makes one batch after the other.
var errTooMany = errors.New("too many batches")

// A limit of the rate holds by the clock in every cadence, also where what it lets into a batch
// is no whole number of records, and nothing is planned of which it lets in none, but at the
// multiples of the interval.
func TestLimitsHold(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		rate           string
		interval       time.Duration
		records        int
		least, most    time.Duration // from the first batch to the last record
		batches        int           // at most
		cadence, extra string
	}{
		"12.34 in the first, then one after the other": {"12.34", 1000 * ms, 40, 2200 * ms, 2400 * ms, 32, "--asap", ""},
		"a long interval isn't waited for":             {"10", 20_000 * ms, 205, 500 * ms, 600 * ms, 7, "--asap", ""},
		"0.1 a batch":                                  {"0.1", 1000 * ms, 2, 18_000 * ms, 20_000 * ms, 21, "--asap", ""},
		"a budget below it":                            {"100", 1000 * ms, 200, 1400 * ms, 1600 * ms, 155, "--asap", "streaming.backpressure.initialRate=50"},
		"a budget below what it lets in of the rest":   {"100", 1000 * ms, 80, 250 * ms, 350 * ms, 35, "--asap", "streaming.backpressure.initialRate=50"},
		"0.1 a batch, until the end":                   {"1", 100 * ms, 5, 4800 * ms, 5000 * ms, 51, "--until-end", ""},
		"12.34 a batch, until the end":                 {"123.4", 100 * ms, 100, 700 * ms, 900 * ms, 10, "--until-end", ""},
		"a budget below it, until the end":             {"100", 1000 * ms, 200, 1000 * ms, 4000 * ms, 5, "--until-end", "streaming.backpressure.initialRate=50"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				b.Produce(t, "in", nil, values(0, c.records)...)
				var began time.Time
				var took time.Duration
				got, batches := 0, 0
				args := []string{c.cadence, "--batch-interval", c.interval.String(), "--conf", "streaming.kafka.maxRatePerPartition=" + c.rate}
				if c.extra != "" {
					args = append(args, "--conf", c.extra)
				}
				err := run(t, b, func(ssc *engine.StreamingContext) error {
					engine.ForEachBatch(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), func(bt engine.Batch, rows []string) error {
						if batches++; batches == 1 {
							began = time.Now()
						}
						if len(rows) == 0 && batches > 1 && !bt.Time.Equal(bt.Time.Truncate(c.interval)) {
							t.Errorf("batch %d, of %s, is empty", batches, bt.Time)
						}
						if got += len(rows); got == c.records {
							took = time.Since(began)
							ssc.Stop()
						}
						if batches > 2*c.batches {
							return errTooMany
						}
						return nil
					})
					return nil
				}, args...)
				if err != nil || got != c.records || took < c.least || took > c.most || batches > c.batches {
					t.Errorf("%d records in %s and %d batches, %v", got, took, batches, err)
				}
			}, "in")
		})
	}
}

// While more records come than a limit lets in, the next batch waits for the limit, not for
// the next record.
func TestLimitWhileRecordsCome(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		producer := b.Client(t, kgo.DefaultProduceTopic("in"))
		got, batches := 0, 0
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			engine.ForEachBatch(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), func(bt engine.Batch, rows []string) error {
				if batches++; len(rows) == 0 && batches > 1 {
					t.Errorf("batch %d, of %s, is empty", batches, bt.Time)
				}
				if got += len(rows); batches > 100 {
					return errTooMany
				}
				return nil
			})
			ssc.DriverTask("producer", func(ctx context.Context) error {
				for range 300 {
					time.Sleep(10 * time.Millisecond)
					if err := producer.ProduceSync(ctx, kgo.StringRecord("v")).FirstErr(); err != nil {
						return err
					}
				}
				ssc.Stop()
				return nil
			})
			return nil
		}, "--asap", "--batch-interval", "10s", "--conf", "streaming.kafka.maxRatePerPartition=10")
		if err != nil || got < 28 || got > 31 || batches > 33 {
			t.Errorf("%d records in %d batches and 3 s, 10 a second are allowed, %v", got, batches, err)
		}
	}, "in")
}

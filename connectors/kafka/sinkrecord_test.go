package kafka_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// A program sets all that a record has: here a topic is copied, with times an hour later and
// partitions the other way round, beside a sink that sets nothing.
func TestSinkSetsRecords(t *testing.T) {
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		topic, out, plain := b.Topic(t, 3), b.Topic(t, 3), b.Topic(t, 1)
		first := time.Now().Add(-3 * time.Hour).Truncate(time.Millisecond)
		for p := range int32(3) {
			b.Produce(t, topic, nil, &kgo.Record{Partition: p, Key: []byte("same"), Value: fmt.Append(nil, p), Timestamp: first.Add(time.Duration(p) * time.Minute),
				Headers: []kgo.RecordHeader{{Key: "trace", Value: fmt.Append(nil, p)}, {Key: "null"}}})
		}
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			in := kafka.Direct(ssc, kafka.Subscribe(topic), kafka.Raw)
			value := func(r kafka.Record) ([]byte, error) { return r.Value, nil }
			kafka.Sink(in, out, value,
				kafka.Key(func(r kafka.Record) []byte { return r.Key }),
				kafka.Headers(func(r kafka.Record) []kafka.Header { return kafka.HeadersOf(&r) }),
				kafka.Partition(func(r kafka.Record) int32 { return 2 - r.Partition }),
				kafka.Timestamp(func(r kafka.Record) time.Time {
					if r.Partition == 2 {
						return time.Time{}
					}
					return time.UnixMilli(r.Timestamp).Add(time.Hour)
				}))
			kafka.Sink(in, plain, value)
			return nil
		}, "--until-end")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range read(t, b, out, 3) {
			when := fmt.Sprint(r.Timestamp.Sub(first))
			if r.Timestamp.After(first.Add(2 * time.Hour)) {
				when = "now"
			}
			own := r.Headers[len(r.Headers)-2:]
			if own[0].Key != kafka.BatchHeader || own[1].Key != kafka.JobHeader {
				t.Errorf("last are the headers %s", own)
			}
			got = append(got, fmt.Sprintf("%d %s=%s %s %s", r.Partition, r.Key, r.Value, when, r.Headers[:len(r.Headers)-2]))
		}
		slices.Sort(got)
		want := []string{
			"0 same=2 now [{trace 2} {null }]",
			"1 same=1 1h1m0s [{trace 1} {null }]",
			"2 same=0 1h0m0s [{trace 0} {null }]",
		}
		if !slices.Equal(got, want) {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
		for _, r := range read(t, b, plain, 3) {
			if r.Key != nil || len(r.Headers) != 2 || r.Timestamp.Before(first.Add(2*time.Hour)) {
				t.Errorf("without options: %+v", r)
			}
		}
	})
}

// A partition or a time that no record can have fails the job, and at once: what comes before it is written
// once.
func TestSinkRefusesRecords(t *testing.T) {
	place := func(n int32) kafka.SinkOption[string] {
		return kafka.Partition(func(v string) int32 {
			if v == "x" {
				return n
			}
			return 0
		})
	}
	for says, opt := range map[string]kafka.SinkOption[string]{
		"kafka.Partition gives a record of topic OUT partition 1, which it doesn't have: it has 1, numbered from 0": place(1),
		"kafka.Partition gives a record of topic OUT partition -1: partitions are numbered from 0":                  place(-1),
		"kafka.Timestamp gives a record of topic OUT the time 1969-12-31T23:59:00Z: records have no times before 1970": kafka.Timestamp(func(v string) time.Time {
			if v == "x" {
				return time.Unix(-60, 0).UTC()
			}
			return time.Time{}
		}),
	} {
		onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
			out := b.Topic(t, 1)
			says := strings.Replace(says, "OUT", out, 1)
			err := run(t, b, func(ssc *engine.StreamingContext) error {
				kafka.Sink(enginetest.Queue(ssc, [][]string{{"fits", "x"}}, 1), out, kafka.String, opt)
				return nil
			}, "--batch-interval", "100ms")
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v\nwant %s", err, says)
			}
			if end := b.Ends(t, out, false)[0]; end != 1 {
				t.Errorf("%s: %d records are written", says, end)
			}
		})
	}
}

// A partition that was added while the stream runs can be written to.
func TestSinkWritesToAnAddedPartition(t *testing.T) {
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		out := b.Topic(t, 1)
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			rows := enginetest.Queue(ssc, [][]string{{"0"}, {"1", "0", "1"}}, 1)
			kafka.Sink(rows, out, kafka.String, kafka.Partition(func(v string) int32 { return int32(v[0] - '0') }))
			engine.ForEachBatch(rows, func(batch engine.Batch, _ []string) error {
				if batch.Seq == 1 {
					grow(t, b, out, 1)
				} else {
					ssc.Stop()
				}
				return nil
			})
			return nil
		}, "--batch-interval", "100ms")
		if ends := b.Ends(t, out, false); err != nil || ends[0] != 2 || ends[1] != 2 {
			t.Errorf("%v, %v", ends, err)
		}
	})
}

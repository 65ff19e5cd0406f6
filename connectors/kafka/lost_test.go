package kafka_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// After records were lost batches stay as long as they were: how fast offsets passed behind
// which there was nothing says nothing of records. They are passed at once, or as soon as the
// planner has looked where the logs begin.
func TestLostRecordsLeaveTheRateAlone(t *testing.T) {
	const all, gone, before, chunk = 7000, 5000, 1000, 100
	const interval = time.Second
	for name, c := range map[string]struct {
		running bool // records are lost while it runs
		args    []string
		passed  time.Duration // at most until a record is read that is there still
	}{
		"while it stood still":                {false, nil, interval},
		"while it stood still, as it can":     {false, []string{"--asap"}, interval},
		"while it stood still, until the end": {false, []string{"--until-end"}, interval},
		"while it runs":                       {true, nil, 10 * time.Second},
		"while it runs, as soon as it can":    {true, []string{"--asap"}, 10 * time.Second},
		"while it runs, within a limit":       {true, []string{"--conf", "streaming.kafka.maxRatePerPartition=1500"}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				value := bytes.Repeat([]byte("v"), 4096) // else a reader holds all of them when they are deleted
				for range all / chunk {
					var records []*kgo.Record
					for range chunk {
						records = append(records, &kgo.Record{Value: value})
					}
					b.Produce(t, "in", []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}, records...)
				}
				args := append([]string{"--checkpoint", t.TempDir(), "--conf", "streaming.backpressure.initialRate=500"}, c.args...)
				var read, bad int64
				var longest time.Duration
				passed := time.Duration(-1)
				var lost time.Time
				lose := func() {
					b.DeleteBefore(t, "in", 0, gone)
					lost = time.Now()
				}
				start := func(enough int64) {
					err := run(t, b, func(ssc *engine.StreamingContext) error {
						d := kafka.Direct(ssc, kafka.Subscribe("in"), func(r *kafka.Record) (int64, error) { return r.Offset, nil }, kafka.SkipLost())
						engine.ForEachBatch(d, func(_ engine.Batch, offsets []int64) error {
							if n := len(offsets); n > 0 && offsets[n-1] >= gone && passed < 0 {
								passed = time.Since(lost)
							}
							read += int64(len(offsets))
							time.Sleep(50*time.Millisecond + time.Duration(len(offsets))*2*time.Millisecond)
							if c.running && read >= before && lost.IsZero() {
								lose()
							}
							return nil
						})
						ssc.AddListener(completed(func(b engine.BatchInfo) {
							bad += b.Metrics.BadRecords
							longest = max(longest, b.ProcessingTime)
							if b.Metrics.Lost != b.Metrics.BadRecords {
								t.Errorf("%+v", b.Metrics)
							}
							if read+bad >= enough {
								ssc.Stop()
							}
						}))
						return nil
					}, args...)
					if err != nil {
						t.Fatal(err)
					}
				}
				if !c.running {
					start(before)
					lose()
				}
				start(all)
				if read+bad != all || bad < gone/2 || longest > 3*interval/2 || passed > c.passed {
					t.Errorf("%d records read and %d lost of %d, a batch took %s, the lost ones %s", read, bad, all, longest, passed)
				}
			}, "in")
		})
	}
}

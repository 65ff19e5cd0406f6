package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// sends writes values into a topic.
func sends(t *testing.T, b *kafkatest.Broker, topic string, values ...string) {
	t.Helper()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, kgo.StringRecord(v))
	}
	b.Produce(t, topic, nil, records...)
}

// Until the end means what was there at the start, in all inputs, without waiting
// for ticks; what comes meanwhile is read by the next run that goes on from there.
func TestUntilEnd(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		sends(t, b, "in", "1", "2", "3", "4", "5", "6", "7")
		sends(t, b, "other", "a", "b")
		later := "8"
		start := func(args ...string) (in, other []string, took time.Duration) {
			began := time.Now()
			if err := run(t, b, func(ssc *engine.StreamingContext) error {
				engine.ForEachBatch(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), func(_ engine.Batch, rows []string) error {
					if in = append(in, rows...); later != "" {
						sends(t, b, "in", later)
						sends(t, b, "other", later)
						later = ""
					}
					return nil
				})
				engine.ForEachBatch(kafka.Direct(ssc, kafka.Subscribe("other"), kafka.StringValue), func(_ engine.Batch, rows []string) error {
					other = append(other, rows...)
					return nil
				})
				return nil
			}, append([]string{"--until-end", "--checkpoint", dir}, args...)...); err != nil {
				t.Fatal(err)
			}
			return in, other, time.Since(began)
		}
		in, other, took := start("--batch-interval", "1h", "--conf", "streaming.backpressure.initialRate=0.001")
		if !slices.Equal(in, []string{"1", "2", "3", "4", "5", "6", "7"}) || !slices.Equal(other, []string{"a", "b"}) {
			t.Errorf("read %q and %q", in, other)
		}
		if took > time.Second {
			t.Errorf("it took %s", took)
		}
		in, other, _ = start()
		if !slices.Equal(in, []string{"8"}) || !slices.Equal(other, []string{"8"}) {
			t.Errorf("then %q and %q", in, other)
		}
		if in, other, _ = start(); len(in)+len(other) > 0 {
			t.Errorf("at the end %q and %q", in, other)
		}
	}, "in", "other")
}

// A limit of the rate holds until the end, too.
func TestUntilEndWithinLimits(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		sends(t, b, "in", "1", "2", "3", "4", "5", "6", "7")
		began := time.Now()
		var got []string
		if err := run(t, b, func(ssc *engine.StreamingContext) error {
			collect(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), 99, &got)
			return nil
		}, "--until-end", "--conf", "streaming.kafka.maxRatePerPartition=2"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); len(got) != 7 || took < 2*time.Second || took > 5*time.Second {
			t.Errorf("%d records in %s, 2 a second are allowed", len(got), took)
		}
	}, "in")
}

// As soon as possible means that a batch waits for records and the runner, not for
// the tick, and that what comes while one runs is in the next, all of it.
func TestAsSoonAsPossible(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		type batch struct {
			at   time.Duration
			rows string
		}
		var got []batch
		began := time.Now()
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			engine.ForEachBatch(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), func(bt engine.Batch, rows []string) error {
				if len(rows) == 0 && bt.Seq > 1 && !bt.Time.Equal(bt.Time.Truncate(20*time.Second)) {
					t.Errorf("an empty batch of %s", bt.Time.Sub(began))
				}
				if len(rows) > 0 {
					got = append(got, batch{time.Since(began).Round(time.Millisecond), fmt.Sprint(rows)})
				}
				if slices.Contains(rows, "slow") {
					time.Sleep(5 * time.Second)
				}
				if slices.Contains(rows, "last") {
					ssc.Stop()
				}
				return nil
			})
			ssc.DriverTask("producer", func(context.Context) error {
				for _, value := range []string{"a", "b", "slow", "c", "d", "e", "last"} {
					time.Sleep(time.Duration(map[string]int{"last": 9}[value])*time.Second + time.Second)
					sends(t, b, "in", value)
				}
				return nil
			})
			return nil
		}, "--asap", "--batch-interval", "20s")
		if err != nil {
			t.Fatal(err)
		}
		want := []batch{{time.Second, "[a]"}, {2 * time.Second, "[b]"}, {3 * time.Second, "[slow]"}, {8 * time.Second, "[c d e]"}, {16 * time.Second, "[last]"}}
		if !slices.Equal(got, want) {
			t.Errorf("\n got %v\nwant %v", got, want)
		}
	}, "in")
}

// A job that goes on reads the same ranges again, whatever cadence it has then.
func TestAsSoonAsPossibleGoesOn(t *testing.T) {
	dir := t.TempDir()
	broken := errors.New("broken")
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		seen := make(map[uint64][]string)
		start := func(fail bool, args ...string) error {
			return run(t, b, func(ssc *engine.StreamingContext) error {
				engine.ForEachBatch(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), func(bt engine.Batch, rows []string) error {
					if before, ok := seen[bt.Seq]; ok && !slices.Equal(before, rows) {
						t.Errorf("batch %d holds %q, at first %q", bt.Seq, rows, before)
					}
					seen[bt.Seq] = rows
					switch {
					case fail && slices.Contains(rows, "b"):
						sends(t, b, "in", "c")
						return broken
					case slices.Contains(rows, "c"):
						ssc.Stop()
					}
					return nil
				})
				if fail {
					ssc.DriverTask("producer", func(context.Context) error {
						for _, value := range []string{"a", "b"} {
							time.Sleep(time.Second)
							sends(t, b, "in", value)
						}
						return nil
					})
				}
				return nil
			}, append(args, "--checkpoint", dir)...)
		}
		if err := start(true, "--asap", "--batch-interval", "20s"); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if err := start(false); err != nil {
			t.Fatal(err)
		}
		var all []string
		for seq := range uint64(len(seen)) {
			all = append(all, seen[seq+1]...)
		}
		if !slices.Equal(all, []string{"a", "b", "c"}) {
			t.Errorf("%q in %v", all, seen)
		}
	}, "in")
}

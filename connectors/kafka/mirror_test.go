package kafka_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// What complete batches have read a group can be asked for, while the stream runs and after it: once a
// second at most.
func TestOffsetsAreMirrored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "in"))
		twoPartitions(t, b, "in")
		commits := 0
		b.Fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			commits++
			return nil, nil, false
		})
		var during, got map[int32]int64
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			d := kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue, kafka.MirrorOffsets("lag"))
			engine.ForEachBatch(d, func(batch engine.Batch, _ []string) error {
				switch batch.Seq {
				case 2:
					puts(t, b, "in", 1, "w4")
				case 40: // 3.9 s
					during = committed(t, b, "lag", "in")
					puts(t, b, "in", 0, "v10")
				case 42:
					ssc.Stop()
				}
				return nil
			})
			return nil
		}, "--batch-interval", "100ms")
		got = committed(t, b, "lag", "in")
		if want := map[int32]int64{0: 10, 1: 5}; err != nil || !maps.Equal(during, want) {
			t.Errorf("while it runs %v, %v, want %v", during, err, want)
		}
		if want := map[int32]int64{0: 11, 1: 5}; !maps.Equal(got, want) {
			t.Errorf("in the end %v, want %v", got, want)
		}
		if commits < 4 || commits > 7 {
			t.Errorf("%d commits in 4.2 s", commits)
		}
	})
}

// What a batch has read is committed soon after it, also if the next one is a long time off.
func TestMirrorDoesNotWaitForTheNextBatch(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		record time.Duration // when it is written, since the start
		batch  time.Duration // when it is read
	}{
		"by interval":                     {[]string{"--batch-interval", "20s"}, time.Second, 20 * time.Second},
		"as soon as possible":             {[]string{"--batch-interval", "1h", "--asap"}, 5 * time.Second, 5 * time.Second},
		"as soon as possible, two a time": {[]string{"--batch-interval", "1h", "--asap", "--conf", "streaming.concurrentJobs=2"}, 5 * time.Second, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				err := run(t, b, func(ssc *engine.StreamingContext) error {
					d := kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue, kafka.MirrorOffsets("lag"))
					engine.ForEachBatch(d, func(engine.Batch, []string) error { return nil })
					ssc.DriverTask("script", func(context.Context) error {
						defer ssc.Stop()
						time.Sleep(c.record)
						sends(t, b, "in", "1")
						time.Sleep(c.batch - c.record + 3*time.Second)
						if at := committed(t, b, "lag", "in"); at[0] != 1 {
							t.Errorf("three seconds after the batch offset %d is committed", at[0])
						}
						return nil
					})
					return nil
				}, c.args...)
				if err != nil {
					t.Error(err)
				}
			}, "in")
		})
	}
}

// Tools see in the group what the stream has left to read, while it runs and after it.
func TestLagOfTheMirror(t *testing.T) {
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 2)
		group := topic + ".lag"
		sends(t, b, topic, "1", "2", "3")
		lag := func() (of [2]kadm.GroupMemberLag, state string, err error) {
			all, err := b.Admin().Lag(t.Context(), group)
			g := all[group]
			return [2]kadm.GroupMemberLag{g.Lag[topic][0], g.Lag[topic][1]}, g.State, errors.Join(err, g.Error())
		}
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			d := kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue, kafka.MirrorOffsets(group))
			engine.ForEachBatch(d, func(engine.Batch, []string) error {
				// Its first offsets make the group: before that, asking for it is an error.
				if at, _, err := lag(); err == nil && at[0].Commit.At == 3 && at[0].Lag == 0 && at[1].Lag == 0 {
					ssc.Stop()
				}
				return nil
			})
			return nil
		}, "--batch-interval", "100ms")
		if err != nil {
			t.Fatalf("while it runs: %v", err)
		}
		sends(t, b, topic, "4", "5")
		puts(t, b, topic, 1, "6")
		if at, state, err := lag(); err != nil || state != "Empty" || at[0].Commit.At != 3 || at[0].Lag != 2 || at[1].Commit.At != 0 || at[1].Lag != 1 {
			t.Errorf("after it %+v, the group is %s, %v", at, state, err)
		}
	})
}

package kafka_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// A stream goes on, by either cadence, while leaders move, a broker hangs up, and one is lost for a
// while: each record is read once, soon after its partition has a leader, and meanwhile neither
// batches are made nor brokers asked as fast as that fails. (TestBrokersFail does it to real ones.)
func TestStreamOutlastsBrokers(t *testing.T) {
	const (
		soon   = 1200 * time.Millisecond // after an interval, or a poll that was under way and the pause behind it
		outage = 10 * time.Second
	)
	for name, c := range map[string]struct {
		args []string
		most int // empty batches
	}{
		"by interval":         {nil, 40},
		"as soon as possible": {[]string{"--asap", "--batch-interval", "1h"}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := kafkatest.Virtual(t, kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094), kfake.SeedTopics(3, "in"))
				leads := func(partition, node int32) {
					if err := b.Fake.MoveTopicPartition("in", partition, node); err != nil {
						t.Error(err)
					}
				}
				for i := range int32(3) {
					leads(i, i)
				}
				var asked atomic.Int64
				b.Fake.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
					b.Fake.KeepControl()
					asked.Add(1)
					return nil, nil, false
				})
				var read [1000]atomic.Int64 // how often, by a record's number
				var written, total, empty int
				write := func(partitions ...int32) {
					for _, i := range partitions {
						b.Produce(t, "in", nil, &kgo.Record{Partition: i, Value: []byte(strconv.Itoa(total))})
						total++
					}
				}
				isRead := func(what string) {
					time.Sleep(soon)
					for ; written < total; written++ {
						if n := read[written].Load(); n != 1 {
							t.Errorf("%s: record %d is read %d times", what, written, n)
						}
					}
				}
				err := run(t, b, func(ssc *engine.StreamingContext) error {
					in := kafka.Direct(ssc, kafka.Subscribe("in"), func(r *kafka.Record) (int, error) { return strconv.Atoi(string(r.Value)) })
					engine.ForEachBatch(in, func(_ engine.Batch, numbers []int) error {
						for _, n := range numbers {
							read[n].Add(1)
						}
						if len(numbers) == 0 {
							empty++
						}
						return nil
					})
					ssc.DriverTask("script", func(context.Context) error {
						defer ssc.Stop()
						write(0, 1, 2)
						isRead("at first")
						for node := range int32(3) { // under polls, to those of others
							leads(0, node)
							write(0, 1, 0, 2, 0)
							isRead("a leader has moved")
							leads(0, (node+1)%3)
							isRead("one has moved while nothing comes")
							write(0)
							isRead("and then something does")
						}
						leads(0, 0)
						b.Cut(2)
						write(2, 0, 2)
						isRead("a broker hung up")
						b.Cut(2)
						isRead("one hung up while nothing comes")
						write(2)
						isRead("and then something does")
						write(2)
						b.Lose(2)
						write(0, 1)
						asked.Store(0)
						time.Sleep(outage)
						if n := asked.Load(); n > 400 {
							t.Errorf("brokers were asked %d times in %s", n, outage)
						}
						leads(2, 0)
						write(2)
						isRead("a broker is lost, and another one leads")
						write(0, 1, 2)
						isRead("a broker is lost")
						b.Return(2)
						leads(2, 2)
						write(0, 1, 2)
						isRead("it leads again")
						return nil
					})
					return nil
				}, c.args...)
				if err != nil {
					t.Error(err)
				}
				if empty > c.most {
					t.Errorf("%d batches were empty", empty)
				}
			})
		})
	}
}

package kafka_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// An output knows which offsets its batch reads, of each topic that the stream is made of;
// so do Transform and PerBatch.
func TestRangesOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "a"), kfake.SeedTopics(1, "b"))
		produce := func(topic string, partition int32, n int) {
			for range n {
				b.Produce(t, topic, []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, &kgo.Record{Partition: partition, Value: []byte("v")})
			}
		}
		produce("a", 0, 2)
		produce("a", 1, 1)
		produce("b", 0, 3)
		seen := make(map[string][]string)
		note := func(what string, batch engine.Batch, d *engine.DStream[string]) error {
			rs, err := kafka.RangesOf(batch, d)
			for _, r := range rs {
				seen[what] = append(seen[what], fmt.Sprint(batch.Seq, " ", r))
			}
			return err
		}
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			first := kafka.Direct(ssc, kafka.Subscribe("a"), kafka.StringValue)
			second := kafka.Direct(ssc, kafka.Subscribe("b"), kafka.StringValue)
			queue := engine.QueueStream(ssc, [][]string{{"q"}}, 1)
			both := first.Filter(func(string) bool { return true }).Union(queue, second)
			transformed := engine.Transform(both, func(batch engine.Batch, r *rdd.RDD[string]) *rdd.RDD[string] {
				rs, err := kafka.RangesOf(batch, second)
				return r.Union(rdd.Parallelize(batch.RDDs(), []string{fmt.Sprint(batch.Seq, rs, err)}))
			})
			engine.ForEachBatch(transformed, func(batch engine.Batch, rows []string) error {
				seen["transform"] = append(seen["transform"], rows[len(rows)-1])
				for what, d := range map[string]*engine.DStream[string]{"first": first, "both": both, "queue": queue} {
					if err := note(what, batch, d); err != nil {
						return err
					}
				}
				if batch.Seq == 2 {
					ssc.Stop()
				} else {
					produce("b", 0, 1)
				}
				return nil
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for what, want := range map[string][]string{
			"first":     {"1 a/0 [0,2)", "1 a/1 [0,1)", "2 a/0 [2,2)", "2 a/1 [1,1)"},
			"both":      {"1 a/0 [0,2)", "1 a/1 [0,1)", "1 b/0 [0,3)", "2 a/0 [2,2)", "2 a/1 [1,1)", "2 b/0 [3,4)"},
			"queue":     nil,
			"transform": {"1 [b/0 [0,3)] <nil>", "2 [b/0 [3,4)] <nil>"},
		} {
			if got := seen[what]; !slices.Equal(got, want) {
				t.Errorf("%s:\n got %q\nwant %q", what, got, want)
			}
		}
	})
}

package kafka

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// Where a stream begins doesn't depend on partitions that it doesn't read.
func TestStartBesideAPartitionWithoutALeader(t *testing.T) {
	for name, start := range map[string]Position{"a time": AtTime(time.Unix(1, 0)), "a group's offsets": AtGroup("g").Or(Earliest())} {
		synctest.Test(t, func(t *testing.T) {
			b := kafkatest.Virtual(t, kfake.SeedTopics(2, "in"))
			fills(t, b, "in", 0, 3)
			ids := map[string][16]byte{"in": b.Fake.TopicInfo("in").TopicID}
			b.Fake.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
				b.Fake.KeepControl()
				return described(b, req, map[string]int32{"in": 2}, ids, 1), nil, true
			})
			d := &direct[string]{topics: Assign(map[string][]int32{"in": {0}}), options: directOptions{start: start}, brokers: b.Addrs, client: &b.Opts, log: slog.New(slog.DiscardHandler)}
			if got, want := plans(t, opened(t, d), new(engine.Plan)), "[in/0 [0,3)]"; got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		})
	}
}

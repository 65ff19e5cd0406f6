package registry

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// completed is a listener that is told of complete batches.
type completed func(b engine.BatchInfo)

func (f completed) OnBatchCompleted(b engine.BatchInfo) { f(b) }

// While the registry is down a batch is held up, at the end fails, and is told: it holds all its records
// when the registry is back. Only one whose schema the registry doesn't know is left out.
func TestStreamOutlastsTheRegistry(t *testing.T) {
	fake := srfake.New() // outside of the bubble, in which it would keep time from passing
	defer fake.Close()
	fake.SeedSchema("in-value", 1, 1, sr.Schema{Schema: v1})
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in", "out"))
		good := order(t).Value
		b.Produce(t, "in", nil, &kgo.Record{Value: good}, &kgo.Record{Value: append(frame(9), 0)}, &kgo.Record{Value: good})
		checkpoint := t.TempDir()
		start := func(outage time.Duration, args ...string) (said string, bad int64, err error) {
			var log bytes.Buffer
			line := &down{up: time.Now().Add(outage)}
			args = append([]string{"--log-level", "error", "--brokers", b.Addrs[0], "--checkpoint", checkpoint, "--until-end"}, args...)
			err = engine.NewApp("test").Run(t.Context(), args, time.Second, func(ssc *engine.StreamingContext) error {
				r := must[*Registry](t)(open(fake.URL(), line, []Option{Logger(slog.New(slog.NewTextHandler(&log, nil)))}))
				decode := must[kafka.Decoder[orderV2]](t)(Avro[orderV2](r, v2))
				encode := must[kafka.Encoder[orderV2]](t)(AvroEncoder[orderV2](r, "out-value", v2))
				kafka.ClientOptions(ssc, b.Opts...)
				kafka.Sink(kafka.Direct(ssc, kafka.Subscribe("in"), decode, kafka.OnBadRecord(kafka.Skip())), "out", encode)
				ssc.AddListener(completed(func(b engine.BatchInfo) { bad += b.Metrics.BadRecords }))
				return nil
			})
			return log.String(), bad, err
		}
		said, bad, err := start(time.Hour, "--conf", "task.maxFailures=1")
		for _, says := range []string{"kafka.Direct(in) at registry/stream_test.go:", "topic in partition 0 at offset 0: ", "asking the schema registry at " + fake.URL() + " for the schema with id 1: it has not answered for 15s"} {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("while it is down: %v\ndoesn't say %s", err, says)
			}
		}
		if !strings.Contains(said, "waiting for the schema registry") || bad != 0 {
			t.Errorf("while it is down %d bad records, and the log says %s", bad, said)
		}
		if said, bad, err = start(20 * time.Second); err != nil || bad != 1 || !strings.Contains(said, "the schema registry answers") {
			t.Errorf("when it is back: %v, %d bad records, and the log says %s", err, bad, said)
		}
		decode := must[kafka.Decoder[orderV2]](t)(Avro[orderV2](must[*Registry](t)(New(fake.URL())), v2))
		var got []orderV2
		for _, r := range b.Consume(t, "out", 0, kgo.ReadCommitted()) {
			got = append(got, must[orderV2](t)(decode(value(r.Value))))
		}
		if want := (orderV2{"a", 7, "EUR"}); !slices.Equal(got, []orderV2{want, want}) {
			t.Errorf("written %+v", got)
		}
	})
}

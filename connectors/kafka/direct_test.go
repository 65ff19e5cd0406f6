package kafka

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/rdd/task"
)

// A task that is killed stops in the middle of a response.
func TestKilledTaskStopsReading(t *testing.T) {
	const n = 10_000
	b := kafkatest.Fake(t, kfake.NumBrokers(1))
	topic := b.Topic(t, 1)
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = kgo.StringRecord("v")
	}
	b.Produce(t, topic, nil, records...)
	ctx, kill := context.WithCancelCause(t.Context())
	killed, decoded := errors.New("killed"), 0
	d := &direct[string]{brokers: b.Addrs, client: &b.Opts, log: slog.New(slog.DiscardHandler), decode: func(r *Record) (string, error) {
		decoded++
		kill(killed)
		return StringValue(r)
	}}
	process := &task.Process{}
	defer func() {
		if err := process.Close(); err != nil {
			t.Error(err)
		}
	}()
	var last error
	for _, err := range d.read(&task.Context{Context: ctx, Process: process}, ranges.Range{Topic: topic, Until: n}) {
		last = err
	}
	if !errors.Is(last, killed) || decoded > 64 {
		t.Errorf("%d records decoded, then %v", decoded, last)
	}
}

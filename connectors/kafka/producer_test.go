package kafka

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// A sink that waits for Kafka says so, and why.
func TestSinkSaysThatItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "out"))
		b.Fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			return nil, errors.New("no answer"), true
		})
		var log bytes.Buffer
		s := sink[string]{producers{b.Addrs, &b.Opts, slog.New(slog.NewTextHandler(&log, nil))}, "out", String, nil, nil}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		process := &rdd.Process{}
		defer func() { _ = process.Close() }()
		rows := func(yield func(string, error) bool) { yield("x", nil) }
		err := s.write(engine.Batch{}, &rdd.TaskContext{Context: ctx, Process: process}, rows)
		lines := slices.Collect(strings.Lines(log.String()))
		if !errors.Is(err, context.DeadlineExceeded) || len(lines) < 2 || !strings.Contains(lines[1], "waiting for acknowledgements") ||
			!strings.Contains(lines[1], "topic=out records=1") || !strings.Contains(lines[1], "EOF") {
			t.Errorf("%v\n%s", err, &log)
		}
	})
}

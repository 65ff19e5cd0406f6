package kafka

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// While Kafka is away a plan says what it waits for.
func TestPlanSaysWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in"))
		d := &direct[string]{topics: Subscribe("in"), brokers: b.Addrs, client: &b.Opts, log: slog.New(slog.DiscardHandler)}
		p, err := d.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		const outage = 35 * time.Second
		over := time.Now().Add(outage)
		b.Fake.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			if time.Now().After(over) {
				return nil, nil, false
			}
			b.Fake.KeepControl()
			return nil, errors.New("the broker hangs up"), true
		})
		var first time.Duration
		var said []string
		began := time.Now()
		if _, err := p.Plan(t.Context(), engine.PlanRequest{Interval: time.Second, Waiting: func(why string) {
			if said = append(said, why); len(said) == 1 {
				first = time.Since(began)
			}
		}}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < outage || len(said) < 2 || first > 5*time.Second || !strings.Contains(said[0], "nothing is skipped: listing offsets of topic in partition 0") {
			t.Errorf("the plan took %s and said after %s: %q", took, first, said)
		}
	})
}

package ranges_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// TestBrokerRestartsMidRange stops, and then kills, a real broker in the middle
// of a range. The range goes on where it was, with a newer leader epoch, and the
// Planner that waits meanwhile plans the same.
func TestBrokerRestartsMidRange(t *testing.T) {
	t.Parallel()
	b := kafkatest.Own(t)
	topic := b.Topic(t, 1)
	numbered(t, b.Broker, topic, 30)
	var logs logBuffer
	o := ranges.Options{PartitionBytes: 1, RequestBytes: 1, Logger: slog.New(slog.NewTextHandler(&logs, nil))}
	r, p := newReader(t, b.Broker, o), newPlanner(t, b.Broker, o, topic)
	ps, err := p.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var planned, restarted sync.WaitGroup
	n := 0
	for rec, err := range r.Read(ctx, ps[0].Range(0)) {
		if err != nil || string(rec.Value) != fmt.Sprint(n) {
			t.Fatal(n, err)
		}
		switch n++; n {
		case 10:
			b.Stop(t)
		case 20:
			restarted.Wait()
			b.Kill(t)
		default:
			continue
		}
		restarted.Go(func() { b.Start(t) })
		planned.Go(func() {
			if ps, err := p.Plan(ctx); err != nil || ps[0].Until != 30 {
				t.Error(ps, err)
			}
		})
	}
	planned.Wait()
	restarted.Wait()
	if n != 30 {
		t.Fatalf("%d records of 30", n)
	}
	ps, err = p.Plan(t.Context())
	if err != nil || ps[0].LeaderEpoch == 0 {
		t.Fatal(ps, err)
	}
	if w, g := logs.count("kafka: waiting"), logs.count("kafka: goes on"); w == 0 || g == 0 {
		t.Errorf("%d lines that it waits, %d that it goes on", w, g)
	}
	t.Logf("%+v, leader epoch %d", r.Stats(), ps[0].LeaderEpoch)
}

package ranges_test

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
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

func TestPlannerFindsTopicRecreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "images"))
		p := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)}, "images")
		if ps, err := p.Plan(t.Context()); err != nil || len(ps) != 2 {
			t.Fatal(ps, err)
		}
		b.Delete(t, "images")
		b.Create(t, "images", 2)
		time.Sleep(10 * time.Second) // until the Planner asks for the leaders again
		if _, err := p.Plan(t.Context()); !errors.Is(err, ranges.ErrTopicRecreated) {
			t.Fatal(err)
		}
	})
}

func TestPlannerFindsNewPartitionsAndTruncation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "images"))
		numbered(t, b, "images", 5)
		p := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)}, "images")
		if ps, err := p.Plan(t.Context()); err != nil || ps[0].Until != 5 {
			t.Fatal(ps, err)
		}
		if _, err := b.Admin().CreatePartitions(t.Context(), 2, "images"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if ps, err := p.Plan(t.Context()); err != nil || len(ps) != 3 || ps[2].Partition != 2 {
			t.Fatal(ps, err)
		}
		b.Fake.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
			for _, rt := range req.(*kmsg.ListOffsetsRequest).Topics {
				st := kmsg.NewListOffsetsResponseTopic()
				st.Topic = rt.Topic
				for _, rp := range rt.Partitions {
					sp := kmsg.NewListOffsetsResponseTopicPartition()
					sp.Partition, sp.Offset = rp.Partition, 3
					st.Partitions = append(st.Partitions, sp)
				}
				resp.Topics = append(resp.Topics, st)
			}
			return resp, nil, true
		})
		var end *ranges.EndError
		if _, err := p.Plan(t.Context()); !errors.As(err, &end) || end.Until != 5 || end.End != 3 {
			t.Fatal(err)
		}
	})
}

func TestPlannerBadInput(t *testing.T) {
	t.Parallel()
	b := kafkatest.Fake(t)
	var log strings.Builder
	_, err := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, "nothing").Plan(t.Context())
	if !errors.Is(err, ranges.ErrUnknownTopic) || !strings.Contains(err.Error(), "topic nothing") || log.Len() > 0 {
		t.Errorf("%v\n%s", err, &log)
	}
	_, err = newPlanner(t, &kafkatest.Broker{Addrs: []string{"127.0.0.1:9"}}, ranges.Options{}, "images").Plan(t.Context())
	var none *ranges.NoBrokerError
	if !errors.As(err, &none) || !strings.HasPrefix(err.Error(), "no Kafka broker answers at 127.0.0.1:9: ") || !strings.Contains(err.Error(), "--brokers") {
		t.Error(err)
	}
	for name, f := range map[string]func() error{
		"no brokers": func() error { _, err := ranges.NewPlanner(ranges.Options{}, "t"); return err },
		"no topic":   func() error { _, err := ranges.NewPlanner(ranges.Options{Brokers: b.Addrs}); return err },
		"negative":   func() error { _, err := ranges.New(ranges.Options{Brokers: b.Addrs, BufferBytes: -1}); return err },
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r := newReader(t, b, ranges.Options{})
	for _, rg := range []ranges.Range{{Topic: "t", From: -1, Until: 2}, {From: 0, Until: 2}, {Topic: "t", Partition: -1, Until: 2}} {
		if _, err := read(t, r, rg); err == nil {
			t.Errorf("%v: no error", rg)
		}
	}
	if lines, err := read(t, r, ranges.Range{Topic: "nothing", From: 5, Until: 5}); err != nil || lines != nil {
		t.Error("an empty range needs no broker", lines, err)
	}
}

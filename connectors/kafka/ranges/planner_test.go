package ranges_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
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

// Where logs begin the Planner looks whenever it looks who leads the partitions.
func TestPlannerFollowsLogStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "images"))
		numbered(t, b, "images", 5)
		p := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)}, "images")
		for _, want := range []int64{0, 0, 3, 3} {
			if ps, err := p.Plan(t.Context()); err != nil || ps[0].Start != want || ps[0].Until != 5 {
				t.Errorf("%+v, %v, want a log that starts at %d", ps, err, want)
			}
			b.DeleteBefore(t, "images", 0, 3)
			time.Sleep(4 * time.Second)
		}
	})
}

// A topic that is being made, and has no leader yet, doesn't hold up the plan of the others: it joins when it has
// one. In a first plan it is waited for.
func TestPlannerWaitsForLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "old"))
		open := func() *ranges.Planner {
			p, err := ranges.NewPlannerOf(ranges.Options{Brokers: b.Addrs, Client: b.Opts, Logger: slog.New(slog.DiscardHandler)}, ranges.Selection{Pattern: regexp.MustCompile("^(old|new)$")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			return p
		}
		plan := func(p *ranges.Planner, want ...string) (took time.Duration) {
			t.Helper()
			began := time.Now()
			ps, err := p.Plan(t.Context())
			var got []string
			for _, part := range ps {
				got = append(got, part.Topic)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("planned %q, %v, want %q", got, err, want)
			}
			return time.Since(began)
		}
		running := open()
		plan(running, "old")
		old := b.Fake.TopicInfo("old")
		b.Create(t, "new", 1)
		const electing = 8 * time.Second
		over := time.Now().Add(electing)
		b.Fake.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
			if time.Now().After(over) {
				return nil, nil, false
			}
			b.Fake.KeepControl()
			resp := req.ResponseKind().(*kmsg.MetadataResponse)
			host, port, _ := net.SplitHostPort(b.Addrs[0])
			broker := kmsg.NewMetadataResponseBroker()
			broker.Host = host
			fmt.Sscan(port, &broker.Port)
			resp.Brokers = append(resp.Brokers, broker)
			for name, leader := range map[string]int32{"old": 0, "new": -1} {
				topic, part := kmsg.NewMetadataResponseTopic(), kmsg.NewMetadataResponseTopicPartition()
				topic.Topic, topic.TopicID, part.Leader = &name, [16]byte{1}, leader
				if leader < 0 {
					part.ErrorCode = kerr.LeaderNotAvailable.Code
				} else {
					topic.TopicID = old.TopicID
				}
				topic.Partitions = append(topic.Partitions, part)
				resp.Topics = append(resp.Topics, topic)
			}
			return resp, nil, true
		})
		time.Sleep(6 * time.Second) // until it asks for the leaders again
		if took := plan(running, "old"); took > 0 {
			t.Errorf("the new topic held it up for %s", took)
		}
		if took := plan(open(), "new", "old"); took < time.Second {
			t.Errorf("a first plan has both after %s", took)
		}
		time.Sleep(6 * time.Second)
		plan(running, "new", "old")
	})
}

// Topics that are deleted together are in doubt at the same time: they hold up the plan of the others for as
// long as one does.
func TestPlannerForgetsTopicsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := []string{"a", "b", "c", "d", "e"}
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, append(gone, "kept")...))
		p, err := ranges.NewPlannerOf(ranges.Options{Brokers: b.Addrs, Client: b.Opts, Logger: slog.New(slog.DiscardHandler)}, ranges.Selection{Pattern: regexp.MustCompile("^([a-e]|kept)$"), Forget: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		if ps, err := p.Plan(t.Context()); err != nil || len(ps) != 6 {
			t.Fatal(ps, err)
		}
		for _, topic := range gone {
			b.Delete(t, topic)
		}
		time.Sleep(10 * time.Second) // until it asks for topics again
		began := time.Now()
		ps, err := p.Plan(t.Context())
		if took := time.Since(began); err != nil || len(ps) != 1 || ps[0].Topic != "kept" || took < time.Second || took > 2*time.Second {
			t.Errorf("%v, %v after %s", ps, err, took)
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
		"two ways": func() error {
			_, err := ranges.NewPlannerOf(ranges.Options{Brokers: b.Addrs}, ranges.Selection{Topics: []string{"t"}, Pattern: regexp.MustCompile("u")})
			return err
		},
		"negative": func() error { _, err := ranges.New(ranges.Options{Brokers: b.Addrs, BufferBytes: -1}); return err },
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

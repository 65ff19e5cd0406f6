package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// lists makes a broker of one node answer who asks for all topics with these, of the given
// numbers of partitions, for a while. Who asks for topics by name learns the truth.
func lists(b *kafkatest.Broker, topics map[string]int32, while time.Duration) {
	over := time.Now().Add(while)
	ids := make(map[string][16]byte)
	for name := range topics {
		ids[name] = b.Fake.TopicInfo(name).TopicID
	}
	b.Fake.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if time.Now().After(over) {
			return nil, nil, false
		}
		b.Fake.KeepControl()
		if req.(*kmsg.MetadataRequest).Topics != nil {
			return nil, nil, false
		}
		return described(b, req, topics, ids, -1), nil, true
	})
}

// described is an answer of a broker of one node that knows topics, of the given numbers of
// partitions. Those of one number have no leader.
func described(b *kafkatest.Broker, req kmsg.Request, topics map[string]int32, ids map[string][16]byte, leaderless int32) *kmsg.MetadataResponse {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	node := kmsg.NewMetadataResponseBroker()
	host, port, _ := net.SplitHostPort(b.Addrs[0])
	node.Host = host
	fmt.Sscan(port, &node.Port)
	resp.Brokers = append(resp.Brokers, node)
	for name, n := range topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.TopicID = &name, ids[name]
		for p := range n {
			part := kmsg.NewMetadataResponseTopicPartition()
			part.Partition = p
			if p == leaderless {
				part.Leader, part.ErrorCode = -1, kerr.LeaderNotAvailable.Code
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// plans returns the ranges of a plan as text.
func plans(t *testing.T, p engine.Planner, last *engine.Plan) string {
	t.Helper()
	got, err := p.Plan(t.Context(), engine.PlanRequest{Previous: last.Ranges, Interval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	*last = got
	rs, err := decodeRanges(got.Ranges)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(rs)
}

// What one broker doesn't list, for longer than a verdict must stand, is neither deleted nor new: a
// planner that takes over goes on with it, and so does one that runs. Only what has no name is gone.
func TestPlannerAsksForTopicsByName(t *testing.T) {
	for name, forget := range map[string]bool{"a deleted topic ends the job": false, "deleted topics are forgotten": true} {
		for of, listed := range map[string]map[string]int32{"a topic isn't listed": {"a": 1}, "nor is a partition": {"a": 1, "b": 1}} {
			t.Run(name+", "+of, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := kafkatest.Virtual(t, kfake.SeedTopics(1, "a"), kfake.SeedTopics(2, "b"))
					var log bytes.Buffer
					d := &direct[string]{topics: SubscribePattern("[ab]"), brokers: b.Addrs, client: &b.Opts, options: directOptions{forget: forget}, log: slog.New(slog.NewTextHandler(&log, nil))}
					var last engine.Plan
					first := opened(t, d)
					fills(t, b, "b", 1, 3)
					plans(t, first, &last)
					fills(t, b, "b", 1, 2)
					lists(b, listed, 700*time.Millisecond)
					second := opened(t, d)
					if got, want := plans(t, second, &last), "[a/0 [0,0) b/0 [0,0) b/1 [3,5)]"; got != want {
						t.Errorf("the planner that took over: %s, want %s", got, want)
					}
					if len(listed) == 1 { // one that never lists it again
						lists(b, listed, time.Hour)
						for range 3 {
							time.Sleep(6 * time.Second) // until it asks for topics again
							fills(t, b, "b", 0, 1)
							if got := plans(t, second, &last); !strings.Contains(got, " b/1 [5,5)") {
								t.Errorf("while it runs: %s", got)
							}
						}
					}
					if strings.Contains(log.String(), "deleted") {
						t.Error(log.String())
					}
				})
			})
		}
	}
}

// A topic that the client may not see any more isn't deleted, whatever is to become of those that
// are: it ends the job once that has stood for a while.
func TestPlannerMayNotSeeATopic(t *testing.T) {
	for name, while := range map[string]time.Duration{"for a moment": 700 * time.Millisecond, "any more": time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b := kafkatest.Virtual(t, kfake.SeedTopics(1, "a", "b"))
			d := &direct[string]{topics: SubscribePattern("[ab]"), brokers: b.Addrs, client: &b.Opts, options: directOptions{forget: true}, log: slog.New(slog.DiscardHandler)}
			p := opened(t, d)
			last := new(engine.Plan)
			plans(t, p, last)
			time.Sleep(6 * time.Second) // until it asks for topics again
			over := time.Now().Add(while)
			lists(b, map[string]int32{"a": 1}, while)
			b.Fake.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
				b.Fake.KeepControl()
				if req.(*kmsg.MetadataRequest).Topics == nil || time.Now().After(over) {
					return nil, nil, false
				}
				resp := described(b, req, map[string]int32{"b": 0}, nil, -1)
				resp.Topics[0].ErrorCode = kerr.TopicAuthorizationFailed.Code
				return resp, nil, true
			})
			got, err := p.Plan(t.Context(), engine.PlanRequest{Previous: last.Ranges, Interval: time.Second})
			if while == time.Hour {
				if !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), "topic b at ") {
					t.Errorf("%s: %v", name, err)
				}
			} else if rs, _ := decodeRanges(got.Ranges); err != nil || len(rs) != 2 {
				t.Errorf("%s: %v, %v", name, rs, err)
			}
		})
	}
}

// A partition that brokers don't know any more ends the job, whatever the stream names, and says what
// to look for.
func TestPlannerMissesAPartition(t *testing.T) {
	for name, topics := range map[string]Topics{"pattern": SubscribePattern("[ab]"), "assign": Assign(map[string][]int32{"a": {0}, "b": {0, 1}})} {
		synctest.Test(t, func(t *testing.T) {
			b := kafkatest.Virtual(t, kfake.SeedTopics(1, "a"), kfake.SeedTopics(2, "b"))
			p := opened(t, &direct[string]{topics: topics, brokers: b.Addrs, client: &b.Opts, log: slog.New(slog.DiscardHandler)})
			last := new(engine.Plan)
			plans(t, p, last)
			time.Sleep(6 * time.Second) // until it asks for topics again
			ids := map[string][16]byte{"a": b.Fake.TopicInfo("a").TopicID, "b": b.Fake.TopicInfo("b").TopicID}
			b.Fake.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
				b.Fake.KeepControl()
				return described(b, req, map[string]int32{"a": 1, "b": 1}, ids, -1), nil, true
			})
			_, err := p.Plan(t.Context(), engine.PlanRequest{Previous: last.Ranges, Interval: time.Second})
			says := "topic b partition 1 at " + b.Addrs[0] + ": topic has no such partition any more: it has 1, numbered from 0; as a topic loses none, check that the brokers are those that the job has read"
			if !errors.Is(err, ranges.ErrPartitionGone) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v\nwant %s", name, err, says)
			}
		})
	}
}

// Topics are looked at as often as the program says.
func TestPlannerLooksAtTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "a"))
		p := opened(t, &direct[string]{topics: SubscribePattern("a|b"), brokers: b.Addrs, client: &b.Opts, settings: settings{maxAge: time.Minute}, log: slog.New(slog.DiscardHandler)})
		last := new(engine.Plan)
		plans(t, p, last)
		b.Create(t, "b", 1)
		time.Sleep(50 * time.Second)
		if got, want := plans(t, p, last), "[a/0 [0,0)]"; got != want {
			t.Errorf("within the minute %s, want %s", got, want)
		}
		time.Sleep(11 * time.Second)
		if got, want := plans(t, p, last), "[a/0 [0,0) b/0 [0,0)]"; got != want {
			t.Errorf("after it %s, want %s", got, want)
		}
	})
}

// fills writes records into a partition.
func fills(t *testing.T, b *kafkatest.Broker, topic string, partition int32, n int) {
	t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Partition: partition}
	}
	b.Produce(t, topic, nil, records...)
}

// A topic that is made again while a program reads until the end, or after it was deleted for a
// while, has no end among those of the start: nothing of it is awaited.
func TestUntilEndOfATopicMadeAgain(t *testing.T) {
	part := func(id byte, until int64) ranges.Partition {
		return ranges.Partition{Topic: "t", TopicID: [16]byte{id}, Until: until}
	}
	for name, parts := range map[string][][]ranges.Partition{
		"at once":       {{part(1, 1000)}, {part(2, 10)}, {part(2, 12)}},
		"after a while": {{part(1, 1000)}, {}, {part(2, 10)}, {part(2, 12)}},
	} {
		p := &planner{plans: new(codec), forget: true, log: slog.New(slog.DiscardHandler), first: map[topicPartition]int64{}, ends: map[topicPartition]int64{{"t", 0}: 2000}}
		var last engine.Plan
		for i, now := range parts {
			var err error
			if last, err = p.plan(now, engine.PlanRequest{Previous: last.Ranges, Elapsed: time.Second}); err != nil {
				t.Fatal(err)
			}
			if want := i > 0; last.Ended != want || last.Backlog > 1000 || i > 0 && last.Records > 0 {
				t.Errorf("%s, plan %d: %+v", name, i, last)
			}
		}
	}
}

package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// values are records v0, v1 and so on.
func values(from, until int) (records []*kgo.Record) {
	for i := from; i < until; i++ {
		records = append(records, kgo.StringRecord(fmt.Sprintf("v%d", i)))
	}
	return records
}

// Offsets that can't be meant are refused before they are recorded: the program
// goes on from its checkpoint once they are corrected.
func TestStartOffsetsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		offsets map[string]map[int32]int64
		says    string
	}{
		"negative":          {map[string]map[int32]int64{"in": {0: -1}}, "kafka.Direct(in) at kafka/start_test.go:"},
		"negative, words":   {map[string]map[int32]int64{"in": {0: -2}}, "offset -2 of topic in partition 0 is negative"},
		"another topic":     {map[string]map[int32]int64{"inn": {0: 3}}, `kafka.AtOffsets names topic "inn", which the stream doesn't read: it reads in`},
		"no partition":      {map[string]map[int32]int64{"in": {-7: 3}}, "kafka.AtOffsets names partition -7 of topic in"},
		"another partition": {map[string]map[int32]int64{"in": {1: 3}}, "kafka.AtOffsets names partition 1 of topic in, which has 1"},
		"deleted records":   {map[string]map[int32]int64{"in": {0: 1}}, "topic in partition 0 is to begin at offset 1, but the records before 2 are deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				b.Produce(t, "in", nil, values(0, 5)...)
				b.DeleteBefore(t, "in", 0, 2)
				checkpoint := t.TempDir()
				var got []string
				program := func(offsets map[string]map[int32]int64) error {
					return run(t, b, func(ssc *engine.StreamingContext) error {
						collect(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue, kafka.StartFrom(kafka.AtOffsets(offsets))), 2, &got)
						return nil
					}, "--checkpoint", checkpoint)
				}
				if err := program(c.offsets); err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %q", err, c.says)
				}
				if err := program(map[string]map[int32]int64{"in": {0: 3}}); err != nil || !slices.Equal(got, []string{"v3", "v4"}) {
					t.Errorf("corrected: %q, %v", got, err)
				}
			}, "in")
		})
	}
}

// aged makes a topic of twoPartitions. Retention leaves it alone: its records may be old.
func aged(t *testing.T, b *kafkatest.Broker) string {
	t.Helper()
	topic := b.Topic(t, 2, "retention.ms", "-1")
	twoPartitions(t, b, topic)
	return topic
}

// A stream may begin at a time or at given offsets.
func TestStartAtATimeOrOffsets(t *testing.T) {
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := aged(t, b)
		offsets := func(of map[int32]int64) kafka.Position {
			return kafka.AtOffsets(map[string]map[int32]int64{topic: of})
		}
		for name, c := range map[string]struct {
			start kafka.Position
			want  string // or what the error says
		}{
			"a time":            {kafka.AtTime(noon.Add(150 * time.Second)), "[v3 v4 v5 v6 v7 v8 v9 w3]"},
			"before all":        {kafka.AtTime(noon.Add(-time.Hour)), "[v2 v3 v4 v5 v6 v7 v8 v9 w0 w1 w2 w3]"},
			"after all":         {kafka.AtTime(noon.Add(time.Hour)), "[]"},
			"offsets":           {offsets(map[int32]int64{0: 8, 1: 4}), "[v8 v9]"},
			"of one partition":  {offsets(map[int32]int64{0: 8}), "[v8 v9 w0 w1 w2 w3]"},
			"deleted records":   {offsets(map[int32]int64{0: 1}), "topic " + topic + " partition 0 is to begin at offset 1, but the records before 2 are deleted"},
			"another partition": {offsets(map[int32]int64{2: 1}), "kafka.AtOffsets names partition 2 of topic " + topic + ", which has 2"},
		} {
			var got []string
			err := run(t, b, func(ssc *engine.StreamingContext) error {
				collect(kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue, kafka.StartFrom(c.start)), 99, &got)
				return nil
			}, "--until-end")
			slices.Sort(got)
			said := fmt.Sprint(got)
			if err != nil {
				said = err.Error()
			}
			if !strings.Contains(said, c.want) {
				t.Errorf("%s: %s\nwant %s", name, said, c.want)
			}
		}
	})
}

// A start beyond a partition's end is waited for.
func TestStartBeyondTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		b.Produce(t, "in", nil, values(0, 5)...)
		var got []string
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			start := kafka.StartFrom(kafka.AtOffsets(map[string]map[int32]int64{"in": {0: 7}}))
			collect(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue, start), 2, &got)
			ssc.DriverTask("writer", func(context.Context) error {
				for n := 5; n < 9; n++ {
					time.Sleep(3 * time.Second)
					b.Produce(t, "in", nil, values(n, n+1)...)
				}
				return nil
			})
			return nil
		})
		if err != nil || !slices.Equal(got, []string{"v7", "v8"}) {
			t.Errorf("%q, %v", got, err)
		}
	}, "in")
}

// It is waited for also while there is much to read in other partitions.
func TestStartBeyondTheEndOfOnePartition(t *testing.T) {
	for name, conf := range map[string]string{
		"a budget":            "streaming.backpressure.initialRate=1",
		"a limit of the rate": "streaming.kafka.maxRatePerPartition=2",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				b.Create(t, "two", 2)
				b.Produce(t, "two", nil, values(0, 5)...)
				for n := range 20 {
					puts(t, b, "two", 1, fmt.Sprint("w", n))
				}
				var got []string
				err := run(t, b, func(ssc *engine.StreamingContext) error {
					start := kafka.StartFrom(kafka.AtOffsets(map[string]map[int32]int64{"two": {0: 7}}))
					collect(kafka.Direct(ssc, kafka.Subscribe("two"), kafka.StringValue, start), 22, &got)
					ssc.DriverTask("writer", func(context.Context) error {
						time.Sleep(5 * time.Second)
						b.Produce(t, "two", nil, values(5, 9)...)
						return nil
					})
					return nil
				}, "--conf", conf)
				slices.Sort(got)
				if err != nil || len(got) != 22 || !slices.Equal(got[:2], []string{"v7", "v8"}) {
					t.Errorf("%q, %v", got, err)
				}
			})
		})
	}
}

// EndOffsets are where streams end, not where logs do.
func TestEndOffsetsOfAnOpenTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in"))
		b.Produce(t, "in", nil, values(0, 5)...)
		cl := b.Client(t, kgo.TransactionalID("open"))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "in"}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		ends, err := kafka.EndOffsetsWith(t.Context(), b.Addrs, b.Opts, "in")
		if err != nil || ends["in"][0] != 5 {
			t.Errorf("%v, %v, want 5", ends, err)
		}
	})
}

// What is wrong with the options of a stream or a sink is said when the program
// is built, with the place.
func TestOptionsAreChecked(t *testing.T) {
	direct := func(ssc *engine.StreamingContext, topic string, opts ...kafka.DirectOption) *engine.DStream[string] {
		return kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue, opts...)
	}
	for says, build := range map[string]func(ssc *engine.StreamingContext){
		"kafka.Direct(in) at kafka/start_test.go:N: an option is nil":                    func(ssc *engine.StreamingContext) { direct(ssc, "in", nil) },
		`kafka.Direct(a b) at kafka/start_test.go:N: no topic can be named "a b"`:        func(ssc *engine.StreamingContext) { direct(ssc, "a b") },
		"kafka.Direct() at kafka/start_test.go:N: it names no topic: the name is":        func(ssc *engine.StreamingContext) { direct(ssc, "") },
		"kafka.Direct(in) at kafka/start_test.go:N: kafka.DeadLetter: it names no topic": func(ssc *engine.StreamingContext) { direct(ssc, "in", kafka.OnBadRecord(kafka.DeadLetter(""))) },
		"kafka.Direct(in) at kafka/start_test.go:N: kafka.DeadLetter: the stream reads topic in itself": func(ssc *engine.StreamingContext) {
			direct(ssc, "in", kafka.OnBadRecord(kafka.DeadLetter("in")))
		},
		`kafka.Direct(/[a/) at kafka/start_test.go:N: kafka.SubscribePattern("[a"): error parsing regexp`: func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.SubscribePattern("[a"), kafka.StringValue)
		},
		`kafka.Direct(/a)|(b/) at kafka/start_test.go:N: kafka.SubscribePattern("a)|(b"): error parsing regexp`: func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.SubscribePattern("a)|(b"), kafka.StringValue)
		},
		"kafka.Direct(//) at kafka/start_test.go:N: kafka.SubscribePattern: the pattern is empty": func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.SubscribePattern(""), kafka.StringValue)
		},
		"kafka.Direct(/i.*/) at kafka/start_test.go:N: kafka.DeadLetter: the stream reads topic in itself": func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.SubscribePattern("i.*"), kafka.StringValue, kafka.OnBadRecord(kafka.DeadLetter("in")))
		},
		`kafka.Direct(/i/) at kafka/start_test.go:N: kafka.AtOffsets names topic "in", which the stream doesn't read: it reads /i/`: func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.SubscribePattern("i"), kafka.StringValue, kafka.StartFrom(at(map[int32]int64{0: 1})))
		},
		"kafka.Direct(in[0-2 4]) at kafka/start_test.go:N: kafka.AtOffsets names partition 3 of topic in, which the stream doesn't read: it reads in[0-2 4]": func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.Assign(map[string][]int32{"in": {4, 0, 1, 2}}), kafka.StringValue, kafka.StartFrom(at(map[int32]int64{3: 1})))
		},
		"kafka.Direct(in) at kafka/start_test.go:N: kafka.ForgetDeleted is for kafka.SubscribePattern": func(ssc *engine.StreamingContext) {
			direct(ssc, "in", kafka.ForgetDeleted())
		},
		"kafka.Direct() at kafka/start_test.go:N: it names no topic: use kafka.Subscribe": func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.Assign(nil), kafka.StringValue)
		},
		"kafka.Direct(in[]) at kafka/start_test.go:N: kafka.Assign names no partition of topic in": func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.Assign(map[string][]int32{"in": nil}), kafka.StringValue)
		},
		"kafka.Direct(in[1 1]) at kafka/start_test.go:N: kafka.Assign names partition 1 of topic in twice": func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.Assign(map[string][]int32{"in": {1, 1}}), kafka.StringValue)
		},
		"kafka.Direct(in[-1]) at kafka/start_test.go:N: kafka.Assign names partition -1 of topic in": func(ssc *engine.StreamingContext) {
			kafka.Direct(ssc, kafka.Assign(map[string][]int32{"in": {-1}}), kafka.StringValue)
		},
		"kafka.Direct(in) at kafka/start_test.go:N: kafka.MirrorOffsets: the group has no name": func(ssc *engine.StreamingContext) { direct(ssc, "in", kafka.MirrorOffsets("")) },
		`kafka.Sink(a/b) at kafka/start_test.go:N: no topic can be named "a/b"`: func(ssc *engine.StreamingContext) {
			kafka.Sink(direct(ssc, "in"), "a/b", kafka.String)
		},
		"kafka.Sink(in) at kafka/start_test.go:N: an option is nil": func(ssc *engine.StreamingContext) {
			kafka.Sink(direct(ssc, "in"), "in", kafka.String, nil)
		},
		"kafka.Sink(in) at kafka/start_test.go:N: kafka.Key: the function is nil": func(ssc *engine.StreamingContext) {
			kafka.Sink(direct(ssc, "in"), "in", kafka.String, kafka.Key[string](nil))
		},
		"kafka.Sink(in) at kafka/start_test.go:N: kafka.Headers: the function is nil": func(ssc *engine.StreamingContext) {
			kafka.Sink(direct(ssc, "in"), "in", kafka.String, kafka.Headers[string](nil))
		},
		"kafka.Sink(in) at kafka/start_test.go:N: kafka.Partition: the function is nil": func(ssc *engine.StreamingContext) {
			kafka.Sink(direct(ssc, "in"), "in", kafka.String, kafka.Partition[string](nil))
		},
		"kafka.Sink(in) at kafka/start_test.go:N: kafka.Timestamp: the function is nil": func(ssc *engine.StreamingContext) {
			kafka.Sink(direct(ssc, "in"), "in", kafka.String, kafka.Timestamp[string](nil))
		},
		"kafka.ClientOptions at kafka/start_test.go:N: option 1 of 1: an option is nil": func(ssc *engine.StreamingContext) {
			kafka.ClientOptions(ssc, nil)
		},
		"kafka.ClientOptions at kafka/start_test.go:N: option 1 of 1: it is for consumers": func(ssc *engine.StreamingContext) {
			kafka.ClientOptions(ssc, kgo.ConsumerGroup("g"))
		},
	} {
		place, words, _ := strings.Cut(says, "N: ")
		bubble(t, func(t *testing.T, b *kafkatest.Broker) {
			err := run(t, b, func(ssc *engine.StreamingContext) error {
				build(ssc)
				direct(ssc, "in").Print(1)
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), words) {
				t.Errorf("%v\nwant %s", err, says)
			}
		}, "in")
	}
}

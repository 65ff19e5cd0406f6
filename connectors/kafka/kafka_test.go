package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// run runs a stream on a broker until it stops, fails, or a minute is over, in virtual time
// where the broker is.
func run(t *testing.T, b *kafkatest.Broker, build engine.BuildFunc, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args = append([]string{"--master", "local[2]", "--log-level", "error", "--brokers", b.Addrs[0]}, args...)
	return engine.NewApp("test").Run(ctx, args, time.Second, func(ssc *engine.StreamingContext) error {
		kafka.ClientOptions(ssc, b.Opts...)
		return build(ssc)
	})
}

// bubble runs a test in virtual time on a broker with the given topics, of one
// partition each.
func bubble(t *testing.T, f func(t *testing.T, b *kafkatest.Broker), topics ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, kafkatest.Virtual(t, kfake.SeedTopics(1, topics...))) })
}

// onBoth runs a test on kfake, in virtual time, and on a real broker, where topics have names of
// their own.
func onBoth(t *testing.T, f func(t *testing.T, b *kafkatest.Broker)) {
	t.Helper()
	t.Run("kfake", func(t *testing.T) { bubble(t, f) })
	t.Run("kafka", func(t *testing.T) { f(t, kafkatest.Real(t)) })
}

// collect notes a stream's elements and stops the stream when there are enough.
func collect[T any](d *engine.DStream[T], enough int, into *[]T) {
	ssc := d.Context()
	engine.ForEachBatch(d, func(_ engine.Batch, rows []T) error {
		if *into = append(*into, rows...); len(*into) >= enough {
			ssc.Stop()
		}
		return nil
	})
}

// read reads a topic's first records.
func read(t *testing.T, b *kafkatest.Broker, topic string, n int) (records []*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cl := b.Client(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	for len(records) < n {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("%d of %d records of %s: %v", len(records), n, topic, err)
		}
		records = append(records, fs.Records()...)
	}
	return records
}

// Records come to the driver whole, with their headers.
func TestRaw(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		b.Produce(t, "in", nil, &kgo.Record{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("7")}}})
		var got []kafka.Record
		if err := run(t, b, func(ssc *engine.StreamingContext) error {
			collect(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.Raw), 1, &got)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if v, ok := got[0].Header("trace"); len(got) != 1 || string(got[0].Key) != "k" || string(got[0].Value) != "v" || !ok || string(v) != "7" {
			t.Errorf("%+v", got)
		}
	}, "in")
}

type point struct{ X, Y int }

func TestJSONAndStrings(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		b.Produce(t, "in", nil, kgo.StringRecord(`{"X":1,"Y":2}`), kgo.StringRecord(`{"Y":3}`))
		var points []point
		var texts []string
		if err := run(t, b, func(ssc *engine.StreamingContext) error {
			collect(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), 99, &texts)
			collect(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.JSONValue[point]), 2, &points)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(points, []point{{1, 2}, {0, 3}}) || !slices.Equal(texts, []string{`{"X":1,"Y":2}`, `{"Y":3}`}) {
			t.Errorf("%v %q", points, texts)
		}
	}, "in")
}

// A record that isn't what it should be fails the job, is left out, or goes to
// the dead-letter topic.
func TestBadRecords(t *testing.T) {
	for name, policy := range map[string]kafka.BadRecords{"fail": kafka.Fail(), "skip": kafka.Skip(), "dead letter": kafka.DeadLetter("letters")} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				var direct int // its line
				b.Produce(t, "in", nil, kgo.StringRecord(`{"X":1}`), kgo.StringRecord(`oh`), kgo.StringRecord(`{"X":2}`))
				var got []point
				err := run(t, b, func(ssc *engine.StreamingContext) error {
					_, _, direct, _ = runtime.Caller(0)
					in := kafka.Direct(ssc, kafka.Subscribe("in"), kafka.JSONValue[point], kafka.OnBadRecord(policy))
					collect(engine.Map(in, func(p point) point { return p }), 2, &got)
					return nil
				})
				if name == "fail" {
					says := fmt.Sprintf("kafka.Direct(in) at kafka/kafka_test.go:%d: bad record in topic in partition 0 at offset 1: decoding JSON", direct+1)
					if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "; if the topic holds something else than the program reads, name another one") {
						t.Error(err)
					}
					return
				}
				if err != nil || !slices.Equal(got, []point{{X: 1}, {X: 2}}) {
					t.Errorf("%v, %v", got, err)
				}
				if name == "dead letter" {
					letter := read(t, b, "letters", 1)[0]
					headers := fmt.Sprintf("%s", letter.Headers)
					if string(letter.Value) != "oh" || !strings.Contains(headers, "{hibana-offset 1}") {
						t.Errorf("%s %s", letter.Value, headers)
					}
				}
			}, "in", "letters")
		})
	}
}

func TestSink(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		b.Produce(t, "in", nil, kgo.StringRecord("b"), kgo.StringRecord("a"))
		var seen []string
		if err := run(t, b, func(ssc *engine.StreamingContext) error {
			in := kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue)
			kafka.Sink(in, "out", kafka.JSON[string], kafka.Key(func(s string) []byte { return []byte("k" + s) }))
			collect(in, 2, &seen)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i, r := range read(t, b, "out", 2) {
			want := []string{`kb="b"`, `ka="a"`}[i]
			if got := fmt.Sprintf("%s=%s", r.Key, r.Value); got != want || len(r.Headers) != 2 || r.Headers[0].Key != kafka.BatchHeader || string(r.Headers[0].Value) != "1" {
				t.Errorf("%s with headers %s, want %s", got, r.Headers, want)
			}
		}
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			kafka.Sink(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), "nowhere", kafka.String)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "topic nowhere, which the sink writes, at "+b.Addrs[0]+": topic does not exist; create it") || !strings.Contains(err.Error(), "kafka.EnsureTopic") {
			t.Error(err)
		}
	}, "in", "out")
}

// Who forgets --brokers is told that the topic is looked for in the broker of the process's own; who
// gave them isn't.
func TestForgottenBrokers(t *testing.T) {
	const own = "without --brokers this is the broker embedded in this process"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, missing := range map[string]func(ssc *engine.StreamingContext) error{
		"direct": func(ssc *engine.StreamingContext) error {
			kafka.Direct(ssc, kafka.Subscribe("nowhere"), kafka.StringValue).Print(1)
			return nil
		},
		"dead letter": func(ssc *engine.StreamingContext) error {
			kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue, kafka.OnBadRecord(kafka.DeadLetter("nowhere"))).Print(1)
			return nil
		},
		"sink": func(ssc *engine.StreamingContext) error {
			kafka.Sink(enginetest.Queue(ssc, [][]string{{"x"}}, 1), "nowhere", kafka.String)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := engine.NewApp("test").Run(ctx, []string{"--master", "local[1]", "--log-level", "error", "--until-end"}, time.Second, missing)
			if err == nil || !strings.Contains(err.Error(), "topic nowhere") || !strings.Contains(err.Error(), own) {
				t.Error(err)
			}
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				if err := run(t, b, missing); err == nil || !strings.Contains(err.Error(), "topic nowhere") || strings.Contains(err.Error(), own) {
					t.Error(err)
				}
			})
		})
	}
}

// What is wrong with the program is said with its place in the program, and a
// topic that isn't there with what to do about it.
func TestErrors(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			kafka.Direct(ssc, kafka.Subscribe("nowhere"), kafka.StringValue).Print(1)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "kafka.Direct(nowhere) at kafka/kafka_test.go:") || !strings.Contains(err.Error(), "check its name or create it, for example with kafka.EnsureTopic in OnDriver") {
			t.Error(err)
		}
		err = run(t, b, func(ssc *engine.StreamingContext) error { kafka.Brokers(ssc); return nil }, "--brokers", "nowhere")
		if !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), "kafka at kafka/kafka_test.go:") {
			t.Error(err)
		}
	})
}

// To print how far a job has read, or what a changed program would go on with, takes no broker.
func TestLookingNeedsNoBroker(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		b.Produce(t, "in", nil, &kgo.Record{Value: []byte("a")})
		program := func(ssc *engine.StreamingContext) error {
			var rows []string
			collect(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue), 1, &rows)
			return nil
		}
		dir := t.TempDir()
		if err := run(t, b, program, "--checkpoint", dir); err != nil {
			t.Fatal(err)
		}
		for _, look := range []string{"--plan", "--offsets"} {
			if err := run(t, b, program, "--checkpoint", dir, "--brokers", "", look); err != nil {
				t.Errorf("%s: %v", look, err)
			}
		}
		if err := run(t, b, program, "--checkpoint", dir, "--brokers", ""); !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), "needs --brokers HOST:PORT") {
			t.Errorf("it ran without brokers: %v", err)
		}
	}, "in")
}

// A job whose sink waits for Kafka can be ended, and fails if Kafka stays away.
func TestSinkOutage(t *testing.T) {
	sink := func(ssc *engine.StreamingContext) error {
		kafka.Sink(enginetest.Queue(ssc, [][]string{{"x"}}, 1), "out", kafka.String)
		return nil
	}
	t.Run("ended", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *kafkatest.Broker) {
			b.HangUp(kmsg.Produce)
			began := time.Now()
			err := run(t, b, sink, "--conf", "streaming.stopGracefullyOnShutdown=false") // its context ends after a minute
			if took := time.Since(began); !errors.Is(err, engine.ErrStopped) || took > 65*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		}, "out")
	})
	// It is for as long whatever times its records have.
	for name, opts := range map[string][]kafka.SinkOption[string]{
		"failed":                        nil,
		"failed, times that are past":   {kafka.Timestamp(func(string) time.Time { return time.Now().Add(-time.Hour) })},
		"failed, times that are coming": {kafka.Timestamp(func(string) time.Time { return time.Now().Add(time.Hour) })},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				b.HangUp(kmsg.Produce)
				began := time.Now()
				err := run(t, b, func(ssc *engine.StreamingContext) error {
					kafka.Sink(enginetest.Queue(ssc, [][]string{{"x"}}, 1), "out", kafka.String, opts...)
					return nil
				}, "--conf", "task.maxFailures=1")
				if took := time.Since(began); !errors.Is(err, engine.ErrBatchFailed) || !strings.Contains(err.Error(), "writing to topic out: no acknowledgement within 2m0s, EOF: ") ||
					took < 2*time.Minute || took > 130*time.Second {
					t.Errorf("after %s: %v", took, err)
				}
			}, "out")
		})
	}
}

// A new topic can be used at once when EnsureTopic has returned.
func TestEnsureTopic(t *testing.T) {
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		for range 5 {
			topic := b.Name(t)
			for range 2 { // the second time it is there
				if err := kafka.EnsureTopic(t.Context(), b.Addrs, topic, 4); err != nil {
					t.Fatal(err)
				}
			}
			ends, err := kafka.EndOffsets(t.Context(), b.Addrs, topic)
			if err != nil || len(ends[topic]) != 4 {
				t.Fatal(ends, err)
			}
		}
		if err := kafka.EnsureTopic(t.Context(), b.Addrs, "t", 0); !errors.Is(err, engine.ErrUsage) {
			t.Error(err)
		}
	})
}

// EnsureTopic and EndOffsets ask again while brokers don't know a topic's leaders.
func TestLateLeaders(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1))
	asked := 0
	b.Fake.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if asked++; asked%3 == 0 {
			b.Fake.KeepControl()
			return nil, nil, false
		}
		b.Fake.KeepControl()
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, rt := range req.(*kmsg.ListOffsetsRequest).Topics {
			st := kmsg.NewListOffsetsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewListOffsetsResponseTopicPartition()
				sp.Partition, sp.ErrorCode = rp.Partition, kerr.UnknownTopicOrPartition.Code
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
	if err := kafka.EnsureTopic(t.Context(), b.Addrs, "late", 2); err != nil {
		t.Error(err)
	}
	if ends, err := kafka.EndOffsets(t.Context(), b.Addrs, "late"); err != nil || len(ends["late"]) != 2 {
		t.Error(ends, err)
	}
	if asked < 6 {
		t.Errorf("asked %d times", asked)
	}
}

// Every client of a program uses ClientOptions: without the password nothing works.
func TestClientOptions(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "me", "secret"))
	password := kgo.SASL(plain.Auth{User: "me", Pass: "secret"}.AsMechanism())
	build := func(opts ...kgo.Opt) error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		args := []string{"--master", "local[2]", "--log-level", "error", "--brokers", b.Addrs[0]}
		var got []string
		return engine.NewApp("test").Run(ctx, args, 50*time.Millisecond, func(ssc *engine.StreamingContext) error {
			ssc.OnDriver(func(ctx context.Context) error { return kafka.EnsureTopic(ctx, b.Addrs, "secured", 1, opts...) })
			in := enginetest.Queue(ssc, [][]string{{"x", "y"}}, 1)
			kafka.Sink(in, "secured", kafka.String)
			collect(kafka.Direct(ssc, kafka.Subscribe("secured"), kafka.StringValue), 2, &got)
			kafka.ClientOptions(ssc, opts...)
			return nil
		})
	}
	if err := build(password); err != nil {
		t.Error(err)
	}
	if err := build(); err == nil {
		t.Error("it worked without a password")
	}
}

package kafka_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
)

// decodeShort panics for "panic", quotes what begins with "quote" in its error,
// and refuses what begins with "bad".
func decodeShort(r *kafka.Record) (string, error) {
	v := string(r.Value)
	switch {
	case v == "panic":
		return v[:100], nil
	case strings.HasPrefix(v, "quote"):
		return "", fmt.Errorf("can't parse %q", v)
	case strings.HasPrefix(v, "bad"):
		return "", errors.New("can't parse it")
	}
	return v, nil
}

// letters runs a stream over a bad record between two good ones of a new topic.
func letters(t *testing.T, b *kafkatest.Broker, topic, bad string, policy kafka.BadRecords, args ...string) error {
	t.Helper()
	large := []kgo.Opt{kgo.ProducerBatchMaxBytes(20 << 20), kgo.ProducerBatchCompression(kgo.NoCompression())}
	b.Create(t, topic, 1, "max.message.bytes", "20000000")
	b.Produce(t, topic, large, kgo.StringRecord("first"))
	b.Produce(t, topic, large, kgo.StringRecord(bad))
	b.Produce(t, topic, large, kgo.StringRecord("last"))
	var got []string
	err := run(t, b, func(ssc *engine.StreamingContext) error {
		collect(kafka.Direct(ssc, kafka.Subscribe(topic), decodeShort, kafka.OnBadRecord(policy)), 2, &got)
		return nil
	}, args...)
	if err == nil && !slices.Equal(got, []string{"first", "last"}) {
		t.Errorf("got %d records", len(got))
	}
	return err
}

// A decoder that panics is under the policy like one that returns an error, and
// what fails the job has the record, the stack and the stream's place.
func TestDecoderPanics(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		err := letters(t, b, "in", "panic", kafka.Fail(), "--conf", "task.maxFailures=1")
		for _, says := range []string{"kafka.Direct(in) at kafka/badrecord_test.go:", "panic at kafka/badrecord_test.go:", "slice bounds out of range",
			"topic in partition 0 at offset 1", "kafka.OnBadRecord", "decodeShort"} {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v\ndoesn't say %q", err, says)
			}
		}
	})
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		if err := letters(t, b, "in", "panic", kafka.Skip()); err != nil {
			t.Error(err)
		}
	})
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		b.Create(t, "dead", 1)
		if err := letters(t, b, "in", "panic", kafka.DeadLetter("dead")); err != nil {
			t.Fatal(err)
		}
		if l := read(t, b, "dead", 1)[0]; string(l.Value) != "panic" || !strings.Contains(fmt.Sprintf("%s", l.Headers), "slice bounds out of range") {
			t.Errorf("%s %s", l.Value, l.Headers)
		}
	})
}

// A dead-letter topic that isn't there is found out before the first bad record.
func TestDeadLetterTopicIsMissing(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue, kafka.OnBadRecord(kafka.DeadLetter("dead"))).Print(1)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "kafka.Direct(in) at kafka/badrecord_test.go:") ||
			!strings.Contains(err.Error(), "topic dead, which kafka.DeadLetter writes, at "+b.Addrs[0]+": topic does not exist; create it") || !strings.Contains(err.Error(), "kafka.EnsureTopic") {
			t.Error(err)
		}
	}, "in")
}

// Letters are as large as their topic takes, and errors are cut.
func TestLargeLetters(t *testing.T) {
	for name, bad := range map[string]string{"record": "bad" + strings.Repeat("x", 2_000_000), "error": "quote" + strings.Repeat("x", 900_000)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *kafkatest.Broker) {
				b.Create(t, "dead", 1, "max.message.bytes", "20000000")
				if err := letters(t, b, "in", bad, kafka.DeadLetter("dead")); err != nil {
					t.Fatal(err)
				}
				l := read(t, b, "dead", 1)[0]
				reason := l.Headers[len(l.Headers)-1].Value
				if string(l.Value) != bad || len(reason) > 5000 {
					t.Errorf("a value of %d bytes, a reason of %d", len(l.Value), len(reason))
				}
				if name == "error" && !bytes.HasSuffix(reason, []byte("xxx... (cut, 900019 bytes in all)")) {
					t.Errorf("the reason ends with %q", reason[len(reason)-40:])
				}
			})
		})
	}
	t.Run("too large", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *kafkatest.Broker) {
			b.Create(t, "dead", 1, "max.message.bytes", "1000")
			err := letters(t, b, "in", "bad"+string(noise(t, 4000)), kafka.DeadLetter("dead"), "--conf", "task.maxFailures=1")
			for _, says := range []string{"the dead-letter topic dead takes no letter of 40", "max.message.bytes", "topic in partition 0 at offset 1: can't parse it"} {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%v\ndoesn't say %q", err, says)
				}
			}
		})
	})
	t.Run("quoted in the job's failure", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *kafkatest.Broker) {
			err := letters(t, b, "in", "quote"+strings.Repeat("x", 900_000), kafka.Fail(), "--conf", "task.maxFailures=1")
			if err == nil || len(err.Error()) > 6000 || !strings.Contains(err.Error(), "bytes in all); if the topic holds") {
				t.Errorf("%.6000v", err)
			}
		})
	})
}

// noise is text that doesn't compress.
func noise(t *testing.T, n int) []byte {
	t.Helper()
	var b []byte
	for x := uint64(1); len(b) < n; x = x*6364136223846793005 + 1442695040888963407 {
		b = strconv.AppendUint(b, x, 36)
	}
	return b[:n]
}

// A batch that is larger than what is read at once comes under the policy too.
func TestBatchTooLargeToRead(t *testing.T) {
	bad := strings.Repeat("x", 300_000)
	limit := []string{"--batch-interval", "100ms", "--conf", "streaming.kafka.maxBatchBytes=200000", "--conf", "task.maxFailures=1"}
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Name(t)
		err := letters(t, b, topic, bad, kafka.Fail(), limit...)
		for _, says := range []string{"bad record in topic " + topic + " partition 0 at offset 1", "the batch at offset 1 is too large", "over the limit of 200000", "raise --conf streaming.kafka.maxBatchBytes"} {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v\ndoesn't say %q", err, says)
			}
		}
		if err != nil && strings.Contains(err.Error(), "corrupt") {
			t.Errorf("nothing is corrupt: %v", err)
		}
	})
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		if err := letters(t, b, b.Name(t), bad, kafka.Skip(), limit...); err != nil {
			t.Error(err)
		}
	})
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		dead := b.Topic(t, 1)
		if err := letters(t, b, b.Name(t), bad, kafka.DeadLetter(dead), limit...); err != nil {
			t.Fatal(err)
		}
		if l := read(t, b, dead, 1)[0]; l.Value != nil || !strings.Contains(fmt.Sprintf("%s", l.Headers), "{hibana-offset 1}") {
			t.Errorf("%d bytes, %s", len(l.Value), l.Headers)
		}
	})
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		if err := letters(t, b, "in", bad, kafka.Fail(), "--conf", "streaming.kafka.maxBatchBytes=0"); !errors.Is(err, engine.ErrUsage) {
			t.Error(err)
		}
	})
}

// A record that is larger than what is asked for at once (4 MiB) comes whole, like those around it.
func TestRecordsLargerThanARequest(t *testing.T) {
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 2, "max.message.bytes", "20000000")
		large := []kgo.Opt{kgo.ProducerBatchMaxBytes(20 << 20), kgo.ProducerBatchCompression(kgo.NoCompression())}
		for p := range int32(2) {
			for _, size := range []int{1, 5_000_000, 2} {
				b.Produce(t, topic, large, &kgo.Record{Partition: p, Value: make([]byte, size)})
			}
		}
		var got []string
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			size := func(r *kafka.Record) (string, error) {
				return fmt.Sprintf("%d/%d %d", r.Partition, r.Offset, len(r.Value)), nil
			}
			collect(kafka.Direct(ssc, kafka.Subscribe(topic), size), 99, &got)
			return nil
		}, "--until-end")
		slices.Sort(got)
		if want := []string{"0/0 1", "0/1 5000000", "0/2 2", "1/0 1", "1/1 5000000", "1/2 2"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	})
}

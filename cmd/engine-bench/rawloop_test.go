package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
)

// A raw loop reads every record once, whatever the batches are compressed with, from where the
// logs begin.
func TestRawLoop(t *testing.T) {
	kafkatest.Brokers(t, testRawLoop)
}

func testRawLoop(t *testing.T, broker *kafkatest.Broker) {
	topic := broker.Topic(t, 5)
	var records, size int64
	for name, codec := range kafkatest.Codecs() {
		var batch []*kgo.Record
		for i := range 300 {
			value := bytes.Repeat([]byte(name), i)
			batch = append(batch, &kgo.Record{Partition: int32(i % 4), Key: []byte(name)[:i%2], Value: value}) // one partition stays empty
			records, size = records+1, size+int64(len(value))
		}
		broker.Produce(t, topic, []kgo.Opt{kgo.ProducerBatchCompression(codec)}, batch...)
	}
	checkRaw(t, broker, topic, records, size)
	broker.DeleteBefore(t, topic, 3, broker.Ends(t, topic, false)[3]-1) // amid a batch
	records -= int64(len(kafkatest.Codecs())*75 - 1)
	checkRaw(t, broker, topic, records, -1)
	if _, err := runRaw(t, broker, topic, records+1, nil); err == nil || err.Error() != fmt.Sprintf("raw loop: read %d of %d records", records, records+1) {
		t.Errorf("error %v", err)
	}
}

// checkRaw reads a topic, whose values have so many bytes together unless size is below 0.
func checkRaw(t *testing.T, broker *kafkatest.Broker, topic string, records, size int64) {
	t.Helper()
	var sums [2]int64
	rate, err := runRaw(t, broker, topic, records, sums[:])
	if err != nil || rate <= 0 {
		t.Fatalf("%v records/s, error %v", rate, err)
	}
	if got := sums[0] + sums[1]; size >= 0 && got != size {
		t.Errorf("the values have %d bytes, want %d", got, size)
	}
}

// runRaw reads a topic with two workers, whose values' bytes it adds to sums, if any.
func runRaw(t *testing.T, broker *kafkatest.Broker, topic string, records int64, sums []int64) (float64, error) {
	return rawLoop(t.Context(), strings.Join(broker.Addrs, ","), topic, 2, records, func(worker int) func([]byte) {
		return func(value []byte) {
			if sums != nil {
				sums[worker] += int64(len(value))
			}
		}
	})
}

// Where an answer is cut off amid a batch, or amid its header, that is read from the next.
func TestRawLoopCutAnswers(t *testing.T) {
	for _, size := range []int{0, 1, rawHeader, 500, 1000, 5000} {
		broker := kafkatest.Fake(t, kfake.NumBrokers(1))
		topic := broker.Topic(t, 4)
		var records, sum int64
		for n := range 10 {
			var batch []*kgo.Record
			for i := range 4 * (n + 1) {
				batch = append(batch, &kgo.Record{Partition: int32(i % 4), Value: make([]byte, 50)})
			}
			broker.Produce(t, topic, []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}, batch...)
			records, sum = records+int64(len(batch)), sum+int64(50*len(batch))
		}
		cutAnswers(broker, logsOf(t, broker, topic), size)
		checkRaw(t, broker, topic, records, sum)
	}
}

// logsOf returns the batches of a topic's partitions.
func logsOf(t *testing.T, broker *kafkatest.Broker, topic string) map[int32][]rawBatch {
	t.Helper()
	topics, err := broker.Admin().ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	logs := make(map[int32][]rawBatch)
	for number := range broker.Ends(t, topic, false) {
		req := rawRequest(topic, topics[topic].ID, []rawPartition{{number: number}})
		got, err := broker.Client(t).Request(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for b := range wholeBatches(got.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches) {
			logs[number] = append(logs[number], b)
		}
	}
	return logs
}

// cutAnswers makes a fake broker answer as Kafka does: a partition's log from the batch with the
// offset that was asked for, cut off after so many bytes, but for the request's first batch.
func cutAnswers(broker *kafkatest.Broker, logs map[int32][]rawBatch, size int) {
	broker.Fake.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		broker.Fake.KeepControl()
		req := r.(*kmsg.FetchRequest)
		answer := req.ResponseKind().(*kmsg.FetchResponse)
		asked := req.Topics[0]
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = asked.Topic, asked.TopicID
		for i, p := range asked.Partitions {
			part := kmsg.NewFetchResponseTopicPartition()
			part.Partition = p.Partition
			room := size
			for _, b := range logs[p.Partition] {
				if b.last() < p.FetchOffset {
					continue
				}
				if i == 0 && len(part.RecordBatches) == 0 {
					room = max(room, len(b))
				}
				part.RecordBatches = append(part.RecordBatches, b[:min(room, len(b))]...)
				room -= min(room, len(b))
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		answer.Topics = append(answer.Topics, topic)
		return answer, nil, true
	})
}

// What a raw loop can't read ends it.
func TestRawLoopRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, broker *kafkatest.Broker, topic string)
		want  string
	}{
		"transactions": {func(t *testing.T, broker *kafkatest.Broker, topic string) {
			cl := broker.Client(t, kgo.TransactionalID("t"), kgo.DefaultProduceTopic(topic))
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			err := errors.Join(cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("v")}).FirstErr(), cl.EndTransaction(t.Context(), kgo.TryCommit))
			if err != nil {
				t.Fatal(err)
			}
			kafkatest.Until(t, "the transaction's marker is there", func() bool { return broker.Ends(t, topic, true)[0] == 4 })
		}, "raw loop: partition 0, offset 3: there are transactions"},
		"a wrong checksum": {func(t *testing.T, broker *kafkatest.Broker, topic string) {
			logs := logsOf(t, broker, topic)
			logs[0][1][rawHeader]++
			cutAnswers(broker, logs, 1000)
		}, "raw loop: partition 0, offset 1: the batch's checksum is wrong"},
		"an old version": {func(t *testing.T, broker *kafkatest.Broker, topic string) {
			logs := logsOf(t, broker, topic)
			logs[0][0][16] = 1
			cutAnswers(broker, logs, 1000)
		}, "raw loop: partition 0, offset 0: the batch has version 1, not 2"},
		"nothing": {func(_ *testing.T, broker *kafkatest.Broker, _ string) {
			cutAnswers(broker, nil, 0)
		}, "raw loop: partition 0, offset 0: the broker sends no whole batch"},
	} {
		t.Run(name, func(t *testing.T) {
			broker := kafkatest.Fake(t, kfake.NumBrokers(1))
			topic := broker.Topic(t, 1)
			for range 2 {
				broker.Produce(t, topic, nil, &kgo.Record{Value: []byte("v")})
			}
			c.spoil(t, broker, topic)
			if _, err := runRaw(t, broker, topic, 2, nil); err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// A partition whose end can't be asked for isn't taken for an empty one.
func TestEndsOfAllPartitions(t *testing.T) {
	broker := kafkatest.Fake(t, kfake.NumBrokers(1))
	topic := broker.Topic(t, 1)
	broker.Fake.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		broker.Fake.KeepControl()
		answer := r.ResponseKind().(*kmsg.ListOffsetsResponse)
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = topic
		p := kmsg.NewListOffsetsResponseTopicPartition()
		p.ErrorCode = kerr.UnknownServerError.Code
		t.Partitions = append(t.Partitions, p)
		answer.Topics = append(answer.Topics, t)
		return answer, nil, true
	})
	if until, err := ends(t.Context(), broker.Addrs[0], topic); !errors.Is(err, kerr.UnknownServerError) || !strings.Contains(err.Error(), topic) {
		t.Errorf("%v, %v", until, err)
	}
}

// Bytes that are no records are refused, and not walked out of.
func TestRawRecords(t *testing.T) {
	record := func(offset int32, key, value []byte) []byte {
		r := kmsg.Record{OffsetDelta: offset, TimestampDelta64: 1 << 40, Key: key, Value: value, Headers: []kmsg.Header{{Key: "h"}}}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // a length of zero takes one byte
		return r.AppendTo(nil)
	}
	values := func(records []byte, from, until int64) (got []string, ok bool) {
		w := rawWalker{each: func(value []byte) { got = append(got, string(value)) }}
		ok = w.values(records, from, until)
		return got, ok && w.records == int64(len(got))
	}
	first := record(0, nil, []byte("a"))
	all := append(bytes.Clone(first), append(record(1, []byte("key"), nil), record(2, []byte{}, []byte("c"))...)...)
	for _, c := range []struct {
		from, until int64
		want        string
	}{{0, 3, "[a  c]"}, {1, 3, "[ c]"}, {-5, 1, "[a]"}, {3, 9, "[]"}} {
		if got, ok := values(all, c.from, c.until); !ok || fmt.Sprint(got) != c.want {
			t.Errorf("[%d, %d): %q, %v, want %s", c.from, c.until, got, ok, c.want)
		}
	}
	for cut := 1; cut < len(first); cut++ {
		if _, ok := values(first[:cut], 0, 3); ok {
			t.Errorf("%d of %d bytes are a record", cut, len(first))
		}
	}
	for at := range all {
		for v := range 256 {
			broken := bytes.Clone(all)
			broken[at] = byte(v)
			values(broken, 0, 3) // doesn't panic
		}
	}
}

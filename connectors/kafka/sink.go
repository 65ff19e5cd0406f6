package kafka

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Encoder turns an element into a record's value, on executors.
type Encoder[T any] func(v T) ([]byte, error)

// JSON encodes elements as JSON.
func JSON[T any](v T) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %T as JSON: %w", v, err)
	}
	return b, nil
}

// Bytes writes byte slices as they are.
func Bytes(v []byte) ([]byte, error) { return v, nil }

// String writes strings as they are.
func String(v string) ([]byte, error) { return []byte(v), nil }

// SinkOption configures a sink of T.
type SinkOption[T any] func(*sink[T])

// Key sets the records' keys; without it records have none and are spread over
// the topic's partitions.
func Key[T any](key func(T) []byte) SinkOption[T] {
	return func(s *sink[T]) {
		if s.key = key; key == nil {
			s.wrong = fmt.Errorf("kafka.Key: %w", rdd.ErrNilFunction)
		}
	}
}

// Headers of the records that a sink writes, both in decimal: the batch's number
// and the job's incarnation. With the record's source they tell what an earlier
// attempt wrote.
const (
	BatchHeader = "hibana-batch"
	JobHeader   = "hibana-job"
)

// Sink writes each element to a topic, on executors, with acknowledgement of
// all in-sync replicas and an idempotent producer. A batch is complete when all
// its records are acknowledged. Delivery is at least once: what a batch in
// flight wrote before its process died is written again, with the same number
// in the header [BatchHeader]. The topic must exist; see [EnsureTopic].
func Sink[T any](d *engine.DStream[T], topic string, encode Encoder[T], opts ...SinkOption[T]) {
	ssc, op := d.Context(), fmt.Sprintf("kafka.Sink(%s)", topic)
	s := &sink[T]{topic: topic, producers: producers{Brokers(ssc), clientOptions(ssc), ssc.Logger()}, encode: encode}
	for _, set := range opts {
		if set == nil {
			s.wrong = errNilOption
			continue
		}
		set(s)
	}
	if err := cmp.Or(checkTopic(topic), s.wrong); err != nil {
		ssc.Fail(op, err)
	}
	if encode == nil {
		ssc.Fail(op, rdd.ErrNilFunction)
	}
	engine.NewOutput(d, op, s, encode, s.key)
}

// sink writes elements to a topic.
type sink[T any] struct {
	producers
	topic  string
	encode Encoder[T]
	key    func(T) []byte
	wrong  error // with the options
}

// Open makes sure that the topic can be written to.
func (s *sink[T]) Open(ctx context.Context) error {
	return s.check(ctx, s.topic, "the sink")
}

// Write produces one partition's elements and waits for their acknowledgements.
// There is nothing to commit: a record that is acknowledged can be read.
func (s *sink[T]) Write(b engine.Batch, tc *task.Context, rows iter.Seq2[T, error]) (engine.Pending, error) {
	return nil, s.write(b, tc, rows)
}

func (s *sink[T]) write(b engine.Batch, tc *task.Context, rows iter.Seq2[T, error]) error {
	out, err := s.open(tc.Process)
	if err != nil {
		return err
	}
	var (
		wait    sync.WaitGroup
		once    sync.Once
		failed  error
		written int64
		headers = []kgo.RecordHeader{
			{Key: BatchHeader, Value: strconv.AppendUint(nil, b.Seq, 10)},
			{Key: JobHeader, Value: strconv.AppendUint(nil, b.Job(), 10)},
		}
	)
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			once.Do(func() { failed = err })
		} else {
			out.acked.Add(1)
		}
		wait.Done()
	}
	for v, rowErr := range rows {
		if err = rowErr; err != nil {
			break
		}
		r := &kgo.Record{Topic: s.topic, Headers: headers}
		if r.Value, err = s.encode(v); err != nil {
			break
		}
		if s.key != nil {
			r.Key = s.key(v)
		}
		if written == 0 {
			defer out.watch(s.log, s.topic)()
		}
		wait.Add(1)
		out.Produce(tc, r, promise)
		written++
	}
	if written > 0 && tc.FreeSlot != nil {
		tc.FreeSlot() // others can read and write meanwhile
	}
	wait.Wait() // each record is acknowledged, failed, or given up with the task's context
	if errors.Is(failed, kerr.MessageTooLarge) {
		failed = fmt.Errorf("%w; a record is larger than the producer or the topic takes: raise the topic's max.message.bytes, and the producer's limit with kafka.ClientOptions(ssc, kgo.ProducerBatchMaxBytes(N))", failed)
	}
	if err == nil && failed != nil {
		err = fmt.Errorf("writing to topic %s: %w", s.topic, failed)
	}
	if err == nil {
		tc.Metrics.RecordsWritten += written
	}
	return err
}

package kafka

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

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

// Header is a header of a record that is written.
type Header = kgo.RecordHeader

// HeadersOf returns the headers of a record that was read, for a sink that passes them on.
func HeadersOf(r *Record) []Header {
	var all []Header
	for k, v := range r.Headers() {
		all = append(all, Header{Key: string(k), Value: v})
	}
	return all
}

// SinkOption configures a sink of T. The functions that it takes run on executors.
type SinkOption[T any] func(*sink[T])

// Key sets the records' keys; without it records have none and are spread over
// the topic's partitions.
func Key[T any](key func(T) []byte) SinkOption[T] {
	return func(s *sink[T]) { s.key = key; s.require("kafka.Key", key != nil) }
}

// Headers sets the records' headers. Those of the sink come behind them.
func Headers[T any](headers func(T) []Header) SinkOption[T] {
	return func(s *sink[T]) { s.headers = headers; s.require("kafka.Headers", headers != nil) }
}

// Partition sets the partitions that records are written to, whatever their keys. One that the
// topic doesn't have fails the job; one that was added while the stream runs is there.
func Partition[T any](partition func(T) int32) SinkOption[T] {
	return func(s *sink[T]) { s.partition = partition; s.require("kafka.Partition", partition != nil) }
}

// Timestamp sets the records' times, to the millisecond. Without it, and for the zero time, it is
// when a record is written. A topic with message.timestamp.type=LogAppendTime has the broker's.
func Timestamp[T any](timestamp func(T) time.Time) SinkOption[T] {
	return func(s *sink[T]) { s.timestamp = timestamp; s.require("kafka.Timestamp", timestamp != nil) }
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
	s := &sink[T]{topic: topic, producers: producers{Brokers(ssc), clientOptions(ssc), ssc.Logger()}, own: isEmbedded(ssc), encode: encode}
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
	engine.NewOutput(d, op, s, encode, s.key, s.headers, s.partition, s.timestamp)
}

// sink writes elements to a topic.
type sink[T any] struct {
	producers
	own       bool // the producers' broker is the embedded one
	topic     string
	encode    Encoder[T]
	key       func(T) []byte // nil for none, as those below
	headers   func(T) []Header
	partition func(T) int32
	timestamp func(T) time.Time
	wrong     error // with the options
}

// require notes an option whose function is missing.
func (s *sink[T]) require(option string, ok bool) {
	if !ok {
		s.wrong = fmt.Errorf("%s: %w", option, rdd.ErrNilFunction)
	}
}

// Open makes sure that the topic can be written to.
func (s *sink[T]) Open(ctx context.Context) error {
	return sayEmbedded(s.own, s.check(ctx, s.topic, "the sink"))
}

// Write produces one partition's elements and waits for their acknowledgements.
// There is nothing to commit: a record that is acknowledged can be read.
func (s *sink[T]) Write(b engine.Batch, tc *task.Context, rows iter.Seq2[T, error]) (engine.Pending, error) {
	return nil, s.write(b, tc, rows)
}

func (s *sink[T]) write(b engine.Batch, tc *task.Context, rows iter.Seq2[T, error]) error {
	kind := usual
	if s.partition != nil {
		kind = placed
	}
	out, err := s.open(tc.Process, kind)
	if err != nil {
		return err
	}
	var waiting patience
	defer waiting.end()
	var (
		wait    sync.WaitGroup
		once    sync.Once
		failed  error
		written int64
		there   int32 = -1 // the highest partition that is known to be there
		headers       = []Header{
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
		var r *kgo.Record
		if r, err = s.record(v, headers); err != nil {
			break
		}
		if s.partition != nil && r.Partition > there {
			if err = out.reach(tc, s.topic, r.Partition); err != nil {
				break
			}
			there = r.Partition
		}
		if written == 0 {
			defer out.watch(s.log, s.topic)()
		}
		wait.Add(1)
		out.Produce(waiting.begin(tc), r, promise)
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
		err = fmt.Errorf("writing to topic %s: %w", s.topic, out.explain(tc, failed))
	}
	if err == nil {
		tc.Metrics.RecordsWritten += written
	}
	return err
}

// record makes the record of an element, with the sink's own headers.
func (s *sink[T]) record(v T, own []Header) (r *kgo.Record, err error) {
	r = &kgo.Record{Topic: s.topic, Headers: own}
	if r.Value, err = s.encode(v); err != nil {
		return nil, err
	}
	if s.key != nil {
		r.Key = s.key(v)
	}
	if s.headers != nil {
		r.Headers = slices.Concat(s.headers(v), own)
	}
	if s.partition != nil {
		r.Partition = s.partition(v)
	}
	if r.Partition < 0 {
		return nil, rdd.Permanent(fmt.Errorf("kafka.Partition gives a record of topic %s partition %d: partitions are numbered from 0", s.topic, r.Partition))
	}
	if s.timestamp != nil {
		r.Timestamp = s.timestamp(v)
	}
	if !r.Timestamp.IsZero() && r.Timestamp.UnixMilli() < 0 {
		return nil, rdd.Permanent(fmt.Errorf("kafka.Timestamp gives a record of topic %s the time %s: records have no times before 1970", s.topic, r.Timestamp.Format(time.RFC3339)))
	}
	return r, nil
}

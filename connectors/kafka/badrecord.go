package kafka

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/rdd"
)

// BadRecords says what becomes of records that the decoder refuses: [Fail],
// [Skip] or [DeadLetter].
type BadRecords struct {
	policy badPolicy
	topic  string
}

type badPolicy int

const (
	badFail badPolicy = iota
	badSkip
	badDeadLetter
)

// Fail fails the job with the record's topic, partition and offset. It is the
// default: nothing is lost in silence.
func Fail() BadRecords { return BadRecords{} }

// Skip leaves the record out and counts it in the task's metrics.
func Skip() BadRecords { return BadRecords{policy: badSkip} }

// DeadLetter writes the record to a topic, with its coordinates and the reason
// in headers ("hibana-topic", "hibana-partition", "hibana-offset",
// "hibana-error"), leaves it out and counts it. The topic must exist.
func DeadLetter(topic string) BadRecords { return BadRecords{badDeadLetter, topic} }

// check reports a topic that letters can't be written to.
func (p BadRecords) check(topics []string) error {
	if p.policy != badDeadLetter {
		return nil
	}
	if err := checkTopic(p.topic); err != nil {
		return fmt.Errorf("kafka.DeadLetter: %w", err)
	}
	if slices.Contains(topics, p.topic) {
		return fmt.Errorf("kafka.DeadLetter: the stream reads topic %s itself, so that each letter would bring about another one; name another topic", p.topic)
	}
	return nil
}

// BadRecordError says which record could not be decoded.
type BadRecordError struct {
	Topic     string
	Partition int32
	Offset    int64
	Err       error
}

// Error gives the record's coordinates and the decoder's reason.
func (e *BadRecordError) Error() string {
	return fmt.Sprintf("bad record in topic %s partition %d at offset %d: %v; to go on without such records use kafka.OnBadRecord(kafka.Skip()) or kafka.DeadLetter",
		e.Topic, e.Partition, e.Offset, e.Err)
}

// Unwrap returns the decoder's error.
func (e *BadRecordError) Unwrap() error { return e.Err }

// handle applies the policy to a record. It returns an error to fail the task.
func (p BadRecords) handle(tc *rdd.TaskContext, to producers, r *Record, cause error) error {
	switch p.policy {
	case badSkip:
	case badDeadLetter:
		out, err := to.open(tc.Process)
		if err != nil {
			return err
		}
		defer out.watch(to.log, p.topic)()
		if err := out.ProduceSync(tc, p.letter(r, cause)).FirstErr(); err != nil {
			return fmt.Errorf("writing a bad record to the dead-letter topic %s: %w", p.topic, err)
		}
	default:
		return &BadRecordError{r.Topic, r.Partition, r.Offset, cause}
	}
	tc.Metrics.BadRecords++
	return nil
}

// letter is what is written to the dead-letter topic.
func (p BadRecords) letter(r *Record, cause error) *kgo.Record {
	out := &kgo.Record{Topic: p.topic, Key: r.Key, Value: r.Value}
	for k, v := range r.Headers() {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: string(k), Value: v})
	}
	for _, h := range [][2]string{
		{"hibana-topic", r.Topic},
		{"hibana-partition", strconv.Itoa(int(r.Partition))},
		{"hibana-offset", strconv.FormatInt(r.Offset, 10)},
		{"hibana-error", cause.Error()},
	} {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return out
}

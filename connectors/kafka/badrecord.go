package kafka

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// BadRecords says what becomes of records that the decoder refuses, by an error
// or a panic, and of batches that are larger than streaming.kafka.maxBatchBytes:
// [Fail], [Skip] or [DeadLetter].
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

// Skip leaves the record out and counts it in the task's metrics. The log says so
// at once, and then every 30 s how many there were and where the last one was, as
// it does with DeadLetter.
func Skip() BadRecords { return BadRecords{policy: badSkip} }

// DeadLetter writes the record to a topic, with its coordinates and the reason
// in headers ("hibana-topic", "hibana-partition", "hibana-offset",
// "hibana-error", the last cut at 4 KiB), leaves it out and counts it. The topic
// must exist when the stream starts. One that takes no record so large
// (max.message.bytes) fails the job, as nothing is lost in silence; only of a
// batch that is too large to be read is the letter without key and value.
func DeadLetter(topic string) BadRecords { return BadRecords{badDeadLetter, topic} }

// check reports a topic that letters can't be written to.
func (p BadRecords) check(topics Topics) error {
	if p.policy != badDeadLetter {
		return nil
	}
	if err := checkTopic(p.topic); err != nil {
		return fmt.Errorf("kafka.DeadLetter: %w", err)
	}
	if topics.reads(p.topic) {
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
	return fmt.Sprintf("bad record in topic %s partition %d at offset %d: %s; if the topic holds something else than the program reads, name another one; to go on without such records use kafka.OnBadRecord(kafka.Skip()) or kafka.DeadLetter",
		e.Topic, e.Partition, e.Offset, clip(e.Err.Error()))
}

// Unwrap returns the decoder's error.
func (e *BadRecordError) Unwrap() error { return e.Err }

// maxReason is how much of a decoder's error is told: it may quote the record.
const maxReason = 4 << 10

func clip(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return fmt.Sprintf("%s... (cut, %d bytes in all)", strings.ToValidUTF8(reason[:maxReason], ""), len(reason))
}

// tooLarge returns the error of a batch that is only too large to be read, if err
// is one. The policy for bad records holds for its records too.
func tooLarge(err error) (*ranges.CorruptError, bool) {
	e, ok := errors.AsType[*ranges.CorruptError](err)
	return e, ok && e.After > 0
}

// badRecord is a record that the decoder refuses, or stands for those of a batch
// that are in a range.
type badRecord struct {
	*Record
	records int64
	cause   error
	letter  bool // it is the one to write a letter about
}

// ofBatch returns what a range has of a batch that is too large. The batch may
// straddle ranges, each of which counts its own records. The one letter about it is
// written by the range that holds its last offset: a job may begin in its middle.
func ofBatch(large *ranges.CorruptError, r ranges.Range) badRecord {
	return badRecord{
		Record:  &Record{Topic: large.Topic, Partition: large.Partition, Offset: large.Offset},
		records: min(large.Records, min(large.After, r.Until)-max(large.Offset, r.From)),
		cause:   rdd.Permanent(fmt.Errorf("%w; to read it raise --conf %s", large, maxBatchBytes.Key)),
		letter:  r.From < large.After && large.After <= r.Until,
	}
}

// handle applies the policy. It returns an error to fail the task.
func (p BadRecords) handle(tc *task.Context, to producers, b badRecord) error {
	r, cause := b.Record, b.cause
	switch p.policy {
	case badSkip:
	case badDeadLetter:
		if !b.letter {
			break
		}
		if err := p.send(tc, to, r, cause); err != nil {
			return fmt.Errorf("%w; the record at fault is in topic %s partition %d at offset %d: %s", err, r.Topic, r.Partition, r.Offset, clip(cause.Error()))
		}
	default:
		if panicked, ok := cause.(*rdd.PanicError); ok { // it must stay one, for its stack
			panicked.Value += fmt.Sprintf("; it came of the record in topic %s partition %d at offset %d; to go on without such records use kafka.OnBadRecord(kafka.Skip()) or kafka.DeadLetter", r.Topic, r.Partition, r.Offset)
			return panicked
		}
		return &BadRecordError{r.Topic, r.Partition, r.Offset, cause}
	}
	tc.Metrics.BadRecords += b.records
	p.log(tc.Process, to.log, b)
	return nil
}

// send writes the letter. One that doesn't fit the usual producer's batches may
// still fit the topic's: it is sent alone.
func (p BadRecords) send(tc *task.Context, to producers, r *Record, cause error) error {
	out, err := to.open(tc.Process, usual)
	if err != nil {
		return err
	}
	defer out.watch(to.log, p.topic)()
	letter := p.letter(r, cause)
	err = out.sendOne(tc, out.Client, letter)
	if errors.Is(err, kerr.MessageTooLarge) {
		err = to.sendAlone(tc, out, p.letter(r, cause))
	}
	switch {
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("the dead-letter topic %s takes no letter of %d bytes: raise its max.message.bytes or use kafka.OnBadRecord(kafka.Skip()): %w", p.topic, size(letter), err)
	case err != nil:
		return fmt.Errorf("writing a bad record to the dead-letter topic %s: %w", p.topic, err)
	}
	return nil
}

// size is about what a record takes uncompressed.
func size(r *kgo.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// letter is what is written to the dead-letter topic.
func (p BadRecords) letter(r *Record, cause error) *kgo.Record {
	out := &kgo.Record{Topic: p.topic, Key: r.Key, Value: r.Value, Headers: HeadersOf(r)}
	for _, h := range [][2]string{
		{"hibana-topic", r.Topic},
		{"hibana-partition", strconv.Itoa(int(r.Partition))},
		{"hibana-offset", strconv.FormatInt(r.Offset, 10)},
		{"hibana-error", clip(cause.Error())},
	} {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return out
}

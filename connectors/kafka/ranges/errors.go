package ranges

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Sentinels for errors.Is; the typed errors below carry the coordinates.
var (
	// ErrClosed: the Reader or Planner was closed.
	ErrClosed = errors.New("kafka client is closed")
	// ErrUnknownTopic: no broker knows a topic of that name.
	ErrUnknownTopic = errors.New("topic does not exist")
	// ErrTopicDeleted: a topic that was there is so no more. It is an ErrUnknownTopic.
	ErrTopicDeleted = fmt.Errorf("%w any more", ErrUnknownTopic)
	// ErrTopicRecreated: the name now belongs to another topic.
	ErrTopicRecreated = errors.New("topic was deleted and created again; its offsets mean other records")
	// ErrUnknownPartition: the topic has no such partition.
	ErrUnknownPartition = errors.New("topic has no such partition")
	// ErrPartitionGone: a partition that was there is so no more. It is an ErrUnknownPartition.
	ErrPartitionGone = fmt.Errorf("%w any more", ErrUnknownPartition)
)

// LostError says that records of a range are gone: retention or DeleteRecords
// has moved the log start past the next offset to read.
type LostError struct {
	Topic     string
	Partition int32
	Next      int64 // the next offset wanted
	Start     int64 // the first offset that is left
}

func (e *LostError) Error() string {
	return fmt.Sprintf("reading topic %s partition %d: offsets from %d are gone, the log now starts at %d; give the topic a longer retention than a job may stand still",
		e.Topic, e.Partition, e.Next, e.Start)
}

// EndError says that a range reaches past what the partition holds: its log lost
// its end, or the range was made up.
type EndError struct {
	Topic     string
	Partition int32
	Next      int64 // the next offset wanted
	Until     int64 // the range's end
	End       int64 // up to where the partition can be read
}

func (e *EndError) Error() string {
	return fmt.Sprintf("topic %s partition %d can be read up to offset %d only, and it had reached %d: the end of its log is lost, as by an unclean leader election or an older copy of a broker's disk; to go on with what is there start a new job (another --checkpoint)",
		e.Topic, e.Partition, e.End, e.Until)
}

// TopicError says that a topic or a partition is not there, or is another one.
// It wraps ErrUnknownTopic, ErrTopicRecreated, ErrUnknownPartition or what the
// broker answered.
type TopicError struct {
	Topic     string
	Partition int32 // -1 when it is about the whole topic
	Offset    int64 // the next offset wanted, -1 when planning
	Brokers   string
	Err       error
}

func (e *TopicError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "topic %s", e.Topic)
	if e.Partition >= 0 {
		fmt.Fprintf(&b, " partition %d", e.Partition)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " offset %d", e.Offset)
	}
	if e.Brokers != "" {
		fmt.Fprintf(&b, " at %s", e.Brokers)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	switch {
	case errors.Is(e.Err, ErrTopicDeleted):
		b.WriteString("; to go on without it start a new job (another --checkpoint), or give the stream of a pattern kafka.ForgetDeleted")
	case e.Offset < 0 && errors.Is(e.Err, ErrUnknownTopic):
		b.WriteString("; check its name or create it, for example with kafka.EnsureTopic in OnDriver")
	case errors.Is(e.Err, ErrTopicRecreated):
		b.WriteString("; to read the new one start a new job (another --checkpoint)")
	case e.Offset >= 0 && errors.Is(e.Err, ErrUnknownPartition), errors.Is(e.Err, ErrPartitionGone):
		b.WriteString("; as a topic loses none, check that the brokers are those that the job has read, with their disks; to read what is there start a new job (another --checkpoint)")
	case errors.Is(e.Err, ErrUnknownPartition):
		b.WriteString("; give kafka.Assign some that it has, or add partitions to the topic")
	}
	return b.String()
}

func (e *TopicError) Unwrap() error { return e.Err }

// notAmong adds to an error about a partition how many there are.
func notAmong(info topicInfo, err error) error {
	return fmt.Errorf("%w: it has %d, numbered from 0", err, len(info.partitions))
}

// CorruptError says that a batch or a record is not what Kafka's format allows,
// or, where After is set, only that a batch is larger than the limit.
type CorruptError struct {
	Topic     string
	Partition int32
	Offset    int64 // the batch's first offset or the record's own, as far as known
	Reason    string
	Err       error // the decompressor's error, or nil
	// After is the offset behind a whole batch that is only too large, more than
	// Options.MaxBatchBytes: a range that begins there leaves it out. Else it is 0.
	After int64
	// Records is how many records such a batch holds.
	Records int64
}

func (e *CorruptError) Error() string {
	if e.After > 0 {
		return fmt.Sprintf("reading topic %s partition %d: the batch at offset %d is too large: %s", e.Topic, e.Partition, e.Offset, e.Reason)
	}
	s := fmt.Sprintf("reading topic %s partition %d: corrupt data at offset %d: %s", e.Topic, e.Partition, e.Offset, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *CorruptError) Unwrap() error { return e.Err }

// NoBrokerError says that no broker could be reached to begin with, or that those
// that were refused the client or couldn't serve it yet.
type NoBrokerError struct {
	Brokers []string
	Err     error
}

func (e *NoBrokerError) Error() string {
	if Refusal(e.Err) {
		return fmt.Sprintf("Kafka at %s refuses the client: %v; check what the program gives to kafka.ClientOptions (kgo.SASL, kgo.DialTLSConfig)", strings.Join(e.Brokers, ","), e.Err)
	}
	if _, ok := errors.AsType[*kerr.Error](e.Err); ok {
		return fmt.Sprintf("Kafka at %s can't serve the client yet: %v; start the program again when its brokers are up", strings.Join(e.Brokers, ","), e.Err)
	}
	return fmt.Sprintf("no Kafka broker answers at %s: %v; start one or name another with --brokers HOST:PORT", strings.Join(e.Brokers, ","), e.Err)
}

func (e *NoBrokerError) Unwrap() error { return e.Err }

// isFatal says that asking again does not help.
func isFatal(err error) bool {
	ke, ok := errors.AsType[*kerr.Error](err)
	return ok && !ke.Retriable
}

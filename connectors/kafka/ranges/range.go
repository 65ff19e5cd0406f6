package ranges

import (
	"fmt"
	"time"
)

// Range is the offsets [From, Until) of one partition. It is comparable: equal
// ranges read the same records.
type Range struct {
	Topic string
	// TopicID is the topic's identity when the range was planned. A topic that
	// was deleted and created again has another one, and its offsets mean other
	// records. Zero accepts whatever topic has the name.
	TopicID   [16]byte
	Partition int32
	// LeaderEpoch is the partition's leader epoch when the range was planned, or
	// -1. A reader that knows only an older one asks for the leader again.
	LeaderEpoch int32
	From, Until int64
}

// Len is the number of offsets in the range, an upper bound of its records.
func (r Range) Len() int64 { return max(0, r.Until-r.From) }

// String is "images/3 [100,250)".
func (r Range) String() string {
	return fmt.Sprintf("%s/%d [%d,%d)", r.Topic, r.Partition, r.From, r.Until)
}

// Partition is what a Planner knows of one partition.
type Partition struct {
	Topic       string
	TopicID     [16]byte
	Partition   int32
	LeaderEpoch int32
	// Start is the first offset of the log, asked for every Options.MetadataAge: what lies
	// before it is deleted.
	Start int64
	// Until is the end of what can be read now: the last stable offset, or the
	// high watermark with Options.ReadUncommitted.
	Until int64
	// High is the high watermark, asked for at most every 100 ms. It is past Until
	// while a transaction is open.
	High int64
	// Stuck is since when Until has stood still below High; zero if it doesn't.
	Stuck time.Time
}

// Range is the partition's offsets [from, p.Until).
func (p Partition) Range(from int64) Range {
	return Range{Topic: p.Topic, TopicID: p.TopicID, Partition: p.Partition, LeaderEpoch: p.LeaderEpoch, From: from, Until: p.Until}
}

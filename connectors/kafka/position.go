package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// Position is a place in each partition of topics, where a stream's first batch, or a
// [Range], begins or ends: [Earliest], [Latest], [AtOffsets] or [AtTime].
type Position struct {
	kind    positionKind
	offsets map[string]map[int32]int64
	at      time.Time
}

type positionKind int

const (
	earliest positionKind = iota
	latest
	atOffsets
	atTime
)

// Earliest is the oldest record that is there.
func Earliest() Position { return Position{} }

// Latest is what is written after the stream was started, or the range was made.
func Latest() Position { return Position{kind: latest} }

// AtOffsets are given offsets, by topic and partition. A partition that isn't among them
// begins with its oldest record. Where a stream begins beyond the end of a partition, it
// waits until the records before it are there; a range doesn't.
// Topics that the stream doesn't read, partitions that aren't there, and offsets
// that are negative or of records already deleted are refused before anything is
// planned. The offsets must be the same in every process: take them from
// engine.Value or rdd.Value.
func AtOffsets(offsets map[string]map[int32]int64) Position {
	return Position{kind: atOffsets, offsets: offsets}
}

// AtTime is, in each partition, the first record whose timestamp isn't before t (to the
// millisecond), or its end if there is none yet. The time must be the same in every process:
// take it from a flag, engine.Value or rdd.Value. Offsets count, not times: where records
// were written with timestamps that don't ascend, some before it have a later one.
func AtTime(t time.Time) Position { return Position{kind: atTime, at: t} }

// check reports a position that can't be meant by who reads topics, whatever they hold.
func (p Position) check(who string, topics []string) error {
	if p.kind == atTime && p.at.UnixMilli() < 0 {
		return fmt.Errorf("kafka.AtTime(%s): records have no times before 1970; to begin with the oldest record give kafka.Earliest", p.at.Format(time.RFC3339))
	}
	for _, topic := range slices.Sorted(maps.Keys(p.offsets)) {
		if !slices.Contains(topics, topic) {
			return fmt.Errorf("kafka.AtOffsets names topic %q, which %s doesn't read: it reads %s", topic, who, strings.Join(topics, ", "))
		}
		for _, partition := range slices.Sorted(maps.Keys(p.offsets[topic])) {
			if partition < 0 {
				return fmt.Errorf("kafka.AtOffsets names partition %d of topic %s: partitions are numbered from 0", partition, topic)
			}
			if at := p.offsets[topic][partition]; at < 0 {
				return fmt.Errorf("kafka.AtOffsets: offset %d of topic %s partition %d is negative; to begin with the oldest record leave the partition out, to begin at its end give what kafka.EndOffsets says",
					at, topic, partition)
			}
		}
	}
	return nil
}

// within reports partitions that aren't there.
func (p Position) within(parts []ranges.Partition) error {
	count := make(map[string]int)
	for _, part := range parts {
		count[part.Topic]++
	}
	for _, topic := range slices.Sorted(maps.Keys(p.offsets)) {
		for _, partition := range slices.Sorted(maps.Keys(p.offsets[topic])) {
			if int(partition) >= count[topic] {
				return fmt.Errorf("kafka.AtOffsets names partition %d of topic %s, which has %d, numbered from 0", partition, topic, count[topic])
			}
		}
	}
	return nil
}

// names reports whether the position is an offset that was given for the partition.
func (p Position) names(part ranges.Partition) bool {
	_, ok := p.offsets[part.Topic][part.Partition]
	return ok
}

// resolve returns the position's offsets in the partitions that are there now.
func (p Position) resolve(ctx context.Context, parts []ranges.Partition, at producers) (map[topicPartition]int64, error) {
	if err := p.within(parts); err != nil {
		return nil, err
	}
	var listed kadm.ListedOffsets
	if p.kind == atTime {
		var err error
		if listed, err = p.offsetsOfTime(ctx, parts, at); err != nil {
			return nil, err
		}
	}
	found := make(map[topicPartition]int64, len(parts))
	for _, part := range parts {
		offset := part.Start
		switch {
		case p.kind == latest:
			offset = part.Until
		case p.names(part):
			offset = p.offsets[part.Topic][part.Partition]
		case p.kind == atTime:
			o, _ := listed.Lookup(part.Topic, part.Partition)
			offset = max(part.Start, min(o.Offset, part.Until))
		}
		found[topicPartition{part.Topic, part.Partition}] = offset
	}
	return found, nil
}

// offsetsOfTime asks for the offset that the position's time has in each partition.
func (p Position) offsetsOfTime(ctx context.Context, parts []ranges.Partition, at producers) (listed kadm.ListedOffsets, err error) {
	var topics []string
	for _, part := range parts {
		if !slices.Contains(topics, part.Topic) {
			topics = append(topics, part.Topic)
		}
	}
	err = withAdmin(ctx, at.brokers, *at.client, func(ctx context.Context, adm *kadm.Client) error {
		listed, err = adm.ListOffsetsAfterMilli(ctx, p.at.UnixMilli(), topics...)
		if err = errors.Join(err, listed.Error()); err != nil {
			return fmt.Errorf("asking for the offsets of %s at %s: %w", strings.Join(topics, ","), p.at.Format(time.RFC3339Nano), err)
		}
		for _, part := range parts {
			if _, ok := listed.Lookup(part.Topic, part.Partition); !ok {
				return fmt.Errorf("asking for the offsets of %s at %s: no broker knows of partition %d", part.Topic, p.at.Format(time.RFC3339Nano), part.Partition)
			}
		}
		return nil
	})
	return listed, err
}

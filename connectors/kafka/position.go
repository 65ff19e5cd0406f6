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
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// Position is a place in each partition of topics, where a stream's first batch, or a
// [Range], begins or ends: [Earliest], [Latest], [AtOffsets], [AtTime] or [AtGroup].
type Position struct {
	kind    positionKind
	offsets map[string]map[int32]int64
	at      time.Time
	group   string
	or      *Position // of partitions for which it has no offset; may be nil
}

type positionKind int

const (
	earliest positionKind = iota
	latest
	atOffsets
	atTime
	atGroup
)

// Earliest is the oldest record that is there.
func Earliest() Position { return Position{} }

// Latest is what is written after the stream was started, or the range was made.
func Latest() Position { return Position{kind: latest} }

// AtOffsets are given offsets, by topic and partition. A partition that isn't among them
// begins with its oldest record, unless [Position.Or] says otherwise. Where a stream begins
// beyond the end of a partition, it waits until the records before it are there; a range doesn't.
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

// AtGroup is what a consumer group has committed, as of the stream's start: so a stream goes
// on where consumers, or another stream ([MirrorOffsets]), have ended. The stream doesn't
// become a member of the group. A partition of which the group has committed no offset fails the
// program, unless [Position.Or] says where it begins; so does an offset that isn't there.
func AtGroup(group string) Position { return Position{kind: atGroup, group: group} }

// Or is the position p, and other in the partitions that [AtOffsets] doesn't name, or of which the
// group of [AtGroup] has committed no offset:
//
//	kafka.StartFrom(kafka.AtGroup("billing").Or(kafka.Latest()))
func (p Position) Or(other Position) Position {
	if p.or != nil {
		other = p.or.Or(other)
	}
	p.or = &other
	return p
}

// check reports a position that can't be meant by who reads topics, whatever they hold.
func (p Position) check(who string, topics Topics) error {
	switch {
	case p.or != nil && p.kind != atOffsets && p.kind != atGroup:
		return errors.New("kafka.Position.Or is for kafka.AtOffsets and kafka.AtGroup: the others have an offset in each partition")
	case p.kind == atGroup && p.group == "":
		return errors.New("kafka.AtGroup: the group has no name")
	case p.kind == atTime && p.at.UnixMilli() < 0:
		return fmt.Errorf("kafka.AtTime(%s): records have no times before 1970; to begin with the oldest record give kafka.Earliest", p.at.Format(time.RFC3339))
	}
	for _, topic := range slices.Sorted(maps.Keys(p.offsets)) {
		if !topics.reads(topic) {
			return fmt.Errorf("kafka.AtOffsets names topic %q, which %s doesn't read: it reads %s", topic, who, topics)
		}
		for _, partition := range slices.Sorted(maps.Keys(p.offsets[topic])) {
			if partition < 0 {
				return fmt.Errorf("kafka.AtOffsets names partition %d of topic %s: partitions are numbered from 0", partition, topic)
			}
			if topics.partitions != nil && !slices.Contains(topics.partitions[topic], partition) {
				return fmt.Errorf("kafka.AtOffsets names partition %d of topic %s, which %s doesn't read: it reads %s", partition, topic, who, topics)
			}
			if at := p.offsets[topic][partition]; at < 0 {
				return fmt.Errorf("kafka.AtOffsets: offset %d of topic %s partition %d is negative; to begin with the oldest record leave the partition out, to begin at its end give what kafka.EndOffsets says",
					at, topic, partition)
			}
		}
	}
	if p.or != nil {
		return p.or.check(who, topics)
	}
	return nil
}

// within reports partitions that aren't there.
func (p Position) within(parts []ranges.Partition) error {
	there := make(map[topicPartition]bool, len(parts))
	count := make(map[string]int)
	for _, part := range parts {
		there[keyOf(part)] = true
		count[part.Topic]++
	}
	for _, topic := range slices.Sorted(maps.Keys(p.offsets)) {
		for _, partition := range slices.Sorted(maps.Keys(p.offsets[topic])) {
			if !there[topicPartition{topic, partition}] {
				return fmt.Errorf("kafka.AtOffsets names partition %d of topic %s, which has %d, numbered from 0", partition, topic, count[topic])
			}
		}
	}
	if p.or != nil {
		return p.or.within(parts)
	}
	return nil
}

// keyOf names a partition.
func keyOf(part ranges.Partition) topicPartition { return topicPartition{part.Topic, part.Partition} }

// names reports whether the position is an offset that was given for the partition.
func (p Position) names(part ranges.Partition) bool {
	_, ok := p.offsets[part.Topic][part.Partition]
	return ok || p.or != nil && p.or.names(part)
}

// resolve returns the position's offsets in the partitions that are there now.
func (p Position) resolve(ctx context.Context, parts []ranges.Partition, at producers) (map[topicPartition]int64, error) {
	if err := p.within(parts); err != nil {
		return nil, err
	}
	return p.find(ctx, parts, at)
}

// find is resolve for partitions that are there.
func (p Position) find(ctx context.Context, parts []ranges.Partition, at producers) (map[topicPartition]int64, error) {
	if len(parts) == 0 {
		return nil, nil // no topics would stand for all
	}
	offset := func(part ranges.Partition) (int64, bool) { return part.Start, true } // of earliest
	var err error
	switch p.kind {
	case latest:
		offset = func(part ranges.Partition) (int64, bool) { return part.Until, true }
	case atOffsets:
		offset = func(part ranges.Partition) (int64, bool) {
			offset, ok := p.offsets[part.Topic][part.Partition]
			return offset, ok
		}
	case atTime:
		offset, err = p.offsetsOfTime(ctx, parts, at)
	case atGroup:
		offset, err = p.offsetsOfGroup(ctx, parts, at)
	}
	if err != nil {
		return nil, err
	}
	found := make(map[topicPartition]int64, len(parts))
	var rest []ranges.Partition
	for _, part := range parts {
		if o, ok := offset(part); ok {
			found[keyOf(part)] = o
		} else {
			rest = append(rest, part)
		}
	}
	if len(rest) == 0 {
		return found, nil
	}
	other, err := p.other(rest[0])
	if err != nil {
		return nil, err
	}
	more, err := other.find(ctx, rest, at)
	maps.Copy(found, more)
	return found, err
}

// other is the position in partitions, one of them is given, for which p has no offset.
func (p Position) other(part ranges.Partition) (Position, error) {
	switch {
	case p.or != nil:
		return *p.or, nil
	case p.kind == atGroup:
		return Position{}, fmt.Errorf("kafka.AtGroup: group %q has committed no offset of topic %s partition %d; check the group's name, or say where to begin then, for example with kafka.AtGroup(%q).Or(kafka.Earliest())",
			p.group, part.Topic, part.Partition, p.group)
	}
	return Earliest(), nil
}

// topicsOf are the topics of partitions, which are ordered by topic.
func topicsOf(parts []ranges.Partition) (topics []string) {
	for _, part := range parts {
		topics = append(topics, part.Topic)
	}
	return slices.Compact(topics)
}

// offsetsOfTime asks for the offset that the position's time has in each partition.
func (p Position) offsetsOfTime(ctx context.Context, parts []ranges.Partition, at producers) (func(ranges.Partition) (int64, bool), error) {
	topics := topicsOf(parts)
	var listed kadm.ListedOffsets
	err := withAdmin(ctx, at.brokers, *at.client, func(ctx context.Context, adm *kadm.Client) (err error) {
		listed, err = adm.ListOffsetsAfterMilli(ctx, p.at.UnixMilli(), topics...)
		if err = allListed(parts, listed, err); err != nil {
			return fmt.Errorf("asking for the offsets of %s at %s: %w", strings.Join(topics, ","), p.at.Format(time.RFC3339Nano), err)
		}
		return nil
	})
	return func(part ranges.Partition) (int64, bool) {
		o, _ := listed.Lookup(part.Topic, part.Partition)
		return max(part.Start, min(o.Offset, part.Until)), true
	}, err
}

// offsetsOfGroup asks for the offsets that the position's group has committed.
func (p Position) offsetsOfGroup(ctx context.Context, parts []ranges.Partition, at producers) (func(ranges.Partition) (int64, bool), error) {
	var committed kadm.OffsetResponses
	err := withAdmin(ctx, at.brokers, *at.client, func(ctx context.Context, adm *kadm.Client) (err error) {
		committed, err = adm.FetchOffsets(ctx, p.group)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // such a group has committed nothing
			return fmt.Errorf("kafka.AtGroup: asking for the offsets of group %q: %w", p.group, err)
		}
		ends, err := adm.ListEndOffsets(ctx, topicsOf(parts)...) // as of now: consumers may have gone on since parts were listed
		if err = allListed(parts, ends, err); err != nil {
			return fmt.Errorf("kafka.AtGroup: asking for the ends of %s: %w", strings.Join(topicsOf(parts), ","), err)
		}
		for _, part := range parts {
			end, _ := ends.Lookup(part.Topic, part.Partition)
			part.High = max(part.High, end.Offset)
			if err := p.checkCommitted(part, committed); err != nil {
				return err
			}
		}
		return nil
	})
	return func(part ranges.Partition) (int64, bool) {
		o, ok := committed.Lookup(part.Topic, part.Partition)
		return o.At, ok && o.At >= 0
	}, err
}

// allListed reports partitions whose offsets brokers, asked for those of whole topics, haven't
// listed. What err, or the list, says of others doesn't matter.
func allListed(parts []ranges.Partition, listed kadm.ListedOffsets, err error) error {
	for _, part := range parts {
		o, ok := listed.Lookup(part.Topic, part.Partition)
		switch {
		case ok && o.Err == nil:
			continue
		case ok:
			err = o.Err
		case err == nil:
			err = errors.New("no broker knows of it")
		}
		return fmt.Errorf("topic %s partition %d: %w", part.Topic, part.Partition, err)
	}
	return nil
}

// checkCommitted reports an offset that the group has committed and that isn't there.
func (p Position) checkCommitted(part ranges.Partition, committed kadm.OffsetResponses) error {
	o, ok := committed.Lookup(part.Topic, part.Partition)
	if !ok || o.Err == nil && o.At < 0 {
		return nil // there is none
	}
	where := fmt.Sprintf("kafka.AtGroup: group %q, topic %s partition %d", p.group, part.Topic, part.Partition)
	const remedy = "reset the group's offset (kafka-consumer-groups.sh --reset-offsets), or begin elsewhere, for example with kafka.Earliest or kafka.AtOffsets"
	switch {
	case o.Err != nil:
		return fmt.Errorf("%s: %w", where, o.Err)
	case o.At < part.Start:
		return fmt.Errorf("%s: it has committed offset %d, but the records before %d are deleted; %s", where, o.At, part.Start, remedy)
	case o.At > part.High:
		return fmt.Errorf("%s: it has committed offset %d, but the partition ends at %d, as if the topic had been made again; %s", where, o.At, part.High, remedy)
	}
	return nil
}

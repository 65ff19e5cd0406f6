package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// errNilOption: an option of Direct or Sink is no function.
var errNilOption = errors.New("an option is nil")

// check reports what is wrong with the names of a stream's topics.
func (t Topics) check() error {
	if len(t.names) == 0 {
		return errors.New("it names no topic: use kafka.Subscribe(\"topic\")")
	}
	for _, name := range t.names {
		if err := checkTopic(name); err != nil {
			return err
		}
	}
	return nil
}

// checkTopic reports a name that no topic of Kafka can have.
func checkTopic(name string) error {
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
	}
	switch {
	case name == "":
		return errors.New("it names no topic: the name is empty")
	case name == ".", name == "..", len(name) > 249, strings.ContainsFunc(name, func(r rune) bool { return !legal(r) }):
		return fmt.Errorf("no topic can be named %q: a name has at most 249 letters, digits, '.', '_' and '-'", name)
	}
	return nil
}

// check reports offsets that can't be meant, whatever the topics hold.
func (s Start) check(topics []string) error {
	for _, topic := range slices.Sorted(maps.Keys(s.offsets)) {
		if !slices.Contains(topics, topic) {
			return fmt.Errorf("kafka.AtOffsets names topic %q, which the stream doesn't read: it reads %s", topic, strings.Join(topics, ", "))
		}
		for _, partition := range slices.Sorted(maps.Keys(s.offsets[topic])) {
			if partition < 0 {
				return fmt.Errorf("kafka.AtOffsets names partition %d of topic %s: partitions are numbered from 0", partition, topic)
			}
			if at := s.offsets[topic][partition]; at < 0 {
				return fmt.Errorf("kafka.AtOffsets: offset %d of topic %s partition %d is negative; to begin with the oldest record leave the partition out, to begin at its end give what kafka.EndOffsets says",
					at, topic, partition)
			}
		}
	}
	return nil
}

// within reports partitions that aren't there.
func (s Start) within(parts []ranges.Partition) error {
	count := make(map[string]int)
	for _, p := range parts {
		count[p.Topic]++
	}
	for _, topic := range slices.Sorted(maps.Keys(s.offsets)) {
		for _, partition := range slices.Sorted(maps.Keys(s.offsets[topic])) {
			if int(partition) >= count[topic] {
				return fmt.Errorf("kafka.AtOffsets names partition %d of topic %s, which has %d, numbered from 0", partition, topic, count[topic])
			}
		}
	}
	return nil
}

// resolve returns where a job's first batch begins in the partitions that are
// there when the stream starts.
func (s Start) resolve(parts []ranges.Partition) map[topicPartition]int64 {
	first := make(map[topicPartition]int64, len(parts))
	for _, p := range parts {
		from := p.Start
		if s.latest {
			from = p.Until
		} else if at, ok := s.offsets[p.Topic][p.Partition]; ok {
			from = at
		}
		first[topicPartition{p.Topic, p.Partition}] = from
	}
	return first
}

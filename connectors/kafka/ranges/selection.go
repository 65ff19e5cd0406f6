package ranges

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Selection says which partitions a Planner plans: one of its first three fields does.
type Selection struct {
	// Topics are planned whole.
	Topics []string
	// Partitions are planned alone, by topic.
	Partitions map[string][]int32
	// Pattern matches the names of the topics that are planned whole, those too that are made
	// later. Topics that Kafka keeps for itself aren't among them.
	Pattern *regexp.Regexp
	// Forget says that a topic that is deleted leaves the selection, and isn't an error. One
	// that is made again is another one.
	Forget bool
}

// check reports a selection of nothing, and one that is made in several ways.
func (s Selection) check() error {
	ways := 0
	for _, given := range []bool{len(s.Topics) > 0, len(s.Partitions) > 0, s.Pattern != nil} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("kafka: a ranges.Selection has Topics, Partitions or a Pattern, one of them: make a Planner of each")
	}
	if names := s.names(); s.Pattern == nil && (len(names) == 0 || slices.Contains(names, "")) {
		return errors.New("kafka: no topic to plan given")
	}
	return nil
}

// names are the topics that must be there, in order.
func (s Selection) names() []string {
	names := slices.Collect(maps.Keys(s.Partitions))
	return slices.Compact(slices.Sorted(slices.Values(append(names, s.Topics...))))
}

// String names the selection in the log.
func (s Selection) String() string {
	if s.Pattern != nil {
		return "topics of " + s.Pattern.String()
	}
	return strings.Join(s.names(), ",")
}

// describe asks any broker for the topics that may be selected.
func (s Selection) describe(ctx context.Context, cl *kgo.Client) (map[string]topicInfo, error) {
	if s.Pattern != nil {
		return describeAll(ctx, cl)
	}
	return describe(ctx, cl, s.names())
}

// of returns the topics to plan, in order, of those that brokers know and those that
// were planned before.
func (s Selection) of(infos map[string]topicInfo, planned map[string][16]byte) []string {
	if s.Pattern == nil {
		return s.names()
	}
	all := maps.Clone(planned)
	for name, info := range infos {
		if !info.internal && s.Pattern.MatchString(name) {
			all[name] = info.id
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// partitions returns those to plan of a topic, and where they are to be read. One that is
// missing is an error.
func (s Selection) partitions(topic string, info topicInfo) (map[int32]leader, int32, error) {
	if s.Partitions == nil {
		return info.partitions, -1, nil
	}
	picked := make(map[int32]leader)
	for _, n := range s.Partitions[topic] {
		at, ok := info.partitions[n]
		if !ok {
			return nil, n, notAmong(info, ErrUnknownPartition)
		}
		picked[n] = at
	}
	return picked, -1, nil
}

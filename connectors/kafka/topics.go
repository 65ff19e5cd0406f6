package kafka

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// errNilOption: an option of Direct, Range or Sink is nil.
var errNilOption = errors.New("an option is nil")

// Topics says what a direct stream reads; make it with [Subscribe], [SubscribePattern] or
// [Assign].
type Topics struct {
	names      []string           // of Subscribe
	partitions map[string][]int32 // of Assign
	pattern    *regexp.Regexp     // of SubscribePattern, of whole names
	text       string             // of the pattern, as it was given
	wrong      error              // with the pattern
}

// Subscribe reads all partitions of the named topics. A partition that is added
// while the stream runs joins at the next batch that is planned after a look at the topics, one
// every streaming.kafka.metadataMaxAge (5 s): with --asap, where nothing comes, that may be a
// batch interval later.
func Subscribe(topics ...string) Topics { return Topics{names: slices.Clone(topics)} }

// SubscribePattern reads all partitions of the topics whose whole names a regular expression
// (of package regexp) matches, but for those that Kafka keeps for itself. A topic that is made
// while the stream runs joins as an added partition does ([Subscribe]). While there is none the
// stream waits, and says so; with --until-end it ends at once.
func SubscribePattern(pattern string) Topics {
	_, err := regexp.Compile(pattern) // by itself: a)|(b is none
	var re *regexp.Regexp
	if err == nil {
		re, err = regexp.Compile("^(?:" + pattern + ")$")
	}
	if err != nil {
		err = fmt.Errorf("kafka.SubscribePattern(%q): %w", pattern, err)
	} else if pattern == "" {
		err = errors.New("kafka.SubscribePattern: the pattern is empty, so that it matches no topic")
	}
	return Topics{pattern: re, text: pattern, wrong: err}
}

// ForgetDeleted lets a topic of [SubscribePattern] that is deleted leave the stream, where else it
// ends the job. What of it was planned and isn't read yet is left out, and told as [SkipLost] does.
// One that is made again under its name joins as a new one.
func ForgetDeleted() DirectOption { return forgetDeleted{} }

type forgetDeleted struct{}

func (forgetDeleted) ofDirect(o *directOptions) { o.forget = true }

// checkForget reports topics that must be there.
func (t Topics) checkForget(forget bool) error {
	if forget && t.pattern == nil {
		return errors.New("kafka.ForgetDeleted is for kafka.SubscribePattern: topics that a stream names must be there")
	}
	return nil
}

// Assign reads the given partitions of topics and no others.
func Assign(partitions map[string][]int32) Topics {
	t := Topics{partitions: make(map[string][]int32, len(partitions))}
	for topic, numbers := range partitions {
		t.partitions[topic] = slices.Sorted(slices.Values(numbers))
	}
	return t
}

// String names the topics in errors and in the name of the operator.
func (t Topics) String() string {
	switch {
	case t.pattern != nil || t.wrong != nil:
		return "/" + t.text + "/"
	case t.partitions == nil:
		return strings.Join(t.names, ",")
	}
	var all []string
	for _, topic := range slices.Sorted(maps.Keys(t.partitions)) {
		all = append(all, topic+spans(t.partitions[topic]))
	}
	return strings.Join(all, ",")
}

// spans writes ascending numbers as [0-2 5].
func spans(numbers []int32) string {
	var all []string
	for i := 0; i < len(numbers); {
		last := i
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		span := fmt.Sprint(numbers[i])
		if last > i {
			span += fmt.Sprintf("-%d", numbers[last])
		}
		all = append(all, span)
		i = last + 1
	}
	return "[" + strings.Join(all, " ") + "]"
}

// reads reports whether a topic is, or may be, among them.
func (t Topics) reads(topic string) bool {
	if t.pattern != nil {
		return t.pattern.MatchString(topic)
	}
	_, assigned := t.partitions[topic]
	return assigned || slices.Contains(t.names, topic)
}

// selection is what the planner is to plan.
func (t Topics) selection() ranges.Selection {
	return ranges.Selection{Topics: t.names, Partitions: t.partitions, Pattern: t.pattern}
}

// check reports what is wrong with what a stream is to read.
func (t Topics) check() error {
	if t.wrong != nil || t.pattern != nil {
		return t.wrong
	}
	names := slices.AppendSeq(slices.Clone(t.names), maps.Keys(t.partitions))
	if len(names) == 0 {
		return errors.New("it names no topic: use kafka.Subscribe(\"topic\")")
	}
	slices.Sort(names)
	for _, name := range names {
		if err := checkTopic(name); err != nil {
			return err
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(t.partitions)) {
		if err := checkAssigned(topic, t.partitions[topic]); err != nil {
			return err
		}
	}
	return nil
}

// checkAssigned reports numbers of partitions, in order, that can't be meant.
func checkAssigned(topic string, numbers []int32) error {
	if len(numbers) == 0 {
		return fmt.Errorf("kafka.Assign names no partition of topic %s: name some, leave the topic out, or read all of it with kafka.Subscribe", topic)
	}
	for i, n := range numbers {
		if n < 0 {
			return fmt.Errorf("kafka.Assign names partition %d of topic %s: partitions are numbered from 0", n, topic)
		}
		if i > 0 && n == numbers[i-1] {
			return fmt.Errorf("kafka.Assign names partition %d of topic %s twice", n, topic)
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

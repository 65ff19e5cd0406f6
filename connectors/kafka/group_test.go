package kafka_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// commits commits offsets of a topic to a consumer group.
func commits(t *testing.T, b *kafkatest.Broker, group, topic string, offsets map[int32]int64) {
	t.Helper()
	all := make(kadm.Offsets)
	for p, at := range offsets {
		all.AddOffset(topic, p, at, -1)
	}
	if err := b.Admin().CommitAllOffsets(t.Context(), group, all); err != nil {
		t.Fatalf("committing to %s: %v", group, err)
	}
}

// committed are the offsets of a topic that a consumer group has committed.
func committed(t *testing.T, b *kafkatest.Broker, group, topic string) map[int32]int64 {
	t.Helper()
	all, err := b.Admin().FetchOffsets(t.Context(), group)
	if err != nil {
		t.Fatalf("asking for the offsets of %s: %v", group, err)
	}
	offsets := make(map[int32]int64)
	for p, o := range all[topic] {
		offsets[p] = o.At
	}
	return offsets
}

// A stream, and a range, may begin at what a consumer group has committed. Where that isn't
// known, or isn't there, it is said, unless the program says where to begin then.
func TestStartAtAGroup(t *testing.T) {
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := aged(t, b)
		group := func(name string) kafka.Position { return kafka.AtGroup(topic + "." + name) }
		at := func(offsets map[int32]int64) kafka.Position {
			return kafka.AtOffsets(map[string]map[int32]int64{topic: offsets})
		}
		commits(t, b, topic+".both", topic, map[int32]int64{0: 8, 1: 3})
		commits(t, b, topic+".one", topic, map[int32]int64{1: 3})
		commits(t, b, topic+".deleted", topic, map[int32]int64{0: 1, 1: 3})
		commits(t, b, topic+".beyond", topic, map[int32]int64{0: 11, 1: 3})
		for name, c := range map[string]struct {
			start      kafka.Position
			want, says string
		}{
			"of both":             {group("both"), "[v8 v9 w3]", ""},
			"or another":          {group("one").Or(kafka.Latest()), "[w3]", ""},
			"or yet another":      {group("none").Or(group("one")).Or(at(map[int32]int64{0: 9})), "[v9 w3]", ""},
			"offsets or a group":  {at(map[int32]int64{0: 9}).Or(group("one")), "[v9 w3]", ""},
			"offsets or the end":  {at(map[int32]int64{1: 2}).Or(kafka.Latest()), "[w2 w3]", ""},
			"of one":              {group("one"), "", `kafka.AtGroup: group "IN.one" has committed no offset of topic IN partition 0; check the group's name, or say where to begin then, for example with kafka.AtGroup("IN.one").Or(kafka.Earliest())`},
			"of none":             {group("none"), "", `kafka.AtGroup: group "IN.none" has committed no offset of topic IN partition 0`},
			"of deleted records":  {group("deleted").Or(kafka.Latest()), "", `kafka.AtGroup: group "IN.deleted", topic IN partition 0: it has committed offset 1, but the records before 2 are deleted; reset the group's offset`},
			"beyond the end":      {group("beyond"), "", `kafka.AtGroup: group "IN.beyond", topic IN partition 0: it has committed offset 11, but the partition ends at 10`},
			"without a name":      {kafka.AtGroup(""), "", "kafka.AtGroup: the group has no name"},
			"or without a name":   {at(nil).Or(kafka.AtGroup("")), "", "kafka.AtGroup: the group has no name"},
			"or behind the wrong": {kafka.Latest().Or(kafka.Earliest()), "", "kafka.Position.Or is for kafka.AtOffsets and kafka.AtGroup"},
		} {
			says := strings.ReplaceAll(c.says, "IN", topic)
			check := func(what string, got []string, err error) {
				t.Helper()
				slices.Sort(got)
				switch {
				case c.says == "" && (err != nil || fmt.Sprint(got) != c.want):
					t.Errorf("%s, %s: %v, %v, want %s", name, what, got, err, c.want)
				case c.says != "" && (err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "("+topic+") at kafka/group_test.go:")):
					t.Errorf("%s, %s: %v\nwant %s", name, what, err, says)
				}
			}
			var got []string
			err := run(t, b, func(ssc *engine.StreamingContext) error {
				collect(kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue, kafka.StartFrom(c.start)), 99, &got)
				return nil
			}, "--until-end")
			check("a stream", got, err)
			got = nil
			err = runBatch(t, b, func(sc *rdd.Context) error {
				rows, err := rdd.Collect(kafka.Range(sc, topic, c.start, kafka.Latest(), kafka.StringValue))
				sc.OnDriver(func() error { got = rows; return nil })
				return err
			})
			check("a range", got, err)
		}
	})
}

// Where a job begins matters to its first batch: one that goes on needs no group any more.
func TestGroupIsNeededOnce(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		sends(t, b, "in", "a", "b")
		commits(t, b, "g", "in", map[int32]int64{0: 1})
		checkpoint := t.TempDir()
		start := func() (got []string) {
			if err := run(t, b, func(ssc *engine.StreamingContext) error {
				collect(kafka.Direct(ssc, kafka.Subscribe("in"), kafka.StringValue, kafka.StartFrom(kafka.AtGroup("g"))), 99, &got)
				return nil
			}, "--until-end", "--checkpoint", checkpoint); err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := start(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("at first %q", got)
		}
		if _, err := b.Admin().DeleteGroups(t.Context(), "g"); err != nil {
			t.Fatal(err)
		}
		sends(t, b, "in", "c")
		if got := start(); !slices.Equal(got, []string{"c"}) {
			t.Errorf("then %q", got)
		}
	}, "in")
}

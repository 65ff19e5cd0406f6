package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// places notes where the records of a stream come from, as topic/partition value, and stops
// it when there are enough.
func places(ssc *engine.StreamingContext, topics kafka.Topics, enough int, into *[]string, opts ...kafka.DirectOption) {
	place := func(r *kafka.Record) (string, error) {
		return fmt.Sprintf("%s/%d %s", r.Topic, r.Partition, r.Value), nil
	}
	collect(kafka.Direct(ssc, topics, place, opts...), enough, into)
}

// puts writes a value into a partition.
func puts(t *testing.T, b *kafkatest.Broker, topic string, partition int32, value string) {
	t.Helper()
	b.Produce(t, topic, nil, &kgo.Record{Partition: partition, Value: []byte(value)})
}

// grow adds partitions to a topic.
func grow(t *testing.T, b *kafkatest.Broker, topic string, more int) {
	t.Helper()
	resp, err := b.Admin().CreatePartitions(t.Context(), more, topic)
	if err = errors.Join(err, resp.Error()); err != nil {
		t.Fatalf("adding partitions to %s: %v", topic, err)
	}
}

// growTo adds a partition to a topic and waits until it has a leader that answers.
func growTo(t *testing.T, b *kafkatest.Broker, topic string, partition int32) {
	t.Helper()
	grow(t, b, topic, 1)
	kafkatest.Until(t, "the added partition's leader answers", func() bool {
		ends, err := b.Admin().ListEndOffsets(t.Context(), topic)
		end, there := ends.Lookup(topic, partition)
		return err == nil && there && end.Err == nil
	})
}

// Only partitions that are assigned are read, and only they make batches.
func TestAssign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(3, "a", "b"))
		for _, topic := range []string{"a", "b"} {
			for p := range int32(3) {
				puts(t, b, topic, p, "x")
			}
		}
		assigned := kafka.Assign(map[string][]int32{"b": {0}, "a": {2, 1}})
		var got []string
		batches := 0
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			places(ssc, assigned, 4, &got, kafka.StartFrom(kafka.AtOffsets(map[string]map[int32]int64{"a": {2: 1}})))
			engine.ForEachBatch(kafka.Direct(ssc, assigned, kafka.StringValue), func(engine.Batch, []string) error { batches++; return nil })
			ssc.DriverTask("writer", func(context.Context) error {
				for _, p := range []int32{0, 0, 0, 2, 1} {
					time.Sleep(time.Second)
					puts(t, b, "a", p, "y")
				}
				return nil
			})
			return nil
		}, "--asap", "--batch-interval", "20s")
		slices.Sort(got)
		if want := []string{"a/1 x", "a/1 y", "a/2 y", "b/0 x"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		if batches > 4 { // the first, a tick at most, and two with records
			t.Errorf("%d batches: partitions that aren't assigned make some", batches)
		}
	})
}

// short writes topics a, b and c in the place of their names.
func short(topics ...string) *strings.Replacer {
	var pairs []string
	for i, topic := range topics {
		pairs = append(pairs, topic, string(rune('a'+i)))
	}
	return strings.NewReplacer(pairs...)
}

// What is written to other partitions isn't read; one that isn't there is an error.
func TestAssignReadsNoOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		one, two := b.Topic(t, 3), b.Topic(t, 3)
		for _, topic := range []string{one, two} {
			for p := range int32(3) {
				puts(t, b, topic, p, "x")
			}
		}
		var got []string
		err := run(t, b, func(ssc *engine.StreamingContext) error {
			place := func(r *kafka.Record) (string, error) {
				return short(one, two).Replace(fmt.Sprintf("%s/%d %s", r.Topic, r.Partition, r.Value)), nil
			}
			d := kafka.Direct(ssc, kafka.Assign(map[string][]int32{two: {0}, one: {2, 1}}), place,
				kafka.StartFrom(kafka.AtOffsets(map[string]map[int32]int64{one: {2: 1}})))
			engine.ForEachBatch(d, func(_ engine.Batch, rows []string) error {
				if len(got) == 0 && len(rows) > 0 {
					puts(t, b, one, 0, "y")
					puts(t, b, two, 2, "y")
					puts(t, b, one, 2, "y")
				}
				if got = append(got, rows...); len(got) >= 3 {
					ssc.Stop()
				}
				return nil
			})
			return nil
		}, "--asap")
		slices.Sort(got)
		if want := []string{"a/1 x", "a/2 y", "b/0 x"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		err = run(t, b, func(ssc *engine.StreamingContext) error {
			places(ssc, kafka.Assign(map[string][]int32{one: {1, 3}}), 1, &got)
			return nil
		})
		if says := "kafka.Direct(" + one + "[1 3]) at kafka/topics_test.go:"; !errors.Is(err, ranges.ErrUnknownPartition) || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), "topic "+one+" partition 3 at "+b.Addrs[0]+": topic has no such partition: it has 3, numbered from 0; give kafka.Assign some that it has") {
			t.Errorf("a partition that isn't there: %v", err)
		}
	})
}

// A partition that is added to the topic of a running stream is read soon after, whatever wakes the stream.
func TestPartitionJoins(t *testing.T) {
	for name, args := range map[string][]string{"by interval": {"--batch-interval", "100ms"}, "as soon as possible": {"--asap"}} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
				topic := b.Topic(t, 1)
				sends(t, b, topic, "first")
				var got []string
				err := run(t, b, func(ssc *engine.StreamingContext) error {
					d := kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue)
					engine.ForEachBatch(d, func(_ engine.Batch, rows []string) error {
						if len(got) == 0 && len(rows) > 0 {
							growTo(t, b, topic, 1)
							puts(t, b, topic, 1, "of the added one")
						}
						if got = append(got, rows...); len(got) == 2 {
							ssc.Stop()
						}
						return nil
					})
					return nil
				}, append(args, "--conf", "streaming.kafka.metadataMaxAge=100ms")...)
				if err != nil || !slices.Equal(got, []string{"first", "of the added one"}) {
					t.Errorf("%q, %v", got, err)
				}
			})
		})
	}
}

// Topics that are made, and partitions that are added, while a stream runs join it and are read whole,
// whatever wakes it.
func TestTopicsAndPartitionsJoin(t *testing.T) {
	for name, args := range map[string][]string{"by interval": nil, "as soon as possible": {"--asap", "--batch-interval", "3s"}} {
		t.Run(name, func(t *testing.T) {
			for name, c := range map[string]struct {
				topics kafka.Topics
				want   []string
			}{
				"subscribe": {kafka.Subscribe("orders.a"), []string{"orders.a/0 late", "orders.a/1 new", "orders.a/2 new"}},
				"pattern":   {kafka.SubscribePattern(`orders\..*`), []string{"orders.a/0 late", "orders.a/1 new", "orders.a/2 new", "orders.b/0 first", "orders.b/1 first"}},
			} {
				bubble(t, func(t *testing.T, b *kafkatest.Broker) {
					sends(t, b, "orders.a", "early")
					var got []string
					err := run(t, b, func(ssc *engine.StreamingContext) error {
						places(ssc, c.topics, len(c.want), &got, kafka.StartFrom(kafka.Latest()))
						ssc.DriverTask("writer", func(context.Context) error {
							time.Sleep(2500 * time.Millisecond)
							grow(t, b, "orders.a", 2)
							b.Create(t, "orders.b", 2)
							b.Create(t, "more.orders.c", 1)
							b.Create(t, "orders.internal", 1, "kfake.is_internal", "true")
							for _, topic := range []string{"more.orders.c", "orders.internal", "other"} {
								puts(t, b, topic, 0, "not to be read")
							}
							puts(t, b, "orders.b", 0, "first")
							puts(t, b, "orders.b", 1, "first")
							puts(t, b, "orders.a", 1, "new")
							puts(t, b, "orders.a", 2, "new")
							time.Sleep(10 * time.Second)
							puts(t, b, "orders.a", 0, "late")
							return nil
						})
						return nil
					}, args...)
					slices.Sort(got)
					if err != nil || !slices.Equal(got, c.want) {
						t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
					}
				}, "orders.a", "other")
			}
		})
	}
}

// A batch that is replayed reads what it did, whatever topics a pattern matches by now; a topic that
// was made while nothing ran is read whole.
func TestPatternGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, b *kafkatest.Broker) {
		checkpoint, broken := t.TempDir(), errors.New("broken")
		seen := make(map[uint64][]string)
		fails := true
		start := func() error {
			return run(t, b, func(ssc *engine.StreamingContext) error {
				place := func(r *kafka.Record) (string, error) { return fmt.Sprintf("%s %s", r.Topic, r.Value), nil }
				d := kafka.Direct(ssc, kafka.SubscribePattern("a|b+"), place, kafka.StartFrom(kafka.Latest()))
				engine.ForEachBatch(d, func(batch engine.Batch, rows []string) error {
					seen[batch.Seq] = append(seen[batch.Seq], rows...)
					switch {
					case batch.Seq == 2 && fails:
						return broken
					case batch.Seq == 1 && fails:
						sends(t, b, "a", "1")
					case batch.Seq == 3:
						ssc.Stop()
					}
					return nil
				})
				return nil
			}, "--checkpoint", checkpoint)
		}
		if err := start(); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		b.Create(t, "bb", 1)
		sends(t, b, "bb", "2")
		sends(t, b, "a", "3")
		fails = false
		if err := start(); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(seen[1], seen[2], seen[3]), "[] [a 1 a 1] [a 3 bb 2]"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}, "a")
}

// A topic that is deleted, or deleted and made again, ends the job with what to do.
func TestTopicIsDeletedWhileItIsRead(t *testing.T) {
	for name, of := range map[string]func(a, b string) kafka.Topics{
		"subscribe": func(a, b string) kafka.Topics { return kafka.Subscribe(a, b) },
		"pattern":   func(a, b string) kafka.Topics { return anyOf(a, b) },
		"assign":    func(a, b string) kafka.Topics { return kafka.Assign(map[string][]int32{a: {0}, b: {0}}) },
	} {
		t.Run(name, func(t *testing.T) {
			for what, c := range map[string]struct {
				again   bool
				cadence []string // as soon as possible nothing is planned while the topic is made again
				says    string
			}{
				"deleted":    {false, []string{"--batch-interval", "100ms"}, ": topic does not exist any more; to go on without it start a new job (another --checkpoint), or give the stream of a pattern kafka.ForgetDeleted"},
				"made again": {true, []string{"--asap"}, ": topic was deleted and created again; its offsets mean other records; to read the new one start a new job (another --checkpoint)"},
			} {
				t.Run(what, func(t *testing.T) {
					t.Parallel() // with the others: a verdict stands for a second before it is one
					onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
						topic, other := b.Topic(t, 1), b.Topic(t, 1)
						sends(t, b, topic, "1", "2")
						err := run(t, b, func(ssc *engine.StreamingContext) error {
							d := kafka.Direct(ssc, of(topic, other), kafka.StringValue)
							engine.ForEachBatch(d, func(_ engine.Batch, rows []string) error {
								if len(rows) != 2 {
									return nil
								}
								if b.Delete(t, topic); c.again {
									b.Create(t, topic, 1)
									sends(t, b, topic, "3", "4", "5")
								}
								return nil
							})
							return nil
						}, append(c.cadence, "--conf", "streaming.kafka.metadataMaxAge=100ms")...)
						if err == nil || !strings.Contains(err.Error(), "topic "+topic+" ") || !strings.Contains(err.Error(), c.says) {
							t.Errorf("%v\nwant %s", err, c.says)
						}
					})
				})
			}
		})
	}
}

// anyOf is a pattern of some topics.
func anyOf(topics ...string) kafka.Topics {
	var all []string
	for _, topic := range topics {
		all = append(all, regexp.QuoteMeta(topic))
	}
	return kafka.SubscribePattern(strings.Join(all, "|"))
}

// Where a stream is to forget deleted topics it goes on without them, also when they were deleted while it didn't
// run or before a planned batch was read, and reads one that is made again whole.
func TestDeletedTopicsAreForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, b *kafkatest.Broker) {
		one, two, three := b.Topic(t, 1), b.Topic(t, 1), b.Topic(t, 1)
		checkpoint, broken := t.TempDir(), errors.New("broken")
		var got []string
		step := 0
		start := func() error {
			return run(t, b, func(ssc *engine.StreamingContext) error {
				place := func(r *kafka.Record) (string, error) {
					return short(one, two, three).Replace(fmt.Sprintf("%s %s", r.Topic, r.Value)), nil
				}
				d := kafka.Direct(ssc, anyOf(one, two, three), place, kafka.ForgetDeleted())
				engine.ForEachBatch(d, func(_ engine.Batch, rows []string) error {
					if len(rows) == 0 {
						return nil
					}
					switch step++; step {
					case 1: // it is read while it runs, then deleted and made again
						b.Delete(t, one)
						b.Create(t, one, 1)
						sends(t, b, one, "3")
					case 2: // it is planned and not read
						return broken
					}
					if got = append(got, rows...); step == 4 {
						ssc.Stop()
					} else {
						sends(t, b, three, fmt.Sprint(step))
					}
					return nil
				})
				return nil
			}, "--checkpoint", checkpoint, "--batch-interval", "100ms", "--conf", "streaming.kafka.metadataMaxAge=100ms")
		}
		sends(t, b, one, "1", "2")
		if err := start(); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		b.Delete(t, one)
		b.Delete(t, two)
		if err := start(); err != nil {
			t.Fatal(err)
		}
		if want := []string{"a 1", "a 2", "c 1", "c 3"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// completed is a listener that is told of complete batches.
type completed func(b engine.BatchInfo)

func (f completed) OnBatchCompleted(b engine.BatchInfo) { f(b) }

// Records that retention has deleted before they were read fail the job, or are left out and counted
// where the stream is to go on.
func TestLostRecords(t *testing.T) { onBoth(t, testLostRecords) }

func testLostRecords(t *testing.T, b *kafkatest.Broker) {
	checkpoint, topic := t.TempDir(), b.Topic(t, 1)
	start := func(opts ...kafka.DirectOption) (got []string, bad int64, err error) {
		err = run(t, b, func(ssc *engine.StreamingContext) error {
			collect(kafka.Direct(ssc, kafka.Subscribe(topic), kafka.StringValue, opts...), 99, &got)
			ssc.AddListener(completed(func(b engine.BatchInfo) { bad += b.Metrics.BadRecords }))
			return nil
		}, "--checkpoint", checkpoint, "--until-end")
		return got, bad, err
	}
	b.Produce(t, topic, nil, values(0, 3)...)
	if got, bad, err := start(); len(got) != 3 || bad != 0 || err != nil {
		t.Fatalf("at first %q, %d bad records, %v", got, bad, err)
	}
	b.Produce(t, topic, nil, values(3, 10)...)
	b.DeleteBefore(t, topic, 0, 8)
	if got, _, err := start(); len(got) > 0 || err == nil || !strings.Contains(err.Error(), "offsets from 3 are gone, the log now starts at 8") || !strings.Contains(err.Error(), "give the stream kafka.SkipLost") {
		t.Errorf("without the option %q, %v", got, err)
	}
	if got, bad, err := start(kafka.SkipLost()); !slices.Equal(got, []string{"v8", "v9"}) || bad != 5 || err != nil {
		t.Errorf("with it %q, %d bad records, %v", got, bad, err)
	}
}

// On a real Kafka too: topics that it keeps for itself don't match, one that is made joins although its
// partitions have no leaders yet, as an added partition does, and groups are told and asked by topics' IDs.
func TestWaysInOnKafka(t *testing.T) {
	t.Parallel()
	b := kafkatest.Real(t)
	first := b.Topic(t, 1)
	group, second := first+".group", b.Name(t)
	pattern := kafka.SubscribePattern("__consumer_offsets|" + regexp.QuoteMeta(first) + "|" + regexp.QuoteMeta(second))
	sends(t, b, first, "old", "a")
	commits(t, b, group, first, map[int32]int64{0: 1})
	var got []string
	err := run(t, b, func(ssc *engine.StreamingContext) error {
		place := func(r *kafka.Record) (string, error) { return string(r.Value), nil }
		d := kafka.Direct(ssc, pattern, place, kafka.StartFrom(kafka.AtGroup(group).Or(kafka.Latest())), kafka.MirrorOffsets(group))
		engine.ForEachBatch(d, func(_ engine.Batch, rows []string) error {
			if len(got) == 0 && len(rows) > 0 {
				growTo(t, b, first, 1)
				b.Create(t, second, 3)
				puts(t, b, second, 2, "b")
				puts(t, b, first, 1, "c")
			}
			if got = append(got, rows...); len(got) == 3 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}, "--batch-interval", "100ms", "--conf", "streaming.kafka.metadataMaxAge=100ms")
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("%q, %v", got, err)
	}
	if a, b := committed(t, b, group, first), committed(t, b, group, second); a[0] != 2 || a[1] != 1 || b[2] != 1 || len(b) != 3 {
		t.Errorf("told the group %v and %v", a, b)
	}
}

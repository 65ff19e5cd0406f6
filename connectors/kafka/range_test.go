package kafka_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// runBatch runs a batch program on a broker, in this process.
func runBatch(t *testing.T, b *kafkatest.Broker, program engine.BatchFunc, args ...string) error {
	t.Helper()
	args = append([]string{"--master", "local[2]", "--log-level", "error", "--brokers", b.Addrs[0]}, args...)
	return engine.NewApp("test").RunBatch(t.Context(), args, func(sc *rdd.Context) error {
		kafka.ClientOptions(engine.EnvironmentOf(sc), b.Opts...)
		return program(sc)
	})
}

// noon is when the first record of each partition was written.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// twoPartitions writes to partition 0 of a topic the values v0 to v9, a minute apart, of
// which the first two are deleted, and to partition 1 w0 to w3.
func twoPartitions(t *testing.T, b *kafkatest.Broker, topic string) {
	t.Helper()
	for p, n := range []int{10, 4} {
		for i := range n {
			b.Produce(t, topic, nil, &kgo.Record{
				Partition: int32(p), Value: []byte(string("vw"[p]) + strconv.Itoa(i)), Timestamp: noon.Add(time.Duration(i) * time.Minute),
			})
		}
	}
	b.DeleteBefore(t, topic, 0, 2)
}

// at are offsets of topic in.
func at(offsets map[int32]int64) kafka.Position {
	return kafka.AtOffsets(map[string]map[int32]int64{"in": offsets})
}

func TestRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "in", "empty"), kfake.SeedTopics(1, "dead"))
		twoPartitions(t, b, "in")
		for name, c := range map[string]struct {
			topic       string
			from, until kafka.Position
			opts        []kafka.RangeOption
			want        string // of each partition
		}{
			"all of it":        {"in", kafka.Earliest(), kafka.Latest(), nil, "[[v2 v3 v4 v5 v6 v7 v8 v9] [w0 w1 w2 w3]]"},
			"a topic of none":  {"empty", kafka.Earliest(), kafka.Latest(), nil, "[[] []]"},
			"offsets":          {"in", at(map[int32]int64{0: 3, 1: 1}), at(map[int32]int64{0: 5, 1: 1}), nil, "[[v3 v4] []]"},
			"of one partition": {"in", kafka.Earliest(), at(map[int32]int64{1: 2}), nil, "[[w0 w1]]"},
			"from offsets":     {"in", at(map[int32]int64{0: 8}), kafka.Latest(), nil, "[[v8 v9] [w0 w1 w2 w3]]"},
			"by time":          {"in", kafka.AtTime(noon.Add(150 * time.Second)), kafka.AtTime(noon.Add(6 * time.Minute)), nil, "[[v3 v4 v5] [w3]]"},
			"before all times": {"in", kafka.AtTime(noon.Add(-time.Hour)), kafka.AtTime(noon), nil, "[[] []]"},
			"after all times":  {"in", kafka.AtTime(noon.Add(time.Hour)), kafka.Latest(), nil, "[[] []]"},
			"cut":              {"in", kafka.Earliest(), kafka.Latest(), []kafka.RangeOption{kafka.MinPartitions(6)}, "[[v2 v3] [v4 v5] [v6 v7] [v8 v9] [w0 w1] [w2 w3]]"},
			"cut to records":   {"in", kafka.Earliest(), at(map[int32]int64{1: 2}), []kafka.RangeOption{kafka.MinPartitions(9)}, "[[w0] [w1]]"},
		} {
			var got [][]string
			err := runBatch(t, b, func(sc *rdd.Context) error {
				parts, err := rdd.Collect(rdd.Glom(kafka.Range(sc, c.topic, c.from, c.until, kafka.StringValue, c.opts...)))
				sc.OnDriver(func() error { got = parts; return nil })
				return err
			})
			if s := fmt.Sprint(got); err != nil || s != c.want {
				t.Errorf("%s: %s, want %s; %v", name, s, c.want, err)
			}
		}
	})
}

// What a range read is what it reads again, in every process and attempt: offsets are
// found out once.
func TestRangeIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in"))
		b.Produce(t, "in", nil, values(0, 5)...)
		var counts []int64
		err := runBatch(t, b, func(sc *rdd.Context) error {
			r := kafka.Range(sc, "in", kafka.Earliest(), kafka.Latest(), kafka.StringValue)
			for range 2 {
				n, err := rdd.Count(r)
				if err != nil {
					return err
				}
				sc.OnDriver(func() error {
					counts = append(counts, n)
					b.Produce(t, "in", nil, values(5, 9)...)
					return nil
				})
			}
			n, err := rdd.Count(kafka.Range(sc, "in", kafka.Earliest(), kafka.Latest(), kafka.StringValue))
			sc.OnDriver(func() error { counts = append(counts, n); return nil })
			return err
		})
		if err != nil || !slices.Equal(counts, []int64{5, 5, 13}) {
			t.Errorf("%v, %v", counts, err)
		}
	})
}

// What can't be read is an error of the program, with the place, and not an empty RDD.
func TestRangesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "in"))
		twoPartitions(t, b, "in")
		read := func(from, until kafka.Position, opts ...kafka.RangeOption) engine.BatchFunc {
			return func(sc *rdd.Context) error {
				_, err := rdd.Count(kafka.Range(sc, "in", from, until, kafka.StringValue, opts...))
				return err
			}
		}
		all := read(kafka.Earliest(), kafka.Latest())
		for says, program := range map[string]engine.BatchFunc{
			"topic in partition 0 is to be read from offset 1 until 5, but the records before 2 are deleted":   read(at(map[int32]int64{0: 1}), at(map[int32]int64{0: 5})),
			"topic in partition 0 is to be read from offset 2 until 1, but the records before 2 are deleted":   read(kafka.Earliest(), at(map[int32]int64{0: 1})),
			"topic in partition 1 is to be read from offset 0 until 5, but ends at 4; a batch program doesn't": read(kafka.Earliest(), at(map[int32]int64{1: 5})),
			"topic in partition 1 is to be read from offset 7 until 4, but ends at 4":                          read(at(map[int32]int64{1: 7}), kafka.Latest()),
			"topic in partition 0 is to be read from offset 5 until 4, which lies before it":                   read(at(map[int32]int64{0: 5}), at(map[int32]int64{0: 4})),
			"kafka.AtOffsets names partition 2 of topic in, which has 2":                                       read(kafka.Earliest(), at(map[int32]int64{2: 4})),
			"kafka.AtOffsets: offset -1 of topic in partition 0 is negative":                                   read(at(map[int32]int64{0: -1}), kafka.Latest()),
			`names topic "out", which the range doesn't read: it reads in`:                                     read(kafka.AtOffsets(map[string]map[int32]int64{"out": nil}), kafka.Latest()),
			"it ends at kafka.Earliest": read(kafka.Earliest(), kafka.Earliest()),
			"it begins at 2026-11-28T12:00:00Z, after its end at 2026-11-28T11:59:59Z": read(kafka.AtTime(noon), kafka.AtTime(noon.Add(-time.Second))),
			"records have no times before 1970":                                        read(kafka.AtTime(time.Time{}), kafka.Latest()),
			"an option is nil":                                                         read(kafka.Earliest(), kafka.Latest(), nil),
			"kafka.MinPartitions(-1): the number of partitions":                        read(kafka.Earliest(), kafka.Latest(), kafka.MinPartitions(-1)),
			"topic dead, which kafka.DeadLetter writes, at ":                           read(kafka.Earliest(), kafka.Latest(), kafka.OnBadRecord(kafka.DeadLetter("dead"))),
		} {
			err := runBatch(t, b, program)
			if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "kafka.Range(in) at kafka/range_test.go:") {
				t.Errorf("%v\nwant %s", err, says)
			}
		}
		if err := runBatch(t, b, all, "--brokers", ""); !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), "needs --brokers HOST:PORT") {
			t.Errorf("without --brokers: %v", err)
		}
		err := runBatch(t, b, func(sc *rdd.Context) error {
			_, err := rdd.Count(kafka.Range[string](sc, "in", kafka.Earliest(), kafka.Latest(), nil))
			return err
		})
		if !errors.Is(err, rdd.ErrNilFunction) {
			t.Errorf("without a decoder: %v", err)
		}
		err = runBatch(t, b, func(sc *rdd.Context) error {
			_, err := rdd.Count(kafka.Range(sc, "nothing", kafka.Earliest(), kafka.Latest(), kafka.StringValue))
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "kafka.Range(nothing) at ") || !strings.Contains(err.Error(), "topic nothing") {
			t.Errorf("a topic that isn't there: %v", err)
		}
	})
}

// Bad records are treated as a stream's are.
func TestBadRecordsOfRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in", "dead"))
		b.Produce(t, "in", nil, kgo.StringRecord("1"), kgo.StringRecord("two"), kgo.StringRecord("3"))
		sum := func(got *int, opts ...kafka.RangeOption) engine.BatchFunc {
			return func(sc *rdd.Context) error {
				n, err := rdd.Sum(kafka.Range(sc, "in", kafka.Earliest(), kafka.Latest(), kafka.JSONValue[int], opts...))
				sc.OnDriver(func() error { *got = n; return nil })
				return err
			}
		}
		var got int
		var bad *kafka.BadRecordError
		if err := runBatch(t, b, sum(&got)); err == nil || !strings.Contains(err.Error(), "bad record in topic in partition 0 at offset 1: decoding JSON") {
			t.Errorf("%v, %v", err, bad)
		}
		if err := runBatch(t, b, sum(&got, kafka.OnBadRecord(kafka.Skip()))); err != nil || got != 4 {
			t.Errorf("skipped: %d, %v", got, err)
		}
		if err := runBatch(t, b, sum(&got, kafka.OnBadRecord(kafka.DeadLetter("dead")))); err != nil || got != 4 {
			t.Errorf("with letters: %d, %v", got, err)
		}
		if letters := read(t, b, "dead", 1); string(letters[0].Value) != "two" {
			t.Errorf("the letter is %q", letters[0].Value)
		}
	})
}

// The connector's settings work in batch programs, and a slip is seen.
func TestSettingsOfBatchPrograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in"))
		b.Produce(t, "in", []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}, kgo.StringRecord(strings.Repeat("x", 3000)))
		for conf, says := range map[string]string{
			"streaming.kafka.maxBatchBytes=2000": "raise --conf streaming.kafka.maxBatchBytes",
			"streaming.kafka.maxBatchBytes=5":    "5 is below 1024",
			"streaming.kafka.maxBatchByte=5000":  `unknown setting "streaming.kafka.maxBatchByte" (did you mean "streaming.kafka.maxBatchBytes"?)`,
			"task.maxFailure=2":                  `unknown setting "task.maxFailure" (did you mean "task.maxFailures"?)`,
			"streaming.kafka.maxBatchBytes=5000": "",
		} {
			err := runBatch(t, b, func(sc *rdd.Context) error {
				n, err := rdd.Count(kafka.Range(sc, "in", kafka.Earliest(), kafka.Latest(), kafka.StringValue))
				if err == nil && n != 1 {
					err = fmt.Errorf("%d records", n)
				}
				return err
			}, "--conf", conf)
			if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %s", conf, err, says)
			}
		}
	})
}

// A program whose first range comes after its first action declares the settings before.
func TestSettingsOfLateRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in"))
		for _, declares := range []bool{true, false} {
			err := runBatch(t, b, func(sc *rdd.Context) error {
				if declares {
					kafka.DeclareSettings(engine.EnvironmentOf(sc))
				}
				if _, err := rdd.Count(rdd.Parallelize(sc, []int{1})); err != nil {
					return err
				}
				_, err := rdd.Count(kafka.Range(sc, "in", kafka.Earliest(), kafka.Latest(), kafka.StringValue))
				return err
			}, "--conf", "streaming.kafka.maxBatchBytes=5000")
			if declares && err != nil || !declares && (!errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), "count at kafka/range_test.go:")) {
				t.Errorf("declared: %t: %v", declares, err)
			}
		}
	})
}

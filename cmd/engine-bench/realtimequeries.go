package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// event is a record of the real-time suite. Its value begins with when it was due.
type event struct {
	Key   string
	Value []byte
	Time  time.Time // of the record in Kafka
}

// readEvent decodes a record of which nothing is shared.
func readEvent(r *kafka.Record) (event, error) {
	_, err := dueOf(r.Value)
	return event{string(r.Key), bytes.Clone(r.Value), time.UnixMilli(r.Timestamp)}, err
}

func (e event) key() string { return e.Key }

// realtimeQuery is a query of Spark's real-time suite.
type realtimeQuery struct {
	name string
	traffic
	// build is the query; what is spread over partitions is spread over so many.
	build func(events *engine.DStream[event], partitions int) *engine.DStream[event]
	// What Spark publishes of it, in ms.
	sparkP50, sparkP99 float64
}

// Sizes of the suite.
const (
	windowKeys   = 1_000
	windowLength = time.Minute
	stateKeys    = 50_000
)

// realtimeQueries returns the suite, in its order.
func realtimeQueries() []realtimeQuery {
	const late = 2 * time.Second
	return []realtimeQuery{
		{
			stateless, traffic{distinctKeys, dueOfBase64, 1, late},
			toBase64, 70, 85,
		},
		{
			"deduplication", traffic{everyFifthTwice, dueOf, 0.8, late},
			dropDuplicates, 99, 134,
		},
		{
			"window", traffic{keysOf(windowKeys), dueOf, 1, late},
			countInWindows, 103, 138,
		},
		{
			"state", traffic{keysOf(stateKeys), dueOf, 1, late},
			countByKey, 104, 141,
		},
	}
}

// run runs a query from the topic NAME-in to NAME-out.
func (q realtimeQuery) run(ctx context.Context, args []string, interval time.Duration, topic string, partitions int) error {
	return engine.NewApp("bench").Run(ctx, args, interval, func(ssc *engine.StreamingContext) error {
		events := kafka.Direct(ssc, kafka.Subscribe(topic+"-in"), readEvent)
		kafka.Sink(q.build(events, partitions), topic+"-out",
			func(e event) ([]byte, error) { return e.Value, nil }, kafka.Key(func(e event) []byte { return []byte(e.Key) }))
		return nil
	})
}

func distinctKeys(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

// everyFifthTwice returns keys of which every fifth is the one before.
func everyFifthTwice(n int) []byte {
	if n%5 == 0 {
		n--
	}
	return distinctKeys(n)
}

// keysOf returns so many keys over and over.
func keysOf(keys int) func(n int) []byte {
	return func(n int) []byte { return distinctKeys(n % keys) }
}

func dueOfBase64(value []byte) (time.Time, error) {
	b, err := base64.StdEncoding.AppendDecode(nil, value)
	if err != nil {
		return time.Time{}, fmt.Errorf("a record came back that isn't base64: %w", err)
	}
	return dueOf(b)
}

func toBase64(events *engine.DStream[event], _ int) *engine.DStream[event] {
	return engine.Map(events, func(e event) event {
		e.Value = base64.StdEncoding.AppendEncode(nil, e.Value)
		return e
	})
}

func dropDuplicates(events *engine.DStream[event], partitions int) *engine.DStream[event] {
	return engine.MapWithState(engine.KeyBy(events, event.key), "seen", func(_ string, e *event, seen *engine.State[bool]) (event, bool) {
		if seen.Exists() {
			return event{}, false
		}
		seen.Update(true)
		return *e, true
	}, engine.Partitions(partitions))
}

// windowKey is a key in one window.
type windowKey struct {
	Start int64
	Key   string
}

func countInWindows(events *engine.DStream[event], partitions int) *engine.DStream[event] {
	keyed := engine.KeyBy(events, func(e event) windowKey {
		return windowKey{e.Time.Truncate(windowLength).Unix(), e.Key}
	})
	return engine.MapWithState(keyed, "counts", func(_ windowKey, e *event, count *engine.State[int64]) (event, bool) {
		n, _ := count.Get()
		count.Update(n + 1)
		counted := *e
		counted.Value = strconv.AppendInt(bytes.Clone(e.Value), n+1, 10)
		return counted, true
	}, engine.Partitions(partitions))
}

// countByKey begins with all keys, as a stream has them that has run for a while.
func countByKey(events *engine.DStream[event], partitions int) *engine.DStream[event] {
	known := make([]rdd.Pair[string, int64], stateKeys)
	for i := range known {
		known[i].Key = strconv.Itoa(i)
	}
	count := engine.NewValueState[int64]("count")
	return engine.TransformWithState(engine.KeyBy(events, event.key), "counts",
		func(c *engine.KeyContext[string], events []event, emit func(event)) error {
			for _, e := range events {
				n, _ := count.Get(c)
				count.Set(c, n+1)
				emit(e)
			}
			return nil
		},
		engine.Holds(count), engine.Partitions(partitions),
		engine.InitialVariables(known, func(c *engine.KeyContext[string], n int64) error {
			count.Set(c, n)
			return nil
		}))
}

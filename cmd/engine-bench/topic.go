package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/embedded"
)

// brokerPatience bounds what is asked of the brokers beside the runs.
const brokerPatience = 10 * time.Second

// givenBrokers returns brokers that were given, of which one must answer.
func givenBrokers(ctx context.Context, given string) (addr, kind string, stop func(), err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(given)...), kgo.DisableClientMetrics())
	if err != nil {
		return "", "", nil, fmt.Errorf("connecting to %s: %w", given, err)
	}
	defer cl.Close()
	return given, "broker at " + given, func() {}, ping(ctx, cl, given)
}

// ping makes sure that a broker answers a client of those at addr.
func ping(ctx context.Context, cl *kgo.Client, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		return fmt.Errorf("no Kafka broker answers at %s: start one, for example with deploy/kafka/kafka start DIR, or leave out --brokers for one of the benchmark's own: %w", addr, err)
	}
	return nil
}

// broker returns the addresses to use: those given, or an embedded broker's.
func broker(ctx context.Context, given string) (addr, kind string, stop func(), err error) {
	if given != "" {
		return givenBrokers(ctx, given)
	}
	b, err := embedded.Start(brokerOptions())
	if err != nil {
		return "", "", nil, err
	}
	return b.Addrs()[0], "embedded broker in the same process", b.Close, nil
}

// makeTopic makes a topic unless it is there: with as many partitions, since a run on
// others isn't what was asked for.
func makeTopic(ctx context.Context, addr, topic string, partitions int) error {
	if err := kafka.EnsureTopic(ctx, addresses(addr), topic, partitions); err != nil {
		return err
	}
	ends, err := kafka.EndOffsets(ctx, addresses(addr), topic)
	if err != nil {
		return err
	}
	if n := len(ends[topic]); n != partitions {
		return fmt.Errorf("topic %s has %d partitions, not %d: delete it, name another with --topic, or ask for as many with --partitions", topic, n, partitions)
	}
	return nil
}

// load makes sure that a topic holds exactly n records over its partitions: one
// that is there and holds them is used again, one that holds others is an error.
func load(ctx context.Context, addr, topic string, partitions int, n int64, next func() []byte) error {
	if err := makeTopic(ctx, addr, topic, partitions); err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(addr)...), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MaxBufferedRecords(200_000), kgo.RecordDeliveryTimeout(writePatience))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", addr, err)
	}
	defer cl.Close()
	have, err := size(ctx, kadm.NewClient(cl), topic)
	if err != nil || have == n {
		return err
	}
	if have != 0 {
		return fmt.Errorf("topic %s holds %d records, not 0 or %d: delete it or name another with --topic", topic, have, n)
	}
	fmt.Fprintf(os.Stderr, "loading %d records into %s\n", n, topic)
	var f firstError
	for range n {
		if f.any.Load() {
			break
		}
		cl.Produce(ctx, &kgo.Record{Value: next()}, f.note)
	}
	err = cl.Flush(ctx)
	if f.any.Load() {
		err = f.err
	}
	if err != nil {
		return fmt.Errorf("loading topic %s: %w", topic, err)
	}
	return nil
}

// size returns the number of offsets that a topic holds.
func size(ctx context.Context, adm *kadm.Client, topic string) (n int64, err error) {
	from, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("looking at topic %s: %w", topic, err)
	}
	until, err := adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("looking at topic %s: %w", topic, err)
	}
	until.Each(func(o kadm.ListedOffset) {
		f, _ := from.Lookup(topic, o.Partition)
		n += o.Offset - f.Offset
	})
	return n, nil
}

// lines returns a source of lines of ten words, Zipf(1.1) over 10,000 words,
// some 40 bytes each, the same every time.
func lines() func() []byte {
	z := rand.NewZipf(rand.New(rand.NewSource(1)), 1.1, 1, 9999)
	var slab []byte
	return func() []byte {
		if cap(slab)-len(slab) < 128 {
			slab = make([]byte, 0, 1<<20)
		}
		start := len(slab)
		for i := range 10 {
			if i > 0 {
				slab = append(slab, ' ')
			}
			slab = strconv.AppendUint(append(slab, 'w'), z.Uint64(), 10)
		}
		return slab[start:len(slab):len(slab)]
	}
}

// recordsOf returns a source of records of so many bytes each: stretches of one text of
// lines' words, the same every time.
func recordsOf(bytes int) func() []byte {
	const stretches = 64 << 10 // places where one may begin
	var text []byte
	for next := lines(); len(text) < bytes+stretches; {
		text = append(append(text, next()...), ' ')
	}
	at := 0
	return func() []byte {
		at = (at + 41) % stretches
		return text[at : at+bytes : at+bytes]
	}
}

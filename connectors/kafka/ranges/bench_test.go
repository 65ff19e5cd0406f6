package ranges_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

const (
	benchPartitions = 8
	benchRecords    = 2_000_000
	benchRange      = 30_000 // offsets a range
	benchWorkers    = 2
)

// BenchmarkRead reads two million lines of some 40 B from 8 partitions with two
// workers: franz-go's consumer, told where to begin and tuned (records pooled,
// fetches of 512 KiB), beside the range reader in batches of 8 ranges. Compare
// within one run.
func BenchmarkRead(b *testing.B) {
	brokers := map[string]func(testing.TB) *kafkatest.Broker{
		"kfake": func(t testing.TB) *kafkatest.Broker { return kafkatest.Fake(t, kfake.NumBrokers(1)) },
		"kafka": kafkatest.Real,
	}
	for _, name := range []string{"kfake", "kafka"} {
		b.Run(name, func(b *testing.B) {
			broker := brokers[name](b)
			topic := broker.Topic(b, benchPartitions)
			produceLines(b, broker, topic, 1<<20)
			ps := plan(b, broker, topic)
			b.Run("franz-go", func(b *testing.B) {
				report(b, func() int64 { return pollAll(b, broker, ps) })
			})
			b.Run("ranges", func(b *testing.B) {
				r := newReader(b, broker, ranges.Options{})
				report(b, func() int64 { return readAll(b, r, ps, benchRange) })
			})
		})
	}
}

// BenchmarkShortRanges reads the next 1000 records of each of 8 partitions, with
// and without prefetching them: what a batch of a short interval costs.
func BenchmarkShortRanges(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *kafkatest.Broker{
		"kfake": func(t testing.TB) *kafkatest.Broker { return kafkatest.Fake(t, kfake.NumBrokers(1)) },
		"kafka": kafkatest.Real,
	} {
		b.Run(name, func(b *testing.B) {
			broker := open(b)
			topic := broker.Topic(b, benchPartitions)
			produceLines(b, broker, topic, 4<<10)
			planner := newPlanner(b, broker, ranges.Options{}, topic)
			ps := plan(b, broker, topic)
			r := newReader(b, broker, ranges.Options{})
			b.Run("plan", func(b *testing.B) {
				for b.Loop() {
					if _, err := planner.Plan(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
			for _, prefetch := range []bool{false, true} {
				b.Run(fmt.Sprintf("read/prefetch=%v", prefetch), func(b *testing.B) {
					for at := int64(0); b.Loop(); at = (at + 1000) % (ps[0].Until - 1000) {
						rs := make([]ranges.Range, 0, len(ps))
						for _, p := range ps {
							rg := p.Range(at)
							rg.Until = at + 1000
							rs = append(rs, rg)
						}
						if prefetch {
							r.Prefetch(rs...)
						}
						if n := readRanges(b, r, rs); n == 0 {
							b.Fatal("no records")
						}
					}
				})
			}
		})
	}
}

func report(b *testing.B, f func() int64) {
	b.Helper()
	b.ReportAllocs()
	var n int64
	for b.Loop() {
		n += f()
	}
	if n == 0 {
		b.Fatal("no records")
	}
	b.ReportMetric(float64(b.N)*benchRecords/b.Elapsed().Seconds()/1e6, "Mrec/s")
}

// produceLines fills a topic with words in batches of up to size bytes.
func produceLines(t testing.TB, b *kafkatest.Broker, topic string, size int32) {
	cl := b.Client(t, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(size), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(200_000))
	defer cl.Close()
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.1, 1, 9999)
	for n := range benchRecords {
		line := make([]byte, 0, 64)
		for i := range 10 {
			if i > 0 {
				line = append(line, ' ')
			}
			line = strconv.AppendUint(append(line, 'w'), zipf.Uint64(), 10)
		}
		cl.Produce(t.Context(), &kgo.Record{Partition: int32(n % benchPartitions), Value: line}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// readAll reads everything in batches of one range per partition and returns the
// sum of the values' lengths.
func readAll(b *testing.B, r *ranges.Reader, ps []ranges.Partition, size int64) (sum int64) {
	for at := int64(0); ; at += size {
		var batch []ranges.Range
		for _, p := range ps {
			if rg := p.Range(p.Start + at); rg.From < rg.Until {
				rg.Until = min(rg.Until, rg.From+size)
				batch = append(batch, rg)
			}
		}
		if len(batch) == 0 {
			return sum
		}
		sum += readRanges(b, r, batch)
	}
}

// readRanges has two workers take ranges in turn, as two task slots do.
func readRanges(b *testing.B, r *ranges.Reader, rs []ranges.Range) int64 {
	var wg sync.WaitGroup
	var next, total atomic.Int64
	for range benchWorkers {
		wg.Go(func() {
			var sum int64
			for {
				i := next.Add(1) - 1
				if i >= int64(len(rs)) {
					break
				}
				for rec, err := range r.Read(b.Context(), rs[i]) {
					if err != nil {
						b.Error(err)
						return
					}
					sum += int64(len(rec.Value))
				}
			}
			total.Add(sum)
		})
	}
	wg.Wait()
	return total.Load()
}

// slabs is a pool of records for franz-go.
type slabs struct{ sync.Pool }

func (p *slabs) PutRecords(s []kgo.Record) { p.Put(&s) }
func (p *slabs) GetRecords(n int) []kgo.Record {
	if s, ok := p.Get().(*[]kgo.Record); ok && cap(*s) >= n {
		return *s
	}
	return make([]kgo.Record, n)
}

// pollAll is the same with franz-go's consumer, one for each worker.
func pollAll(b *testing.B, broker *kafkatest.Broker, ps []ranges.Partition) int64 {
	var wg sync.WaitGroup
	var total atomic.Int64
	half := len(ps) / benchWorkers
	for w := range benchWorkers {
		wg.Go(func() { total.Add(poll(b, broker, ps[w*half:(w+1)*half])) })
	}
	wg.Wait()
	return total.Load()
}

func poll(b *testing.B, broker *kafkatest.Broker, ps []ranges.Partition) (sum int64) {
	offsets, until := make(map[int32]kgo.Offset), make(map[int32]int64)
	for _, p := range ps {
		offsets[p.Partition], until[p.Partition] = kgo.NewOffset().At(p.Start), p.Until
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(broker.Addrs...), kgo.WithPools(new(slabs)), kgo.FetchMaxPartitionBytes(512 << 10),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{ps[0].Topic: offsets})}, broker.Opts...)...)
	if err != nil {
		b.Error(err)
		return 0
	}
	defer cl.Close()
	for len(until) > 0 {
		cl.PollFetches(context.Background()).EachRecord(func(rec *kgo.Record) {
			sum += int64(len(rec.Value))
			if rec.Offset == until[rec.Partition]-1 {
				delete(until, rec.Partition)
			}
			rec.Recycle()
		})
	}
	return sum
}

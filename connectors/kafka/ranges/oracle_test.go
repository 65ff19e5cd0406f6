package ranges_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seed is HIBANA_SEED, else one of today's nanoseconds; tests print it.
func seed(t *testing.T) uint64 {
	s := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("HIBANA_SEED"), 10, 64); err == nil {
		s = v
	}
	t.Logf("HIBANA_SEED=%d", s)
	return s
}

func newReader(t testing.TB, b *kafkatest.Broker, o ranges.Options) *ranges.Reader {
	t.Helper()
	o.Brokers, o.Client = b.Addrs, b.Opts
	r, err := ranges.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func newPlanner(t testing.TB, b *kafkatest.Broker, o ranges.Options, topics ...string) *ranges.Planner {
	t.Helper()
	o.Brokers, o.Client = b.Addrs, b.Opts
	p, err := ranges.NewPlanner(o, topics...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func plan(t testing.TB, b *kafkatest.Broker, topic string) []ranges.Partition {
	t.Helper()
	ps, err := newPlanner(t, b, ranges.Options{}, topic).Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// read collects a range as lines that show everything of a record.
func read(t testing.TB, r *ranges.Reader, rg ranges.Range) (lines []string, err error) {
	for rec, err := range r.Read(t.Context(), rg) {
		if err != nil {
			return lines, err
		}
		line := fmt.Sprintf("%s/%d@%d %d %q=%q", rec.Topic, rec.Partition, rec.Offset, rec.Timestamp, nullable(rec.Key), nullable(rec.Value))
		for k, v := range rec.Headers() {
			line += fmt.Sprintf(" %s:%q", k, nullable(v))
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func oracle(rec *kgo.Record) string {
	line := fmt.Sprintf("%s/%d@%d %d %q=%q", rec.Topic, rec.Partition, rec.Offset, rec.Timestamp.UnixMilli(), nullable(rec.Key), nullable(rec.Value))
	for _, h := range rec.Headers {
		line += fmt.Sprintf(" %s:%q", h.Key, nullable(h.Value))
	}
	return line
}

func nullable(b []byte) string {
	if b == nil {
		return "null"
	}
	return "+" + string(b)
}

// compare reads sub-ranges of partition 0 of a settled topic at both isolation
// levels and wants what franz-go's own consumer has: all of them in a short log,
// else 40 random ones, those at its end, and all of it in adjacent pieces.
func compare(t *testing.T, b *kafkatest.Broker, topic string, rng *rand.Rand) {
	t.Helper()
	type result struct {
		ranges.Range
		lines []string
	}
	for _, uncommitted := range []bool{false, true} {
		p := plan(t, b, topic)[0]
		var results []result
		for _, bytes := range []int32{1, 300, 0} {
			r := newReader(t, b, ranges.Options{ReadUncommitted: uncommitted, PartitionBytes: bytes, RequestBytes: bytes})
			for _, rg := range subRanges(p, rng) {
				lines, err := read(t, r, rg)
				if err != nil {
					t.Fatalf("%v, uncommitted %v: %v", rg, uncommitted, err)
				}
				results = append(results, result{rg, lines})
			}
			r.Close()
		}
		level := kgo.ReadCommitted()
		if uncommitted {
			level = kgo.ReadUncommitted()
		}
		all := b.Consume(t, topic, 0, level)
		for _, res := range results {
			var want []string
			for _, rec := range all {
				if rec.Offset >= res.From && rec.Offset < res.Until {
					want = append(want, oracle(rec))
				}
			}
			if !slices.Equal(res.lines, want) {
				t.Fatalf("%v, uncommitted %v:\n got %q\nwant %q", res.Range, uncommitted, res.lines, want)
			}
		}
		t.Logf("uncommitted %v: %d ranges of [%d,%d) with %d records", uncommitted, len(results), p.Start, p.Until, len(all))
	}
}

func subRanges(p ranges.Partition, rng *rand.Rand) (rs []ranges.Range) {
	add := func(from, until int64) {
		rg := p.Range(from)
		rg.Until = until
		rs = append(rs, rg)
	}
	n := p.Until - p.Start
	if n <= 16 {
		for from := p.Start; from <= p.Until; from++ {
			for until := from; until <= p.Until; until++ {
				add(from, until)
			}
		}
		return rs
	}
	for from := p.Until - 12; from < p.Until; from++ {
		add(from, p.Until)
	}
	for range 40 {
		from := p.Start + rng.Int64N(n)
		add(from, from+rng.Int64N(p.Until-from)+1)
	}
	// The whole in adjacent pieces: leftovers of one begin the next.
	for from := p.Start; from < p.Until; {
		until := min(p.Until, from+1+rng.Int64N(n/4+1))
		add(from, until)
		from = until
	}
	return rs
}

func TestEqualsConsumer(t *testing.T) {
	t.Parallel()
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		s := seed(t)
		rng := rand.New(rand.NewPCG(s, 1))
		t.Run("codecs", func(t *testing.T) {
			for name, codec := range kafkatest.Codecs() {
				t.Run(name, func(t *testing.T) {
					topic := b.Topic(t, 1)
					for n := range 2 {
						var recs []*kgo.Record
						for k := range 3 {
							recs = append(recs, kgo.KeySliceRecord(fmt.Appendf(nil, "%d", k), fmt.Appendf(nil, "%d %0100d", n, k)))
						}
						b.Produce(t, topic, []kgo.Opt{kgo.ProducerBatchCompression(codec)}, recs...)
					}
					compare(t, b, topic, rng)
				})
			}
		})
		t.Run("transactions", func(t *testing.T) {
			topic := b.Topic(t, 1)
			b.Fill(t, topic, 60, s)
			compare(t, b, topic, rng)
		})
		t.Run("log append time", func(t *testing.T) {
			topic := b.Topic(t, 1, "message.timestamp.type", "LogAppendTime")
			b.Fill(t, topic, 5, s)
			compare(t, b, topic, rng)
		})
		t.Run("compaction", func(t *testing.T) {
			topic := b.Topic(t, 1, "cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0")
			b.Fill(t, topic, 40, s)
			compact(t, b, topic)
			compare(t, b, topic, rng)
		})
		t.Run("log start inside a batch", func(t *testing.T) {
			topic := b.Topic(t, 1)
			b.Fill(t, topic, 30, s)
			b.DeleteBefore(t, topic, 0, 17)
			compare(t, b, topic, rng)
		})
	})
}

// compact has the topic compacted, until records are gone, and no further.
func compact(t *testing.T, b *kafkatest.Broker, topic string) {
	t.Helper()
	count := func() int {
		p := plan(t, b, topic)[0]
		lines, err := read(t, newReader(t, b, ranges.Options{}), p.Range(p.Start))
		if err != nil {
			t.Fatal(err)
		}
		return len(lines)
	}
	before := count()
	if b.Fake != nil {
		b.Fake.Compact()
		return
	}
	kafkatest.Until(t, "compaction", func() bool {
		// A broker rolls a segment by its age only when something is written
		// to it, and compacts only what is rolled.
		b.Produce(t, topic, nil, kgo.KeySliceRecord([]byte("roll"), []byte("x")))
		return count() < before*2/3
	})
	off := []kadm.AlterConfig{{Name: "cleanup.policy", Value: kadm.StringPtr("delete")}}
	if _, err := b.Admin().AlterTopicConfigs(t.Context(), off, topic); err != nil {
		t.Fatal(err)
	}
	// The round that is under way may still end: wait until the log has looked
	// the same for five of the cleaner's pauses.
	last, since := count(), time.Now()
	kafkatest.Until(t, "the compacted log is stable", func() bool {
		if n := count(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > time.Second
	})
}

// TestOverlappingTransactions has one partition with two open transactions, of
// which one is aborted while the other goes on, and then commits one itself.
func TestOverlappingTransactions(t *testing.T) {
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 1)
		var cl [2]*kgo.Client
		for i := range cl {
			cl[i] = b.Client(t, kgo.DefaultProduceTopic(topic), kgo.TransactionalID(fmt.Sprint(topic, i)))
		}
		script := []string{"begin 0", "begin 1", "put 0", "put 1", "put 0", "put 1", "abort 0", "put 1", "begin 0", "put 0", "put 1", "commit 0", "put 1", "abort 1"}
		for i, step := range script {
			c, err := cl[step[len(step)-1]-'0'], error(nil)
			switch step[0] {
			case 'b':
				err = c.BeginTransaction()
			case 'p':
				err = c.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr()
			default:
				err = c.EndTransaction(t.Context(), kgo.TransactionEndTry(step[0] == 'c'))
			}
			if err != nil {
				t.Fatalf("step %d, %s: %v", i, step, err)
			}
		}
		kafkatest.Until(t, "both transactions are settled", func() bool {
			return b.Ends(t, topic, true)[0] == b.Ends(t, topic, false)[0]
		})
		compare(t, b, topic, rand.New(rand.NewPCG(1, 1)))
	})
}

func TestOpenTransactionHoldsThePlanBack(t *testing.T) {
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 1)
		b.Produce(t, topic, nil, kgo.StringRecord("a"), kgo.StringRecord("b"))
		cl := b.Client(t, kgo.DefaultProduceTopic(topic), kgo.TransactionalID(topic))
		if err := errors.Join(cl.BeginTransaction(), cl.ProduceSync(t.Context(), kgo.StringRecord("c")).FirstErr()); err != nil {
			t.Fatal(err)
		}
		planner := newPlanner(t, b, ranges.Options{}, topic)
		for _, want := range []int64{2, 4} {
			var ps []ranges.Partition
			kafkatest.Until(t, "the plan", func() (ok bool) {
				var err error
				if ps, err = planner.Plan(t.Context()); err != nil {
					t.Fatal(err)
				}
				return ps[0].Until >= want
			})
			if ps[0].Until != want {
				t.Fatalf("planned until %d, want %d", ps[0].Until, want)
			}
			if want == 2 {
				if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

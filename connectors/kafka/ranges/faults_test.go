package ranges_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// numbered writes n records, each in a batch of its own.
func numbered(t testing.TB, b *kafkatest.Broker, topic string, n int) {
	t.Helper()
	cl := b.Client(t, kgo.DefaultProduceTopic(topic), kgo.MaxProduceRequestsInflightPerBroker(1))
	defer cl.Close()
	for i := range n {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogStartMoved(t *testing.T) {
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 1)
		numbered(t, b, topic, 9)
		p := plan(t, b, topic)[0]
		b.DeleteBefore(t, topic, 0, 5)
		_, err := read(t, newReader(t, b, ranges.Options{}), p.Range(3))
		var lost *ranges.LostError
		if !errors.As(err, &lost) || lost.Next != 3 || lost.Start != 5 {
			t.Fatalf("got %v, want a LostError of 3 to 5", err)
		}
	})
}

func TestPastTheEnd(t *testing.T) {
	t.Parallel()
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 1)
		numbered(t, b, topic, 3)
		p := plan(t, b, topic)[0]
		r := newReader(t, b, ranges.Options{EndTimeout: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		for _, from := range []int64{1, 99} {
			rg := p.Range(from)
			rg.Until = 100
			lines, err := read(t, r, rg)
			var end *ranges.EndError
			if !errors.As(err, &end) || end.End != 3 || len(lines) != max(0, 3-int(from)) {
				t.Errorf("%v: got %q, %v, want an EndError at 3", rg, lines, err)
			}
		}
	})
}

func TestTopicGone(t *testing.T) {
	t.Parallel()
	t.Run("kfake", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { testTopicGone(t, kafkatest.Virtual(t)) })
	})
	t.Run("kafka", func(t *testing.T) { testTopicGone(t, kafkatest.Real(t)) })
}

func testTopicGone(t *testing.T, b *kafkatest.Broker) {
	topic := b.Topic(t, 1)
	numbered(t, b, topic, 3)
	quiet := ranges.Options{Logger: slog.New(slog.DiscardHandler)}
	warm, p := newReader(t, b, quiet), plan(t, b, topic)[0]
	if lines, err := read(t, warm, p.Range(0)); err != nil || len(lines) != 3 {
		t.Fatal(lines, err)
	}
	want := func(when string, sentinel error) {
		t.Helper()
		var wg sync.WaitGroup
		for name, r := range map[string]*ranges.Reader{"warm": warm, "cold": newReader(t, b, quiet)} {
			wg.Go(func() {
				_, err := read(t, r, p.Range(1))
				var te *ranges.TopicError
				if !errors.Is(err, sentinel) || !errors.As(err, &te) || te.Topic != topic || te.Offset != 1 {
					t.Errorf("%s, %s reader: got %v, want %v", when, name, err, sentinel)
				}
			})
		}
		wg.Wait()
	}
	b.Delete(t, topic)
	want("deleted", ranges.ErrUnknownTopic)
	b.Create(t, topic, 1)
	numbered(t, b, topic, 5)
	want("recreated", ranges.ErrTopicRecreated)

	p = plan(t, b, topic)[0]
	p.Partition = 7
	want("partition", ranges.ErrUnknownPartition)
}

func TestLeaderMovesMidRange(t *testing.T) {
	b := kafkatest.Fake(t)
	topic := b.Topic(t, 1)
	numbered(t, b, topic, 100)
	rg := plan(t, b, topic)[0].Range(0)
	r := newReader(t, b, ranges.Options{PartitionBytes: 1, RequestBytes: 1})
	n := 0
	for rec, err := range r.Read(t.Context(), rg) {
		if err != nil || string(rec.Value) != fmt.Sprint(n) {
			t.Fatal(n, err)
		}
		if n++; n%30 == 0 {
			if err := b.Fake.MoveTopicPartition(topic, 0, (b.Fake.LeaderFor(topic, 0)+1)%3); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s := r.Stats(); n != 100 || s.Refreshes < 4 {
		t.Fatalf("%d records, %+v", n, s)
	}
}

func TestLeaderEpochAhead(t *testing.T) {
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 1)
		numbered(t, b, topic, 20)
		r := newReader(t, b, ranges.Options{PartitionBytes: 1, RequestBytes: 1})
		rg := plan(t, b, topic)[0].Range(0)
		for _, ahead := range []int32{0, 5} {
			rg.LeaderEpoch += ahead
			if lines, err := read(t, r, rg); err != nil || len(lines) != 20 {
				t.Fatal(ahead, lines, err)
			}
		}
		if s := r.Stats(); s.Refreshes != 2 {
			t.Fatalf("%+v, want one refresh to begin with and one for the epoch", s)
		}
	})
}

// fetchOnce answers Fetch requests with what f makes of kfake's partition data;
// f returns false to leave the request to kfake.
func fetchOnce(b *kafkatest.Broker, f func(req *kmsg.FetchRequest, p *kmsg.FetchResponseTopicPartition) bool) {
	b.Fake.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		req := kreq.(*kmsg.FetchRequest)
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition = req.Topics[0].Partitions[0].Partition
		if !f(req, &p) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: req.Topics[0].Topic, TopicID: req.Topics[0].TopicID, Partitions: []kmsg.FetchResponseTopicPartition{p}}}
		return resp, nil, true
	})
}

// TestEmptyTail: no batch at all up to the end, which a real broker's log cannot
// have, as its last segment keeps its last batch.
func TestEmptyTail(t *testing.T) {
	b := kafkatest.Fake(t)
	topic := b.Topic(t, 1)
	numbered(t, b, topic, 4)
	fetchOnce(b, func(req *kmsg.FetchRequest, p *kmsg.FetchResponseTopicPartition) bool {
		p.HighWatermark, p.LastStableOffset = 7, 7
		return req.Topics[0].Partitions[0].FetchOffset >= 4
	})
	rg := plan(t, b, topic)[0].Range(0)
	rg.Until = 7
	lines, err := read(t, newReader(t, b, ranges.Options{}), rg)
	if err != nil || len(lines) != 4 {
		t.Fatal(lines, err)
	}
}

func TestFetchErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   *kerr.Error
		times int
		fails bool
	}{
		{"not the leader", kerr.NotLeaderForPartition, 3, false},
		{"fenced epoch", kerr.FencedLeaderEpoch, 2, false},
		{"unknown epoch", kerr.UnknownLeaderEpoch, 2, false},
		{"unknown topic id", kerr.UnknownTopicID, 2, false},
		{"inconsistent topic id", kerr.InconsistentTopicID, 2, false},
		{"storage", kerr.KafkaStorageError, 5, false},
		{"corrupt for a moment", kerr.CorruptMessage, 2, false},
		{"corrupt for good", kerr.CorruptMessage, 1 << 30, true},
		{"not allowed", kerr.TopicAuthorizationFailed, 1, true},
		{"unknown server error", kerr.UnknownServerError, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := kafkatest.Virtual(t, kfake.SeedTopics(1, "images"))
				numbered(t, b, "images", 4)
				n := 0
				fetchOnce(b, func(_ *kmsg.FetchRequest, p *kmsg.FetchResponseTopicPartition) bool {
					n++
					p.ErrorCode = c.err.Code
					return n <= c.times
				})
				r := newReader(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)})
				lines, err := read(t, r, plan(t, b, "images")[0].Range(0))
				switch {
				case c.fails && !errors.Is(err, c.err):
					t.Fatalf("got %v, want %v", err, c.err)
				case !c.fails && (err != nil || len(lines) != 4):
					t.Fatalf("got %q, %v", lines, err)
				}
			})
		})
	}
}

func TestBatchLargerThanLimit(t *testing.T) {
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 2)
		for p := range int32(2) {
			for _, size := range []int{1, 500_000} {
				b.Produce(t, topic, []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}, &kgo.Record{Partition: p, Value: bytes.Repeat([]byte("x"), size)})
			}
		}
		r := newReader(t, b, ranges.Options{PartitionBytes: 1000, RequestBytes: 10_000})
		ps := plan(t, b, topic)
		for _, p := range ps {
			first := p.Range(0)
			first.Until = 1
			if lines, err := read(t, r, first); err != nil || len(lines) != 1 {
				t.Fatal(len(lines), err)
			}
		}
		r.Prefetch(ps[0].Range(1), ps[1].Range(1))
		kafkatest.Until(t, "both ranges are prefetched", func() bool { return r.Stats().Bytes >= 2*500_000 })
		before := r.Stats().Fetches
		for _, p := range ps {
			if lines, err := read(t, r, p.Range(1)); err != nil || len(lines) != 1 {
				t.Fatal(len(lines), err)
			}
		}
		if s := r.Stats(); s.Fetches != before {
			t.Errorf("%+v: what is prefetched was fetched again", s)
		}
		small := newReader(t, b, ranges.Options{MaxBatchBytes: 100_000})
		var corrupt *ranges.CorruptError
		if _, err := read(t, small, ps[0].Range(0)); !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "partition 0: the batch at offset 1 is too large: its 500072 bytes are over the limit of 100000 (MaxBatchBytes)") {
			t.Fatal(err)
		}
		if corrupt.Offset != 1 || corrupt.After != 2 || corrupt.Records != 1 {
			t.Errorf("%+v: want one record at 1 and the next at 2", corrupt)
		}
	})
}

// A batch that is too large when decompressed says where it ends, in every codec.
func TestBatchLargerThanLimitDecompressed(t *testing.T) {
	b := kafkatest.Fake(t)
	r := newReader(t, b, ranges.Options{MaxBatchBytes: 100_000})
	for name, codec := range kafkatest.Codecs() {
		topic := b.Topic(t, 1)
		b.Produce(t, topic, []kgo.Opt{kgo.ProducerBatchCompression(codec)}, &kgo.Record{Value: bytes.Repeat([]byte("x"), 500_000)})
		numbered(t, b, topic, 2)
		rg := plan(t, b, topic)[0].Range(0)
		var corrupt *ranges.CorruptError
		if _, err := read(t, r, rg); !errors.As(err, &corrupt) || corrupt.After != 1 || corrupt.Records != 1 ||
			!strings.Contains(err.Error(), "the batch at offset 0 is too large: its ") || strings.Contains(err.Error(), "when decompressed") == (name == "none") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		rg.From = corrupt.After
		if lines, err := read(t, r, rg); err != nil || len(lines) != 2 {
			t.Errorf("%s: %q, %v", name, lines, err)
		}
	}
}

func TestCorruptBatch(t *testing.T) {
	b := kafkatest.Fake(t)
	topic := b.Topic(t, 1)
	numbered(t, b, topic, 3)
	batch := rawBatch(t, b, topic)
	for _, at := range []int{16, 30, len(batch) - 1} {
		bad := bytes.Clone(batch)
		bad[at] ^= 0x40
		fetchOnce(b, func(_ *kmsg.FetchRequest, p *kmsg.FetchResponseTopicPartition) bool {
			p.RecordBatches, p.HighWatermark, p.LastStableOffset = bad, 3, 3
			return true
		})
		_, err := read(t, newReader(t, b, ranges.Options{}), plan(t, b, topic)[0].Range(0))
		var corrupt *ranges.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Topic != topic || corrupt.Offset != 0 {
			t.Errorf("byte %d flipped: got %v, want a CorruptError at offset 0", at, err)
		}
	}
}

// rawBatch is the first batch of partition 0 as a broker sends it.
func rawBatch(t *testing.T, b *kafkatest.Broker, topic string) []byte {
	t.Helper()
	p := plan(t, b, topic)[0]
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionEpoch, req.MaxBytes = -1, -1, 1<<20
	rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	rt.Topic, rt.TopicID, rp.PartitionMaxBytes = topic, p.TopicID, 1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := b.Client(t).Broker(int(b.Fake.LeaderFor(topic, 0))).Request(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches
}

// logBuffer is a slog handler's destination that may be read meanwhile.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// TestBrokerGoneForAMinute: the reader and the planner wait, say so once every
// half minute, and go on.
func TestBrokerGoneForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "images"))
		numbered(t, b, "images", 4)
		var logs logBuffer
		o := ranges.Options{Logger: slog.New(slog.NewTextHandler(&logs, nil)), PartitionBytes: 1, RequestBytes: 1}
		r, p := newReader(t, b, o), newPlanner(t, b, o, "images")
		ps, err := p.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(ps, func(p ranges.Partition) bool { return p.Until == 4 })
		n := 0
		var planned sync.WaitGroup
		for rec, err := range r.Read(t.Context(), ps[i].Range(0)) {
			if err != nil || string(rec.Value) != fmt.Sprint(n) {
				t.Fatal(n, err)
			}
			if n++; n == 1 {
				back := time.Now().Add(time.Minute)
				gone := func(kmsg.Request) (kmsg.Response, error, bool) {
					b.Fake.KeepControl()
					if time.Now().Before(back) {
						return nil, errors.New("the broker hangs up"), true
					}
					return nil, nil, false
				}
				b.Fake.Control(gone)
				planned.Go(func() {
					if _, err := p.Plan(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		planned.Wait()
		if n != 4 {
			t.Fatalf("%d records of 4", n)
		}
		if w, g := logs.count("kafka: waiting"), logs.count("kafka: goes on"); w < 2 || w > 6 || g != 2 {
			t.Fatalf("%d lines that it waits, %d that it goes on", w, g)
		}
	})
}

func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "images"))
		numbered(t, b, "images", 4)
		r := newReader(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)})
		rg := plan(t, b, "images")[0].Range(0)
		b.Fake.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			return nil, errors.New("the broker hangs up"), true
		})
		const patience = 2 * time.Minute // an hour of attempts is 76,000 goroutines
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		began := time.Now()
		for _, err := range r.Read(ctx, rg) {
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != patience {
				t.Fatal(err, time.Since(began))
			}
		}
		done := make(chan error, 1)
		go func() {
			for _, err := range r.Read(context.Background(), rg) {
				done <- err
			}
		}()
		synctest.Wait()
		r.Close()
		if err := <-done; !errors.Is(err, ranges.ErrClosed) {
			t.Fatal(err)
		}
		for _, err := range r.Read(t.Context(), rg) {
			if !errors.Is(err, ranges.ErrClosed) {
				t.Fatal(err)
			}
		}
		r.Prefetch(rg)
	})
}

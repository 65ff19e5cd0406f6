package ranges

import (
	"bytes"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
)

// shortBatches cuts ranges into those of batches of so many records each, of all partitions in turn.
func shortBatches(rs []Range, records int64) (batches [][]Range) {
	for from := int64(0); from < eachRecords; from += records {
		batch := make([]Range, len(rs))
		for i, rg := range rs {
			rg.From, rg.Until = from, min(from+records, eachRecords)
			batch[i] = rg
		}
		batches = append(batches, batch)
	}
	return batches
}

// aheadNow returns how many partitions are read ahead.
func (b *buffer) aheadNow() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.aheads
}

// sound makes sure that a Reader holds no more than it may, but for what batches are larger than what
// was asked for.
func sound(t *testing.T, r *Reader) {
	t.Helper()
	b := r.buffer
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > b.limit+prefetchChunks*someBytes || b.fetched > b.used || len(b.parked) > b.aheads || int64(b.aheads)*aheadChunks*someBytes > b.prefetchRoom() {
		t.Fatalf("%d bytes are kept, of them %d of %d streams ahead, %d parked; the limit is %d", b.used, b.fetched, b.aheads, len(b.parked), b.limit)
	}
}

// Of partitions with more than what is planned the next ranges are there before they are planned, no record
// batch comes twice, and in the end nothing is kept.
func TestPartitionsAreReadAhead(t *testing.T) {
	took := func(t *testing.T, alone bool, pause time.Duration) (took time.Duration, s Stats) {
		synctest.Test(t, func(t *testing.T) {
			b, rs := slowBroker(t, 10*time.Millisecond)
			r := readerOf(t, b, Options{Alone: alone})
			batches := shortBatches(rs, 15)
			for _, batch := range batches {
				time.Sleep(pause) // until the next batch is planned
				began := time.Now()
				r.Prefetch(batch...)
				for _, rg := range batch {
					count(t, r, rg)
					sound(t, r)
				}
				took += time.Since(began)
				if alone && batch[0].From > 0 {
					again := batch[1] // as after a failure, of what was read already
					again.Until -= 5
					count(t, r, again)
				}
				r.Forget(batch...)
			}
			if _, fetched, early := r.buffer.holds(); fetched != 0 || early != 0 || r.buffer.aheadNow() != 0 {
				t.Errorf("%d bytes of %d ranges and %d partitions are kept in the end", fetched, early, r.buffer.aheadNow())
			}
			s = r.Stats()
			time.Sleep(time.Second) // until nothing is on its way
		})
		return took, s
	}
	as, planned := took(t, false, 50*time.Millisecond)
	ahead, s := took(t, true, 50*time.Millisecond)
	if ahead > as/2 || s.Bytes >= planned.Bytes {
		t.Errorf("%s and %+v, when only what is planned is fetched %s and %+v", ahead, s, as, planned)
	}
}

// Only so many partitions are read ahead as have room, and only where there is more than what a request asks for.
func TestReadAheadIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		most int
	}{
		"room for all":     {Options{Alone: true}, manyPartitions},
		"room for two":     {Options{Alone: true, BufferBytes: 2*aheadChunks*someBytes*4/3 + 10}, 2},
		"no room":          {Options{Alone: true, BufferBytes: someBytes}, 0},
		"others read, too": {Options{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, rs := slowBroker(t, time.Millisecond)
				r := readerOf(t, b, c.o)
				most := 0
				for _, batch := range shortBatches(rs, 15) {
					r.Prefetch(batch...)
					for _, rg := range batch {
						count(t, r, rg)
						sound(t, r)
						most = max(most, r.buffer.aheadNow())
					}
					r.Forget(batch...)
				}
				time.Sleep(time.Second) // until nothing is on its way
				if most != c.most {
					t.Errorf("%d partitions at a time, not %d", most, c.most)
				}
			})
		})
	}
}

// A chunk of a partition that is read ahead is counted once, whether it comes before the stream is parked or
// after; and so is the next one, which is on its way then if the stream was still read.
func TestChunksAheadAreCountedOnce(t *testing.T) {
	for before, want := range map[bool]int64{true: 80 + 100, false: 80} {
		o, b := &Options{PartitionBytes: 100}, newBuffer(1000)
		s := newStream(Range{Topic: "t", Until: 10})
		s.ahead = b.reserve(o)
		s.begin()
		if before {
			b.deliver(s, chunk{next: 5, size: 80})
		}
		if !b.park(s, 0, o) {
			t.Fatal("it isn't kept")
		}
		if !before {
			b.deliver(s, chunk{next: 5, size: 80})
		}
		if _, fetched, _ := b.holds(); fetched != want || s.inflight != before {
			t.Errorf("before: %v: %d bytes are counted, want %d; in flight: %v", before, fetched, want, s.inflight)
		}
		b.release(s)
		if used, fetched, _ := b.holds(); used != 0 || fetched != 0 || b.aheads != 0 {
			t.Errorf("before: %v: %d bytes are counted in the end, %d of streams, %d of them ahead", before, used, fetched, b.aheads)
		}
	}
}

// readTwo reads a partition's first two ranges of ten records and waits until it is read ahead.
func readTwo(t *testing.T, r *Reader, rg Range) {
	t.Helper()
	for range 2 {
		rg.Until = rg.From + 10
		r.Prefetch(rg)
		count(t, r, rg)
		rg.From = rg.Until
	}
	time.Sleep(time.Second)
	if n := r.buffer.aheadNow(); n != 1 {
		t.Fatalf("%d partitions are read ahead", n)
	}
}

// A range that ends behind where its partition ended when that was begun to be read ahead has all
// records once, with no requests that are smaller than those of others.
func TestRangeReachesBehindWhatIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rs := slowBroker(t, time.Millisecond)
		r := readerOf(t, b, Options{Alone: true})
		rg := rs[0]
		readTwo(t, r, rg)
		cl := b.Client(t, kgo.DefaultProduceTopic("in"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(1200), kgo.ProducerBatchCompression(kgo.NoCompression()))
		for range eachRecords {
			cl.Produce(t.Context(), &kgo.Record{Value: bytes.Repeat([]byte{'x'}, 100)}, nil)
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var least atomic.Int64 // asked for behind where it ended
		least.Store(someBytes)
		b.Fake.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			for _, p := range kreq.(*kmsg.FetchRequest).Topics[0].Partitions {
				if p.FetchOffset >= eachRecords {
					least.Store(min(least.Load(), int64(p.PartitionMaxBytes)))
				}
			}
			return nil, nil, false
		})
		rg.From, rg.Until = 20, eachRecords-5
		count(t, r, rg)
		if n := r.buffer.aheadNow(); n != 1 {
			t.Fatalf("%d partitions are read ahead", n)
		}
		rg.From, rg.Until = rg.Until, 2*eachRecords
		count(t, r, rg)
		if n := least.Load(); n < 1000 {
			t.Errorf("%d bytes were asked for, less than a record batch", n)
		}
		time.Sleep(time.Second) // until nothing is on its way
	})
}

// What keeps a partition from being read ahead keeps no range from being read.
func TestReadAheadFails(t *testing.T) {
	for name, code := range map[string]int16{
		"the leader moves":     kerr.NotLeaderForPartition.Code,
		"the topic isn't seen": kerr.UnknownTopicOrPartition.Code,
		"the log is broken":    kerr.CorruptMessage.Code,
		"offsets are gone":     kerr.OffsetOutOfRange.Code,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, rs := slowBroker(t, time.Millisecond)
				r := readerOf(t, b, Options{Alone: true})
				var failed atomic.Int64
				b.Fake.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
					b.Fake.KeepControl()
					req := kreq.(*kmsg.FetchRequest)
					if p := req.Topics[0].Partitions[0]; p.FetchOffset < 30 || failed.Load() > 0 {
						return nil, nil, false
					}
					failed.Add(1)
					resp := req.ResponseKind().(*kmsg.FetchResponse)
					p := kmsg.NewFetchResponseTopicPartition()
					p.Partition, p.ErrorCode = req.Topics[0].Partitions[0].Partition, code
					resp.Topics = []kmsg.FetchResponseTopic{{Topic: req.Topics[0].Topic, TopicID: req.Topics[0].TopicID, Partitions: []kmsg.FetchResponseTopicPartition{p}}}
					return resp, nil, true
				})
				readTwo(t, r, rs[0])
				if failed.Load() != 1 {
					t.Fatal("nothing has failed")
				}
				rest := rs[0]
				for rest.From = 20; rest.From < eachRecords; rest.From += 10 {
					rest.Until = rest.From + 10
					began := time.Now()
					count(t, r, rest)
					if took := time.Since(began); took > 100*time.Millisecond {
						t.Errorf("%v took %s", rest, took)
					}
				}
				time.Sleep(time.Second) // until nothing is on its way
			})
		})
	}
}

// A range that was planned by a newer leader has nothing of what an earlier one has sent ahead.
func TestReadAheadIsOneLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rs := slowBroker(t, time.Millisecond)
		r := readerOf(t, b, Options{Alone: true})
		rg := rs[0]
		rg.LeaderEpoch = epochOf(t, b)
		readTwo(t, r, rg)
		if err := b.Fake.MoveTopicPartition("in", 0, 1); err != nil {
			t.Fatal(err)
		}
		if err := b.Fake.MoveTopicPartition("in", 0, 0); err != nil {
			t.Fatal(err)
		}
		rg.From, rg.Until = 20, 25
		before := r.Stats().Fetches
		count(t, r, rg)
		if n := r.Stats().Fetches - before; n != 0 {
			t.Errorf("%d fetches for what is there, planned by the same leader", n)
		}
		rg.From, rg.Until, rg.LeaderEpoch = 25, 30, epochOf(t, b)
		before = r.Stats().Fetches
		count(t, r, rg)
		if n := r.Stats().Fetches - before; n == 0 {
			t.Error("what an earlier leader sent was read")
		}
		time.Sleep(time.Second) // until nothing is on its way
	})
}

// epochOf returns the leader epoch of the first partition.
func epochOf(t *testing.T, b *kafkatest.Broker) int32 {
	t.Helper()
	infos, err := describe(t.Context(), b.Client(t), []string{"in"})
	if err != nil {
		t.Fatal(err)
	}
	return infos["in"].partitions[0].epoch
}

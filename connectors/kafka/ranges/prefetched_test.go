package ranges

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
)

// Ranges of a topic on three brokers, each of as many records of 100 bytes, of which a request
// gets some 20.
const (
	manyPartitions = 6
	eachRecords    = 200
	someBytes      = 2500
)

// slowFetches is how long the answer to a fetch takes to come over a connection. (kfake's own way
// to let a request wait has a race.)
type slowFetches time.Duration

func (d slowFetches) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == int16(kmsg.Fetch) {
		time.Sleep(time.Duration(d))
	}
}

// slowBroker starts brokers in virtual time whose answers to a fetch take so long, and returns what
// their topic holds.
func slowBroker(t *testing.T, answer time.Duration) (*kafkatest.Broker, []Range) {
	t.Helper()
	b := kafkatest.Virtual(t, kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094), kfake.SeedTopics(manyPartitions, "in"))
	cl := b.Client(t, kgo.DefaultProduceTopic("in"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(1200), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range manyPartitions * eachRecords {
		cl.Produce(t.Context(), &kgo.Record{Partition: int32(i % manyPartitions), Value: bytes.Repeat([]byte{'x'}, 100)}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Opts = append(b.Opts, kgo.WithHooks(slowFetches(answer)))
	rs := make([]Range, manyPartitions)
	for i := range rs {
		rs[i] = Range{Topic: "in", Partition: int32(i), LeaderEpoch: -1, Until: eachRecords}
	}
	return b, rs
}

// readerOf makes a Reader of a broker.
func readerOf(t *testing.T, b *kafkatest.Broker, o Options) *Reader {
	t.Helper()
	o.Brokers, o.Client, o.PartitionBytes = b.Addrs, b.Opts, someBytes
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// count reads a range and makes sure that it is whole.
func count(t *testing.T, r *Reader, rg Range) {
	t.Helper()
	next := rg.From
	for rec, err := range r.Read(t.Context(), rg) {
		if err != nil || rec.Offset != next {
			t.Fatal(rec, next, err)
		}
		next++
	}
	if next != rg.Until {
		t.Fatalf("%v ends at %d", rg, next)
	}
}

// holds returns how much is kept for who reads later.
func (b *buffer) holds() (bytes, fetched int64, ranges int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.fetched, len(b.early)
}

// isOver reports whether nothing more is to be fetched of a range that is prefetched.
func (b *buffer) isOver(rg Range) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.early[rg].isOver()
}

// The ranges behind the one that is read are fetched meanwhile, from several brokers at a time,
// also the first ones if nobody else reads. Nothing is kept in the end.
func TestRangesBehindAreFetched(t *testing.T) {
	took := func(t *testing.T, o Options) (took time.Duration, s Stats) {
		synctest.Test(t, func(t *testing.T) {
			b, rs := slowBroker(t, 10*time.Millisecond)
			r := readerOf(t, b, o)
			r.Prefetch(rs...)
			began := time.Now()
			for _, rg := range rs {
				count(t, r, rg)
			}
			took, s = time.Since(began), r.Stats()
			if used, _, early := r.buffer.holds(); used != 0 || early != 0 {
				t.Errorf("%d bytes of %d ranges are kept in the end", used, early)
			}
		})
		return took, s
	}
	one, s := took(t, Options{})
	if s.Prefetched != 0 {
		t.Errorf("%+v: others may read the first ranges", s)
	}
	ahead, s := took(t, Options{Alone: true})
	if s.Prefetched < manyPartitions/2 || s.Prefetched == manyPartitions || ahead > one/2 { // nothing of the first had come when it was read
		t.Errorf("%s, one range after the other %s: %+v", ahead, one, s)
	}
}

// What is prefetched is bounded, and the ranges that are read first are whole first; what is read
// makes room for those behind.
func TestPrefetchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rs := slowBroker(t, time.Millisecond)
		const limit = 40_000 // a range has 20,000 bytes and more
		r := readerOf(t, b, Options{Alone: true, BufferBytes: limit})
		r.Prefetch(rs...)
		most := int64(0)
		note := func() {
			used, fetched, _ := r.buffer.holds()
			if most = max(most, fetched); used > limit || fetched > limit*3/4 {
				t.Fatalf("%d bytes, %d of them prefetched, of %d", used, fetched, limit)
			}
		}
		for range 100 {
			time.Sleep(500 * time.Microsecond)
			note()
		}
		if most < limit/2 {
			t.Errorf("only %d bytes were prefetched", most)
		}
		before := r.Stats()
		time.Sleep(time.Minute)
		if s := r.Stats(); s != before {
			t.Errorf("%+v became %+v though nobody reads", before, s)
		}
		for _, rg := range rs {
			for range r.Read(t.Context(), rg) {
				note()
			}
		}
		if s := r.Stats(); s.Prefetched < manyPartitions/2 || s.Bytes > before.Bytes+manyPartitions*25_000 {
			t.Errorf("%+v: what is prefetched is to be read, and not fetched again", s)
		}
		if used, _, _ := r.buffer.holds(); used != 0 {
			t.Errorf("%d bytes are kept in the end", used)
		}
	})
}

// What was prefetched and is read elsewhere makes room for the ranges behind it, also while it is
// on its way; so nothing is kept of a batch that is given up.
func TestPrefetchIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rs := slowBroker(t, 10*time.Millisecond)
		r := readerOf(t, b, Options{Alone: true, BufferBytes: 30_000})
		r.Prefetch(rs...)
		time.Sleep(time.Second) // full
		r.Forget(rs[:3]...)
		time.Sleep(5 * time.Millisecond) // the next are on their way
		if _, fetched, early := r.buffer.holds(); early != 3 || fetched == 0 {
			t.Errorf("%d ranges are left, %d bytes", early, fetched)
		}
		time.Sleep(time.Second)
		fetches := r.Stats().Fetches
		count(t, r, rs[3])
		if s := r.Stats(); s.Prefetched != 1 || s.Fetches == fetches {
			t.Errorf("%+v, %d fetches before", s, fetches)
		}
		r.Forget(rs...)
		synctest.Wait()
		if used, _, early := r.buffer.holds(); used != 0 || early != 0 {
			t.Errorf("%d bytes of %d ranges are kept", used, early)
		}
		time.Sleep(time.Second) // what was on its way has come
		if used, _, early := r.buffer.holds(); used != 0 || early != 0 {
			t.Errorf("%d bytes of %d ranges came later", used, early)
		}
		count(t, r, rs[0]) // all the same
		r.Close()
		r.Prefetch(rs...)
		if used, _, early := r.buffer.holds(); used != 0 || early != 0 {
			t.Errorf("%d bytes of %d ranges are kept of a Reader that is closed", used, early)
		}
	})
}

// A reader that leaves in the middle keeps nothing of what was prefetched, and a range that can't
// be prefetched is nobody else's burden.
func TestPrefetchAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rs := slowBroker(t, time.Millisecond)
		r := readerOf(t, b, Options{Alone: true})
		missing := Range{Topic: "in", Partition: manyPartitions + 3, LeaderEpoch: -1, Until: 10}
		r.Prefetch(append([]Range{missing}, rs...)...)
		time.Sleep(10 * time.Second)
		for _, rg := range rs {
			for range r.Read(t.Context(), rg) {
				break
			}
		}
		began, failed := time.Now(), false
		for _, err := range r.Read(t.Context(), missing) {
			failed = err != nil
		}
		if took := time.Since(began); !failed || took < confirmAfter {
			t.Errorf("there is no such partition, and that is to be found out anew: %v after %s", failed, took)
		}
		if s := r.Stats(); s.Prefetched != manyPartitions {
			t.Errorf("%+v: nothing could be prefetched of what doesn't exist", s)
		}
		if _, fetched, early := r.buffer.holds(); fetched != 0 || early != 0 {
			t.Errorf("%d bytes of %d ranges are kept", fetched, early)
		}
	})
}

// What kept a range from being prefetched keeps nobody from reading it later: its reader asks anew.
func TestPrefetchFailedAndHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t)
		r := readerOf(t, b, Options{Alone: true})
		rg := Range{Topic: "late", LeaderEpoch: -1, Until: 3}
		r.Prefetch(rg)
		time.Sleep(10 * time.Second)
		if !r.buffer.isOver(rg) {
			t.Fatal("a topic that doesn't exist is still waited for")
		}
		b.Create(t, "late", 1)
		for range rg.Until {
			b.Produce(t, "late", nil, kgo.StringRecord("x"))
		}
		count(t, r, rg)
	})
}

// Who reads a range that waits to be prefetched again, as its broker was gone, waits no longer.
func TestReaderEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rs := slowBroker(t, time.Millisecond)
		var back atomic.Bool
		b.Fake.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			if !back.Load() {
				return nil, errors.New("the broker hangs up"), true
			}
			return nil, nil, false
		})
		r := readerOf(t, b, Options{Alone: true, Logger: slog.New(slog.DiscardHandler)})
		pause := func() time.Duration {
			r.router.lobby.mu.Lock()
			defer r.router.lobby.mu.Unlock()
			if len(r.router.lobby.waiting) == 0 {
				return 0
			}
			return time.Until(r.router.lobby.waiting[0].retryAt)
		}
		r.Prefetch(rs[0])
		for pause() < 400*time.Millisecond {
			time.Sleep(time.Millisecond)
		}
		back.Store(true)
		began := time.Now()
		count(t, r, rs[0])
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("a range of some 10 chunks of 1 ms took %v", took)
		}
	})
}

// A range that is forgotten while it is in a request is no longer waited for.
func TestForgottenInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rs := slowBroker(t, 10*time.Millisecond)
		back, asked := time.Now().Add(10*time.Second), make(chan bool, 1)
		b.Fake.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			if time.Now().Before(back) {
				return nil, errors.New("the broker hangs up"), true
			}
			asked <- true // and the answer takes 10 ms
			return nil, nil, false
		})
		r := readerOf(t, b, Options{Alone: true, Logger: slog.New(slog.DiscardHandler)})
		waiting := func() int {
			r.outage.mu.Lock()
			defer r.outage.mu.Unlock()
			return r.outage.waiting
		}
		r.Prefetch(rs[0])
		<-asked
		if n := waiting(); n != 1 {
			t.Errorf("%d ranges wait, want the one", n)
		}
		r.Forget(rs[0])
		time.Sleep(time.Second)
		if n := waiting(); n != 0 {
			t.Errorf("%d ranges wait, and nobody wants any", n)
		}
	})
}

// What finds no room beside what is prefetched drops no leftovers.
func TestLeftoversStayIfNoneMakesRoom(t *testing.T) {
	b, s := newBuffer(1000), newStream(Range{Topic: "t", Until: 10})
	s.early = true
	b.admit(s)
	b.count(s, 700, 0)
	keep := func(p int32, size int64) bool {
		return b.keep(partitionKey{"t", p}, [16]byte{}, 0, chunk{next: 1, size: size})
	}
	if !keep(1, 200) || keep(2, 400) {
		t.Error("200 bytes fit beside 700 of 1000, and 400 don't")
	}
	if used, _, _ := b.holds(); used != 900 {
		t.Errorf("%d bytes are kept, want all 900", used)
	}
	if !keep(2, 250) {
		t.Error("the 250 bytes that came last fit in place of the older 200")
	}
	if used, _, _ := b.holds(); used != 950 {
		t.Errorf("%d bytes are kept, want 950", used)
	}
}

// Ranges whose broker is gone don't keep those behind them from being prefetched, and are
// prefetched themselves when it is back.
func TestPrefetchBehindADeadBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rs := slowBroker(t, 10*time.Millisecond)
		for i := range rs {
			node := int32(i) / 4 // the first four are on the one that is gone
			if err := b.Fake.MoveTopicPartition("in", int32(i), node); err != nil {
				t.Fatal(err)
			}
		}
		back := time.Now().Add(time.Minute)
		b.Fake.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			if b.Fake.CurrentNode() == 0 && time.Now().Before(back) {
				return nil, errors.New("the broker hangs up"), true
			}
			return nil, nil, false
		})
		r := readerOf(t, b, Options{Alone: true, BufferBytes: 8 * eachRecords * 150, Logger: slog.New(slog.DiscardHandler)})
		r.Prefetch(rs...)
		time.Sleep(5 * time.Second)
		for i, rg := range rs {
			if got, want := r.buffer.isOver(rg), i >= 4; got != want {
				t.Errorf("%v is prefetched: %v, want %v", rg, got, want)
			}
		}
		time.Sleep(time.Until(back) + 5*time.Second)
		for _, rg := range rs {
			if !r.buffer.isOver(rg) {
				t.Errorf("%v isn't prefetched though its broker is back", rg)
			}
			count(t, r, rg)
		}
		if used, _, early := r.buffer.holds(); used != 0 || early != 0 {
			t.Errorf("%d bytes of %d ranges are kept in the end", used, early)
		}
	})
}

// Of ranges that are tried again one chunk is asked for at a time, beside the others, if there is
// room.
func TestPostponed(t *testing.T) {
	h, o, b := newHistory(), &Options{PartitionBytes: 100}, newBuffer(1000)
	all := make([]*stream, 7)
	for p := range all {
		all[p] = newStream(Range{Topic: "t", Partition: int32(p), Until: 10})
		all[p].early = true
		b.admit(all[p])
	}
	fetched := func(when string, want int64) {
		t.Helper()
		if _, got, _ := b.holds(); got != want {
			t.Errorf("%s: %d bytes are counted, want %d", when, got, want)
		}
	}
	b.due(h, o)
	fetched("three are asked for", 300)
	for _, s := range all[:3] {
		b.postpone(s)
	}
	fetched("and don't come", 0)
	if due := b.due(h, o); len(due) != 3 || due[0] != all[3] {
		t.Errorf("%d are due in their place, want three", len(due))
	}
	if !b.again(all[0], o) || b.again(all[1], o) || !b.again(all[0], o) || !b.again(all[3], o) {
		t.Error("one may be tried again at a time, and goes on when it may")
	}
	fetched("one is tried again", 400)
	if due := b.due(h, o); len(due) != 0 {
		t.Errorf("%d more are due, want none beside three", len(due))
	}
	b.deliver(all[0], chunk{next: 5, size: 350})
	fetched("it comes", 650)
	if !b.again(all[1], o) {
		t.Error("now the second may be tried again")
	}
	b.postpone(all[1])
	b.deliver(all[3], chunk{next: 5, size: 110})
	if b.again(all[1], o) {
		t.Error("there is no room for 100 bytes beside 660 of 750")
	}
	if b.claim(all[1].rg); !b.again(all[1], o) {
		t.Error("what is read waits for nobody")
	}
	fetched("of what is read nothing had come", 660)
	b.forget(all[0].rg)
	fetched("some makes room", 310)
	if b.forget(all[2].rg); !b.again(all[2], o) {
		t.Error("what is forgotten waits for nobody")
	}
	fetched("nothing is asked for what is forgotten", 310)
}

// What is postponed goes behind all others, in the order in which it was postponed.
func TestPostponedGoesLast(t *testing.T) {
	h, o, b := newHistory(), &Options{PartitionBytes: 100}, newBuffer(1000)
	all := make([]*stream, 5)
	for p := range all {
		all[p] = newStream(Range{Topic: "t", Partition: int32(p), Until: 10})
		all[p].early = true
		b.admit(all[p])
	}
	b.due(h, o)                        // 0, 1 and 2
	for _, p := range []int{1, 0, 1} { // the last time nothing is asked for
		b.postpone(all[p])
	}
	if want := []*stream{all[2], all[3], all[4], all[1], all[0]}; !slices.Equal(b.wanting, want) {
		t.Errorf("%v, want %v", b.wanting, want)
	}
	if _, fetched, early := b.holds(); early != len(all) || fetched != 100 {
		t.Errorf("%d bytes of %d ranges", fetched, early)
	}
}

// Short ranges are asked for together, long ones a few at a time, in order.
func TestPrefetchOrder(t *testing.T) {
	h, o := newHistory(), &Options{PartitionBytes: 100}
	b := newBuffer(1000)
	asks := func(ps ...int32) {
		t.Helper()
		got := ""
		for _, s := range b.due(h, o) {
			got += fmt.Sprint(s.rg.Partition, " ")
		}
		want := ""
		for _, p := range ps {
			want += fmt.Sprint(p, " ")
		}
		if got != want {
			t.Errorf("asked for partitions %q, want %q", got, want)
		}
	}
	all := make([]*stream, 12)
	for p := range all {
		all[p] = newStream(Range{Topic: "t", Partition: int32(p), Until: 10})
		all[p].early = true
		if p >= 8 {
			h.sizes[all[p].key()] = sizes{perOffset: 1, largest: 1}
		}
		b.admit(all[p])
	}
	comes := func(p int, next int64) {
		all[p].begin()
		b.deliver(all[p], chunk{next: next, size: 100})
	}
	asks(0, 1, 2)
	asks()
	comes(1, 5)
	asks(1)
	comes(1, 10) // the end
	asks(3)
	b.keep(partitionKey{"t", 99}, [16]byte{}, 0, chunk{next: 1, size: 250})
	for p := range 8 {
		b.forget(all[p].rg)
	}
	asks(8, 9, 10, 11)
	if used, fetched, _ := b.holds(); used != 250+fetched || fetched == 0 || fetched > 50 {
		t.Errorf("%d bytes, %d prefetched", used, fetched)
	}
	long := newStream(Range{Topic: "t", Partition: 20, Until: 100})
	h.sizes[long.key()] = sizes{perOffset: 100, largest: 100} // more than there is room for
	for _, s := range []*stream{long, newStream(Range{Topic: "t", Partition: 21, Until: 100})} {
		s.early = true
		b.admit(s)
	}
	for next := int64(1); next <= 7; next++ { // until three quarters are full
		asks(20)
		long.begin()
		b.deliver(long, chunk{next: next, size: 100})
	}
	asks()
	if used, _, _ := b.holds(); used > 1000 {
		t.Errorf("%d bytes", used)
	}
}

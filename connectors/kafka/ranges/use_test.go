package ranges_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// TestManySlots has eight readers read and prefetch ranges of 20 partitions on
// three brokers through one Reader, while leaders move.
func TestManySlots(t *testing.T) {
	const partitions, each = 20, 500
	b := kafkatest.Fake(t)
	topic := b.Topic(t, partitions)
	cl := b.Client(t, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(2000))
	for i := range partitions * each {
		cl.Produce(t.Context(), &kgo.Record{Partition: int32(i % partitions), Value: fmt.Append(nil, i)}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ps := plan(t, b, topic)
	r := newReader(t, b, ranges.Options{PartitionBytes: 3000, RequestBytes: 10_000, BufferBytes: 60_000})
	var todo []ranges.Range
	for from := int64(0); from < each; from += 100 {
		for _, p := range ps {
			rg := p.Range(from)
			rg.Until = from + 100
			todo = append(todo, rg)
		}
	}
	work := make(chan ranges.Range)
	var slots sync.WaitGroup
	for range 8 {
		slots.Go(func() {
			for rg := range work {
				next := rg.From
				for rec, err := range r.Read(t.Context(), rg) {
					if err != nil {
						t.Error(err)
						break
					}
					if want := fmt.Sprint(rec.Offset*partitions + int64(rg.Partition)); rec.Offset != next || string(rec.Value) != want {
						t.Errorf("%v: offset %d has %q, want %d with %s", rg, rec.Offset, rec.Value, next, want)
					}
					next++
				}
				if next != rg.Until {
					t.Errorf("%v ended at %d", rg, next)
				}
			}
		})
	}
	for i, rg := range todo {
		if i%partitions == 0 {
			r.Prefetch(todo[i:min(i+partitions, len(todo))]...)
			b.Fake.ShufflePartitionLeaders()
		}
		work <- rg
	}
	close(work)
	slots.Wait()
	if s := r.Stats(); s.Prefetched == 0 || s.Leftovers == 0 {
		t.Errorf("%+v: nothing was prefetched or left over", s)
	}
}

// TestAdjacentRangesFetchOnce: what one range leaves over begins the next.
func TestAdjacentRangesFetchOnce(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1))
	topic := b.Topic(t, 1)
	numbered(t, b, topic, 50)
	r, p := newReader(t, b, ranges.Options{}), plan(t, b, topic)[0]
	var all []string
	for from := int64(0); from < 50; from += 7 {
		rg := p.Range(from)
		rg.Until = min(from+7, p.Until)
		lines, err := read(t, r, rg)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, lines...)
	}
	if s := r.Stats(); len(all) != 50 || s.Fetches != 1 || s.Leftovers != 7 {
		t.Fatalf("%d records, %+v; want one fetch", len(all), s)
	}
	// A retry reads backwards, and a leftover is no record's second time.
	rg := p.Range(7)
	rg.Until = 14
	if lines, err := read(t, r, rg); err != nil || !slices.Equal(lines, all[7:14]) {
		t.Fatal(lines, err)
	}
}

// TestPrefetchFollowsReads: only the Reader that read a range prefetches the next.
func TestPrefetchFollowsReads(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1))
	topic := b.Topic(t, 1)
	numbered(t, b, topic, 30)
	p := plan(t, b, topic)[0]
	tens := func(from, until int64) ranges.Range {
		rg := p.Range(10 * from)
		rg.Until = 10 * until
		return rg
	}
	for name, c := range map[string]struct {
		read   []ranges.Range
		next   ranges.Range
		begins bool
	}{
		"nothing was read":           {nil, tens(0, 1), false},
		"the range before was read":  {[]ranges.Range{tens(0, 1)}, tens(1, 2), true},
		"an earlier one was read":    {[]ranges.Range{tens(0, 1)}, tens(2, 3), false},
		"the range itself was read":  {[]ranges.Range{tens(0, 1), tens(1, 2)}, tens(1, 2), false},
		"and the one before it anew": {[]ranges.Range{tens(1, 2), tens(0, 1)}, tens(1, 2), true},
	} {
		r := newReader(t, b, ranges.Options{})
		for _, rg := range c.read {
			if _, err := read(t, r, rg); err != nil {
				t.Fatal(err)
			}
		}
		r.Prefetch(c.next)
		if lines, err := read(t, r, c.next); err != nil || len(lines) != 10 {
			t.Fatalf("%s: %d lines, %v", name, len(lines), err)
		}
		if began := r.Stats().Prefetched == 1; began != c.begins {
			t.Errorf("%s: prefetched %v, want %v", name, began, c.begins)
		}
	}
}

// TestPrefetchOfWhatWaits: ranges that are planned while the ones before them are
// still to be read are fetched as soon as these were.
func TestPrefetchOfWhatWaits(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1))
	topic := b.Topic(t, 1)
	numbered(t, b, topic, 40)
	p := plan(t, b, topic)[0]
	r := newReader(t, b, ranges.Options{})
	var rs []ranges.Range
	for from := int64(0); from < 40; from += 10 {
		rg := p.Range(from)
		rg.Until = from + 10
		rs = append(rs, rg)
	}
	r.Prefetch(rs[1])
	r.Prefetch(rs[2])
	for i, rg := range rs {
		if lines, err := read(t, r, rg); err != nil || len(lines) != 10 {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		if n, want := r.Stats().Prefetched, int64(min(i, 2)); n != want {
			t.Errorf("after range %d %d were prefetched, want %d", i, n, want)
		}
	}
}

func TestBreakAndReadAgain(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1))
	topic := b.Topic(t, 1)
	numbered(t, b, topic, 20)
	r := newReader(t, b, ranges.Options{PartitionBytes: 100})
	seq := r.Read(t.Context(), plan(t, b, topic)[0].Range(0))
	for stop := range int64(20) {
		last := int64(-1)
		for rec, err := range seq {
			if err != nil || rec.Offset != last+1 {
				t.Fatal(rec, err)
			}
			if last = rec.Offset; last == stop {
				break
			}
		}
		if last != stop {
			t.Fatalf("ended at %d, want %d", last, stop)
		}
	}
}

// TestAllocations: reading allocates per response, not per record.
func TestAllocations(t *testing.T) {
	b := kafkatest.Fake(t, kfake.NumBrokers(1))
	topic := b.Topic(t, 1)
	const n = 40_000 // a read has fixed costs, of the client and of kfake: some 200
	cl := b.Client(t, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i := range n {
		cl.Produce(t.Context(), &kgo.Record{Key: []byte("k"), Value: fmt.Append(nil, i), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, rg := newReader(t, b, ranges.Options{}), plan(t, b, topic)[0].Range(0)
	allocs := testing.AllocsPerRun(5, func() { // kfake's own are among them
		count := 0
		for rec, err := range r.Read(t.Context(), rg) {
			if err != nil {
				t.Fatal(err)
			}
			for range rec.Headers() {
				count++
			}
		}
		if count != n {
			t.Fatal(count)
		}
	})
	if allocs > n/100 {
		t.Errorf("%v allocations for %d records", allocs, n)
	}
}

package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Codecs are all of Kafka's compression codecs.
func Codecs() map[string]kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
}

// Produce writes records, those of a partition in one batch if its size allows it,
// and waits until they are acknowledged.
func (b *Broker) Produce(t testing.TB, topic string, opts []kgo.Opt, records ...*kgo.Record) {
	t.Helper()
	ready := make(partitioned, 2*len(records))
	cl := b.Client(t, append([]kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ManualFlushing(), kgo.MaxBufferedRecords(len(records) + 1), kgo.WithHooks(ready)}, opts...)...)
	defer cl.Close()
	var failed kgo.FirstErrPromise
	for _, r := range records {
		promise := failed.Promise()
		cl.Produce(t.Context(), r, func(r *kgo.Record, err error) {
			if err != nil {
				ready <- struct{}{}
			}
			promise(r, err)
		})
	}
	for range records { // a flush that comes before may cut a batch in two
		<-ready
	}
	// The records may be in their batches before a flush sees them. A purge, of nothing here,
	// ends after the update that put them there: the flush that follows sees all of them.
	cl.PurgeTopicsFromConsuming(topic)
	if err := errors.Join(cl.Flush(t.Context()), failed.Err()); err != nil {
		t.Fatalf("producing to %s: %v", topic, err)
	}
}

// partitioned is told of records that are in a batch which the next flush sends.
type partitioned chan struct{}

// OnProduceRecordPartitioned implements kgo.HookProduceRecordPartitioned.
func (p partitioned) OnProduceRecordPartitioned(*kgo.Record, int32) { p <- struct{}{} }

// Ends is how far each partition of a topic can be read.
func (b *Broker) Ends(t testing.TB, topic string, committed bool) map[int32]int64 {
	t.Helper()
	list := b.adm.ListEndOffsets
	if committed {
		list = b.adm.ListCommittedOffsets
	}
	listed, err := list(t.Context(), topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		t.Fatalf("listing the ends of %s: %v", topic, err)
	}
	ends := make(map[int32]int64)
	for p, o := range listed[topic] {
		ends[p] = o.Offset
	}
	return ends
}

// DeleteBefore moves a partition's log start.
func (b *Broker) DeleteBefore(t testing.TB, topic string, partition int32, offset int64) {
	t.Helper()
	var to kadm.Offsets
	to.AddOffset(topic, partition, offset, -1)
	resp, err := b.adm.DeleteRecords(t.Context(), to)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		t.Fatalf("deleting %s/%d before %d: %v", topic, partition, offset, err)
	}
}

// Consume reads one partition from its start with franz-go's consumer, as the
// oracle. To know where the log ends (an oracle is not told of gaps) it writes a
// sentinel, which is not among the records returned.
func (b *Broker) Consume(t testing.TB, topic string, partition int32, level kgo.IsolationLevel) []*kgo.Record {
	t.Helper()
	sentinel := &kgo.Record{Partition: partition, Key: []byte("sentinel")}
	b.Produce(t, topic, nil, sentinel)
	cl := b.Client(t, kgo.FetchIsolationLevel(level), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all []*kgo.Record
	for {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("consuming %s/%d: %v", topic, partition, err)
		}
		for _, rec := range fetches.Records() {
			if rec.Offset == sentinel.Offset {
				return all
			}
			all = append(all, rec)
		}
	}
}

// Fill writes what is hard to read to partition 0 of a topic, from a seed: rounds
// of plain batches and of transactions that overlap, committed or aborted, in all
// codecs, with keys that repeat, tombstones, headers and timestamps.
func (b *Broker) Fill(t testing.TB, topic string, rounds int, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	open := func(i int, opts ...kgo.Opt) *kgo.Client {
		return b.Client(t, append([]kgo.Opt{kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codecs[i%len(codecs)])}, opts...)...)
	}
	var plain, txn []*kgo.Client
	for i := range codecs {
		plain = append(plain, open(i))
	}
	for i := range 3 {
		txn = append(txn, open(i+1, kgo.TransactionalID(fmt.Sprintf("%s-%d", topic, i))))
	}
	defer func() {
		for _, cl := range append(plain, txn...) {
			cl.Close()
		}
	}()
	began := make([]bool, len(txn))
	end := func(i int, commit bool) {
		began[i] = false
		if err := txn[i].EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
			t.Fatalf("ending a transaction (commit %v): %v", commit, err)
		}
	}
	for n := range rounds {
		cl, i := plain[rng.IntN(len(plain))], rng.IntN(len(txn)+1)
		if i < len(txn) {
			cl = txn[i]
			if !began[i] {
				if err := cl.BeginTransaction(); err != nil {
					t.Fatalf("beginning a transaction: %v", err)
				}
				began[i] = true
			}
		}
		if err := cl.ProduceSync(t.Context(), randomRecords(rng, n)...).FirstErr(); err != nil {
			t.Fatalf("producing: %v", err)
		}
		if i < len(txn) && rng.IntN(3) == 0 {
			end(i, rng.IntN(2) == 0)
		}
	}
	for i := range txn {
		if began[i] {
			end(i, i%2 == 0)
		}
	}
	// The end of a transaction is answered before its marker is written.
	Until(t, "all transactions are settled", func() bool {
		return b.Ends(t, topic, true)[0] == b.Ends(t, topic, false)[0]
	})
}

func randomRecords(rng *rand.Rand, n int) []*kgo.Record {
	var records []*kgo.Record
	for k := range 1 + rng.IntN(5) {
		rec := &kgo.Record{
			Key:       fmt.Appendf(nil, "k%d", rng.IntN(6)),
			Value:     fmt.Appendf(nil, "%d.%d %0*d", n, k, 1+rng.IntN(200), n),
			Timestamp: time.UnixMilli(time.Now().UnixMilli() - rng.Int64N(100_000)),
		}
		switch rng.IntN(12) {
		case 0:
			rec.Value = nil
		case 1:
			rec.Value = []byte{}
		}
		for h := range rng.IntN(3) {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: fmt.Sprintf("h%d", h), Value: fmt.Appendf(nil, "%d", rng.IntN(1000))})
		}
		if rng.IntN(10) == 0 {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: "null"})
		}
		records = append(records, rec)
	}
	return records
}

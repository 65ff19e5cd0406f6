package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a raw loop asks a broker for in a request. Of a partition it is as much as the engine asks
// for: with less there are more answers, each of which is new memory, and more collections.
const (
	rawPartitionBytes = 2 << 20
	rawRequestBytes   = 50 << 20
	rawWaitMillis     = 500 // for the first byte
)

// rawLoop reads a whole topic with Fetch requests of its own, as fast as we know how, hands each
// worker's values to what each makes for it, and returns records per second, connecting included.
//
// A worker has a connection to each broker that leads partitions of its. While it walks through
// an answer the next one is on its way. It checks the batches' checksums, decompresses those that
// are compressed, and steps from value to value in the bytes as they came. A batch that is cut off
// at the end of an answer is asked for again.
//
// It makes no records: keys, headers and times are passed over. It reads what is there whether or
// not it is committed, and ends with an error where there are transactions, since their markers
// take up offsets. It goes on after no error: it neither connects again nor follows a partition to
// another leader.
func rawLoop(ctx context.Context, addr, topic string, workers int, records int64, each func(worker int) func(value []byte)) (float64, error) {
	rate, err := byHand(rawPartitions).drain(ctx, addr, topic, workers, records, each)
	if err != nil {
		return 0, fmt.Errorf("raw loop: %w", err)
	}
	return rate, nil
}

// rawPartition is what there is to read of a partition.
type rawPartition struct {
	number      int32
	next, until int64
}

// rawAnswer is what a broker sent of a partition. The last batch may be cut off.
type rawAnswer struct {
	rawPartition // as it was asked for
	batches      []byte
}

// rawPartitions reads partitions from their start until the given offsets.
func rawPartitions(ctx context.Context, addr, topic string, until map[int32]int64, each func(value []byte)) (n int64, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(addr)...), kgo.DisableClientMetrics())
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	id, byLeader, err := rawLeaders(ctx, kadm.NewClient(cl), topic, until)
	if err != nil {
		return 0, fmt.Errorf("looking at topic %s: %w", topic, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := make(chan []rawAnswer, 1)
	var fetchers sync.WaitGroup
	for leader, partitions := range byLeader {
		fetchers.Go(func() {
			if err := fetchRaw(ctx, cl.Broker(int(leader)), topic, id, partitions, answers); err != nil {
				cancel(err)
			}
		})
	}
	go func() {
		fetchers.Wait()
		close(answers)
	}()
	w := rawWalker{dec: kgo.DefaultDecompressor(), each: each}
	for parts := range answers { // after an error too, until the fetchers have ended
		for _, a := range parts {
			if ctx.Err() != nil {
				break
			}
			if err := w.walk(a); err != nil {
				cancel(fmt.Errorf("partition %d, %w", a.number, err))
			}
		}
	}
	return w.records, context.Cause(ctx)
}

// rawLeaders returns a topic's id, and by their leaders the partitions with what there is to read.
func rawLeaders(ctx context.Context, adm *kadm.Client, topic string, until map[int32]int64) (id [16]byte, byLeader map[int32][]rawPartition, err error) {
	topics, err := adm.ListTopics(ctx, topic)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		return id, nil, err
	}
	starts, err := adm.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return id, nil, err
	}
	byLeader = make(map[int32][]rawPartition)
	for number, end := range until {
		start, _ := starts.Lookup(topic, number)
		if start.Offset < end {
			leader := topics[topic].Partitions[number].Leader
			byLeader[leader] = append(byLeader[leader], rawPartition{number, start.Offset, end})
		}
	}
	return topics[topic].ID, byLeader, nil
}

// errRawStuck: a broker that has what was asked for sends it.
var errRawStuck = errors.New("the broker sends no whole batch")

// fetchRaw asks a broker for partitions, one request after the other, until it has sent all of
// them. A batch that is larger than what is asked for of a partition comes whole only if that is
// the request's first, so each request begins with another one.
func fetchRaw(ctx context.Context, broker *kgo.Broker, topic string, id [16]byte, partitions []rawPartition, answers chan<- []rawAnswer) error {
	for vain := 0; len(partitions) > 0; {
		req := rawRequest(topic, id, partitions)
		got, err := broker.Request(ctx, req)
		if err != nil {
			return err
		}
		parts, err := takeRaw(partitions, got.(*kmsg.FetchResponse))
		if err != nil {
			return err
		}
		if len(parts) > 0 {
			vain = 0
			answers <- parts
		} else if vain++; vain > len(partitions) {
			return fmt.Errorf("partition %d, offset %d: %w", partitions[0].number, partitions[0].next, errRawStuck)
		}
		partitions = append(partitions[1:], partitions[0])
		partitions = slices.DeleteFunc(partitions, func(p rawPartition) bool { return p.next >= p.until })
	}
	return nil
}

func rawRequest(topic string, id [16]byte, partitions []rawPartition) *kmsg.FetchRequest {
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	for _, p := range partitions {
		asked := kmsg.NewFetchRequestTopicPartition()
		asked.Partition, asked.FetchOffset, asked.PartitionMaxBytes = p.number, p.next, rawPartitionBytes
		t.Partitions = append(t.Partitions, asked)
	}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionEpoch = -1, -1
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = rawWaitMillis, 1, rawRequestBytes
	req.Topics = []kmsg.FetchRequestTopic{t}
	return req
}

// takeRaw returns what an answer holds of partitions, and moves them on by it.
func takeRaw(partitions []rawPartition, got *kmsg.FetchResponse) (parts []rawAnswer, err error) {
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return nil, err
	}
	for _, t := range got.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("partition %d: %w", p.Partition, err)
			}
			i := slices.IndexFunc(partitions, func(asked rawPartition) bool { return asked.number == p.Partition })
			if i < 0 {
				continue
			}
			asked := partitions[i]
			for b := range wholeBatches(p.RecordBatches) {
				partitions[i].next = max(partitions[i].next, b.last()+1)
			}
			if partitions[i].next > asked.next {
				parts = append(parts, rawAnswer{asked, p.RecordBatches})
			}
		}
	}
	return parts, nil
}

// rawBatch is a record batch of version 2 (Kafka 0.11 and later; KIP-98), which begins with
//
//	 0 first offset int64      21 attributes int16, of which 3 bits say how it is compressed
//	 8 length int32 (from 12)  23 last offset, from the first, int32
//	16 version int8            27 times, producer, number of records
//	17 CRC-32C uint32 (from 21) 61 records
type rawBatch []byte

const (
	rawHeader  = 61
	rawCodec   = 0x07
	rawControl = 0x20
)

func (b rawBatch) first() int64       { return int64(binary.BigEndian.Uint64(b)) }
func (b rawBatch) last() int64        { return b.first() + int64(int32(binary.BigEndian.Uint32(b[23:]))) }
func (b rawBatch) attributes() uint16 { return binary.BigEndian.Uint16(b[21:]) }

// check says what keeps a batch from being read.
func (b rawBatch) check() error {
	switch {
	case b[16] != 2:
		return fmt.Errorf("offset %d: the batch has version %d, not 2", b.first(), b[16])
	case binary.BigEndian.Uint32(b[17:]) != crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)):
		return fmt.Errorf("offset %d: the batch's checksum is wrong", b.first())
	case b.attributes()&rawControl != 0:
		return fmt.Errorf("offset %d: there are transactions", b.first())
	}
	return nil
}

// wholeBatches are the batches of an answer, without the last one if it is cut off.
func wholeBatches(answer []byte) iter.Seq[rawBatch] {
	return func(yield func(rawBatch) bool) {
		for len(answer) >= rawHeader {
			size := 12 + int64(int32(binary.BigEndian.Uint32(answer[8:])))
			if size < rawHeader || size > int64(len(answer)) || !yield(answer[:size]) {
				return
			}
			answer = answer[size:]
		}
	}
}

// rawWalker hands out values and counts them.
type rawWalker struct {
	dec     kgo.Decompressor
	each    func(value []byte)
	records int64
}

// walk hands out the values of what was asked for.
func (w *rawWalker) walk(a rawAnswer) error {
	for b := range wholeBatches(a.batches) {
		if err := b.check(); err != nil {
			return err
		}
		records := b[rawHeader:]
		if codec := b.attributes() & rawCodec; codec != 0 {
			var err error
			if records, err = w.dec.Decompress(records, kgo.CompressionCodecType(codec)); err != nil {
				return fmt.Errorf("offset %d: %w", b.first(), err)
			}
		}
		if !w.values(records, a.next-b.first(), a.until-b.first()) {
			return fmt.Errorf("offset %d: the batch's records are broken", b.first())
		}
	}
	return nil
}

// values hands out the values of a batch's records, of those from one offset until another, both
// counted from the batch's first. Without ok it met what is no record.
func (w *rawWalker) values(records []byte, from, until int64) (ok bool) {
	for len(records) > 0 {
		var record []byte
		record, records = cutBytes(records)
		if len(record) == 0 {
			return false
		}
		_, rest := cutVarint(record[1:]) // the time, behind the attributes
		offset, rest := cutVarint(rest)
		_, rest = cutBytes(rest) // the key
		value, rest := cutBytes(rest)
		if rest == nil {
			return false
		}
		if offset >= from && offset < until {
			w.records++
			w.each(value)
		}
	}
	return true
}

// cutBytes returns the bytes that b begins with, after their length, and the rest, which is nil
// if they aren't there.
func cutBytes(b []byte) (data, rest []byte) {
	n, b := cutVarint(b)
	n = max(n, 0) // -1 is null
	if n > int64(len(b)) {
		return nil, nil
	}
	return b[:n], b[n:]
}

// cutVarint returns the number that b begins with, and the rest, which is nil if there is none.
func cutVarint(b []byte) (v int64, rest []byte) {
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil
	}
	return v, b[n:]
}

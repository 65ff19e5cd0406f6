package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd"
)

// scrambled returns a number that looks random and is another one for each i.
func scrambled(i int64) uint64 {
	x := uint64(i) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// wide returns a record of 100 bytes that begins with what looks random.
func wide(i int64) string {
	var b [100]byte
	hex.Encode(b[:16], binary.BigEndian.AppendUint64(nil, scrambled(i)))
	for j := 16; j < len(b); j++ {
		b[j] = 'a' + byte(uint64(i)>>(j%8*4)&15)
	}
	return string(b[:])
}

// runSort measures how fast records are sorted.
func runSort(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	flags := newBatchFlags(f, "records that are made and moved", 20_000_000)
	if err := parse(f, args, "records", "partitions"); err != nil {
		return nil, err
	}
	return flags.run(ctx, 100, func(sc *rdd.Context) (int64, error) {
		lines := rdd.Map(rdd.Range(sc, 0, *flags.records, 1, rdd.Partitions(*flags.partitions)), wide)
		sorted := rdd.SortBy(lines, func(s string) string { return s }, rdd.Partitions(*flags.partitions))
		// Reading them checks the order.
		return rdd.Count(rdd.TryMapPartitions(sorted, func(p rdd.Part, in iter.Seq2[string, error]) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				last := ""
				for s, err := range in {
					if err == nil && s < last {
						err = fmt.Errorf("partition %d: %q comes after %q", p.Index, s, last)
					}
					if last = s; !yield(s, err) || err != nil {
						return
					}
				}
			}
		}))
	})
}

// runJoin measures how fast pairs are joined with a fifth as many.
func runJoin(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	flags := newBatchFlags(f, "records that are made and moved", 5_000_000)
	if err := parse(f, args, "records", "partitions"); err != nil {
		return nil, err
	}
	keys := max(1, *flags.records/5)
	return flags.run(ctx, 40, func(sc *rdd.Context) (int64, error) {
		left := rdd.Map(rdd.Range(sc, 0, *flags.records, 1, rdd.Partitions(*flags.partitions)), func(i int64) rdd.Pair[int64, string] {
			return rdd.KV(int64(scrambled(i)%uint64(keys)), fmt.Sprintf("left value %016x", scrambled(i)))
		})
		right := rdd.Map(rdd.Range(sc, 0, keys, 1, rdd.Partitions(*flags.partitions)), func(i int64) rdd.Pair[int64, string] {
			return rdd.KV(i, fmt.Sprintf("right value %016x", scrambled(i)))
		})
		return rdd.Count(rdd.Join(left, right, rdd.Partitions(*flags.partitions)))
	})
}

// runGroup measures how values are grouped that don't fit in memory.
func runGroup(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	flags := newBatchFlags(f, "records that are made and moved", 100_000_000)
	if err := parse(f, args, "records", "partitions"); err != nil {
		return nil, err
	}
	keys := uint64(max(1, *flags.records/100))
	return flags.run(ctx, 108, func(sc *rdd.Context) (int64, error) {
		pairs := rdd.Map(rdd.Range(sc, 0, *flags.records, 1, rdd.Partitions(*flags.partitions)), func(i int64) rdd.Pair[uint64, string] {
			return rdd.KV(scrambled(i)%keys, wide(i))
		})
		groups := rdd.GroupByKey(pairs, rdd.Partitions(*flags.partitions))
		n, err := rdd.Sum(rdd.Map(groups, func(g rdd.Pair[uint64, []string]) int64 { return int64(len(g.Value)) }))
		if err == nil && n != *flags.records {
			err = fmt.Errorf("%d of %d values are in the groups", n, *flags.records)
		}
		return n, err
	})
}

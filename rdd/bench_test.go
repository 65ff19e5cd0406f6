package rdd_test

import (
	"iter"
	"strconv"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// BenchmarkRecord measures what an operator costs a record: a fused chain, and each
// kind of sequence by itself.
func BenchmarkRecord(b *testing.B) {
	const n = 100_000
	plus := func(i int) int { return i + 1 }
	keep := func(i int) bool { return i >= 0 }
	two := []int{1, 2}
	for _, c := range []struct {
		name  string
		chain func(l *rdd.Context) *rdd.RDD[int]
	}{
		{"parallelize", func(l *rdd.Context) *rdd.RDD[int] { return ints(l, n, 1) }},
		{"map", func(l *rdd.Context) *rdd.RDD[int] { return rdd.Map(ints(l, n, 1), plus) }},
		{"ten maps", func(l *rdd.Context) *rdd.RDD[int] {
			r := ints(l, n, 1)
			for range 10 {
				r = rdd.Map(r, plus)
			}
			return r
		}},
		{"filter", func(l *rdd.Context) *rdd.RDD[int] { return ints(l, n, 1).Filter(keep) }},
		{"flatMap", func(l *rdd.Context) *rdd.RDD[int] {
			return rdd.FlatMap(ints(l, n/2, 1), func(int) []int { return two })
		}},
		{"cache", func(l *rdd.Context) *rdd.RDD[int] { return ints(l, n, 1).Cache() }},
		{"tryMap", func(l *rdd.Context) *rdd.RDD[int] {
			return rdd.TryMap(ints(l, n, 1), func(i int) (int, error) { return i + 1, nil })
		}},
		{"sample", func(l *rdd.Context) *rdd.RDD[int] { return ints(l, n, 1).Sample(false, 0.5, 1) }},
		{"zip", func(l *rdd.Context) *rdd.RDD[int] {
			return rdd.Map(rdd.Zip(ints(l, n, 1), ints(l, n, 1)), func(v rdd.Tuple[int, int]) int { return v.First })
		}},
		{"cartesian", func(l *rdd.Context) *rdd.RDD[int] {
			return rdd.Map(rdd.Cartesian(ints(l, n/100, 1), ints(l, 100, 1)), func(v rdd.Tuple[int, int]) int { return v.First })
		}},
		{"distinct", func(l *rdd.Context) *rdd.RDD[int] { return rdd.Distinct(ints(l, n, 1)) }},
		{"pipe", func(l *rdd.Context) *rdd.RDD[int] {
			return rdd.Map(rdd.Pipe(rdd.Map(ints(l, n, 1), strconv.Itoa), []string{"cat"}), func(s string) int { return len(s) })
		}},
		{"chain", func(l *rdd.Context) *rdd.RDD[int] {
			r := rdd.Map(rdd.Map(ints(l, n/2, 1), plus).Filter(keep), plus)
			return rdd.Map(rdd.FlatMap(r, func(int) []int { return two }).Filter(keep), plus)
		}},
		{"keys", func(l *rdd.Context) *rdd.RDD[int] {
			keyed := rdd.Map(ints(l, n, 1), func(i int) rdd.Pair[int, int] { return rdd.Pair[int, int]{Key: i, Value: i} })
			return rdd.Map(rdd.ReduceByKey(keyed, sum, rdd.Partitions(1)), func(p rdd.Pair[int, int]) int { return p.Value })
		}},
		{"distinct words", func(l *rdd.Context) *rdd.RDD[int] {
			words := rdd.Map(ints(l, n, 1), strconv.Itoa)
			return rdd.Map(rdd.CountedByValue(words, rdd.Partitions(1)), func(p rdd.Pair[string, int64]) int { return int(p.Value) })
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := rddtest.NewBatch(1, 1)
			r := c.chain(l)
			e := rddtest.NewReference()
			if err := e.Prepare(r.Node()); err != nil {
				b.Fatal(err)
			}
			tc := e.Task(r.Node(), 0)
			count := rdd.PartitionAction(r, "forEachPartition", func(_ *task.Context, rows iter.Seq2[int, error]) ([]byte, error) {
				for _, err := range rows {
					if err != nil {
						return nil, err
					}
				}
				return nil, nil
			})
			for b.Loop() {
				if _, err := count.Run(tc, 0); err != nil {
					b.Fatal(err)
				}
			}
			perRecord := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / n
			b.ReportMetric(perRecord, "ns/record")
			b.ReportMetric(perRecord/float64(len(l.Lineage().Nodes())), "ns/record/operator")
		})
	}
}

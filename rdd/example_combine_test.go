package rdd_test

import (
	"cmp"
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExampleReduceByKey() {
	sc := rddtest.NewContext(1)
	sales := rdd.Parallelize(sc, []rdd.Pair[string, int]{{"tea", 3}, {"nuts", 5}, {"tea", 4}})
	shown(rdd.ReduceByKey(sales, func(a, b int) int { return a + b }))
	// Output: [{tea 7} {nuts 5}]
}

func ExampleCombineByKey() {
	sc := rddtest.NewContext(1)
	sales := rdd.Parallelize(sc, []rdd.Pair[string, int]{{"tea", 3}, {"nuts", 5}, {"tea", 4}})
	type sum struct{ N, Sum int }
	sums := rdd.CombineByKey(sales,
		func(v int) sum { return sum{1, v} },
		func(s sum, v int) sum { return sum{s.N + 1, s.Sum + v} },
		func(a, b sum) sum { return sum{a.N + b.N, a.Sum + b.Sum} })
	shown(rdd.MapValues(sums, func(s sum) float64 { return float64(s.Sum) / float64(s.N) }))
	// Output: [{tea 3.5} {nuts 5}]
}

func ExampleSortByFunc() {
	sc := rddtest.NewContext(2)
	people := rdd.Parallelize(sc, []rdd.Pair[string, int]{{"eve", 41}, {"ada", 36}, {"bob", 41}})
	shown(rdd.SortByFunc(people, func(a, b rdd.Pair[string, int]) int {
		return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.Key, b.Key))
	}))
	// Output: [{ada 36} {bob 41} {eve 41}]
}

// wordLengths puts words into partitions by their length. It implements rdd.KeyPartitioner.
type wordLengths struct{ longest int }

func (p wordLengths) Partitions() int          { return p.longest }
func (p wordLengths) Partition(key string) int { return min(len(key), p.longest) - 1 }

func (p wordLengths) Equal(o rdd.Partitioner) bool {
	q, ok := o.(wordLengths)
	return ok && p == q
}

func ExampleKeyPartitioner() {
	sc := rddtest.NewContext(1)
	words := rdd.Parallelize(sc, []rdd.Pair[string, int]{{"be", 1}, {"or", 2}, {"not", 3}, {"a", 4}})
	shown(rdd.Glom(rdd.PartitionBy(words, rdd.By(wordLengths{3}))))
	// Output: [[{a 4}] [{be 1} {or 2}] [{not 3}]]
}

func ExampleRepartitionAndSortWithinPartitions() {
	sc := rddtest.NewContext(1)
	words := rdd.Parallelize(sc, []rdd.Pair[string, int]{{"or", 1}, {"be", 2}, {"not", 3}, {"a", 4}})
	shown(rdd.Glom(rdd.RepartitionAndSortWithinPartitions(words, wordLengths{3})))
	// Output: [[{a 4}] [{be 2} {or 1}] [{not 3}]]
}

// Counted, Reduced and CountedByValue are RDDs where Count, Reduce and CountByValue are
// actions: a stream's Transform can't have the result, only go on with it.
func ExampleCounted() {
	sc := rddtest.NewContext(1)
	shown(rdd.Counted(rdd.Parallelize(sc, []string{"to", "be", "or"})))
	// Output: [3]
}

func ExampleReduced() {
	sc := rddtest.NewContext(1)
	shown(rdd.Reduced(rdd.Parallelize(sc, []int{3, 1, 4}), func(a, b int) int { return max(a, b) }))
	// Output: [4]
}

func ExampleCountedByValue() {
	sc := rddtest.NewContext(1)
	shown(rdd.CountedByValue(rdd.Parallelize(sc, []string{"to", "be", "or", "not", "to", "be"})))
	// Output: [{to 2} {be 2} {or 1} {not 1}]
}

func ExampleHashPartitioner() {
	sc := rddtest.NewContext(1)
	by := rdd.By(rdd.HashPartitioner{N: 4})
	sales := rdd.PartitionBy(rdd.Parallelize(sc, []rdd.Pair[string, int]{{"tea", 3}, {"nuts", 5}, {"tea", 4}}), by)
	sums := rdd.ReduceByKey(sales, func(a, b int) int { return a + b }, by) // moves nothing
	fmt.Println(sums.NumPartitions(), len(sc.Lineage().Shuffles()))
	// Output: 4 1
}

package rdd_test

import (
	"cmp"
	"fmt"
	"iter"
	"strings"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// sixNumbers returns 5 3 8 1 9 2 in three partitions.
func sixNumbers() *rdd.RDD[int] {
	return rdd.Parallelize(rddtest.NewContext(2), []int{5, 3, 8, 1, 9, 2}, rdd.Partitions(3))
}

// hamletsWords returns words in two partitions.
func hamletsWords() *rdd.RDD[string] {
	return rdd.Parallelize(rddtest.NewContext(2), strings.Fields("to be or not to be"), rdd.Partitions(2))
}

func byLength(a, b string) int { return cmp.Compare(len(a), len(b)) }

func ExampleCollect() {
	fmt.Println(rdd.Collect(rdd.Map(sixNumbers(), func(i int) int { return i * i })))
	// Output: [25 9 64 1 81 4] <nil>
}

func ExampleCount() {
	fmt.Println(rdd.Count(sixNumbers()))
	// Output: 6 <nil>
}

func ExampleFirst() {
	fmt.Println(rdd.First(sixNumbers()))
	_, err := rdd.First(sixNumbers().Filter(func(i int) bool { return i > 10 }))
	fmt.Println(strings.HasSuffix(err.Error(), "the RDD is empty"))
	// Output:
	// 5 <nil>
	// true
}

func ExampleIsEmpty() {
	fmt.Println(rdd.IsEmpty(sixNumbers()))
	// Output: false <nil>
}

func ExampleTake() {
	fmt.Println(rdd.Take(sixNumbers(), 4))
	// Output: [5 3 8 1] <nil>
}

func ExampleTakeOrdered() {
	fmt.Println(rdd.TakeOrdered(sixNumbers(), 3))
	// Output: [1 2 3] <nil>
}

func ExampleTakeOrderedFunc() {
	fmt.Println(rdd.TakeOrderedFunc(hamletsWords(), 5, byLength))
	// Output: [to be or to be] <nil>
}

func ExampleTop() {
	fmt.Println(rdd.Top(sixNumbers(), 3))
	// Output: [9 8 5] <nil>
}

func ExampleTopFunc() {
	fmt.Println(rdd.TopFunc(hamletsWords(), 2, byLength))
	// Output: [not to] <nil>
}

func ExampleTakeSample() {
	sample, err := rdd.TakeSample(sixNumbers(), 2, 42)
	fmt.Println(len(sample), sample[0] != sample[1], err)
	// Output: 2 true <nil>
}

func ExampleTakeSampleWithReplacement() {
	sample, err := rdd.TakeSampleWithReplacement(sixNumbers(), 100, 42)
	fmt.Println(len(sample), err)
	// Output: 100 <nil>
}

func ExampleReduce() {
	fmt.Println(rdd.Reduce(sixNumbers(), func(a, b int) int { return a + b }))
	// Output: 28 <nil>
}

func ExampleFold() {
	fmt.Println(rdd.Fold(sixNumbers(), 1, func(a, b int) int { return a * b }))
	// Output: 2160 <nil>
}

func ExampleAggregate() {
	letters := func(n int, word string) int { return n + len(word) }
	fmt.Println(rdd.Aggregate(hamletsWords(), 0, letters, func(a, b int) int { return a + b }))
	// Output: 13 <nil>
}

func ExampleTreeReduce() {
	numbers := rdd.Parallelize(rddtest.NewContext(2), make([]int, 1000), rdd.Partitions(100))
	ones := rdd.Map(numbers, func(int) int { return 1 })
	fmt.Println(rdd.TreeReduce(ones, func(a, b int) int { return a + b }, 2)) // the driver adds up 10
	// Output: 1000 <nil>
}

func ExampleTreeAggregate() {
	letters := func(n int, word string) int { return n + len(word) }
	fmt.Println(rdd.TreeAggregate(hamletsWords(), 0, letters, func(a, b int) int { return a + b }, 2))
	// Output: 13 <nil>
}

func ExampleCountByValue() {
	counts, err := rdd.CountByValue(hamletsWords(), rdd.Partitions(1))
	for _, c := range counts {
		fmt.Println(c.Key, c.Value)
	}
	fmt.Println(err)
	// Output:
	// to 2
	// be 2
	// or 1
	// not 1
	// <nil>
}

func ExampleForEach() {
	err := rdd.ForEach(sixNumbers(), func(i int) error { // on executors: another process has its own output
		if i > 8 {
			fmt.Println(i)
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 9
	// <nil>
}

func ExampleToLocalIterator() {
	for v, err := range rdd.ToLocalIterator(sixNumbers()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if fmt.Println(v); v == 8 {
			break // the last partition isn't computed
		}
	}
	// Output:
	// 5
	// 3
	// 8
}

func ExampleMax() {
	fmt.Println(rdd.Max(sixNumbers()))
	// Output: 9 <nil>
}

func ExampleMaxFunc() {
	fmt.Println(rdd.MaxFunc(hamletsWords(), byLength))
	// Output: not <nil>
}

func ExampleMin() {
	fmt.Println(rdd.Min(sixNumbers()))
	// Output: 1 <nil>
}

func ExampleMinFunc() {
	fmt.Println(rdd.MinFunc(hamletsWords(), byLength))
	// Output: to <nil>
}

func ExampleSum() {
	fmt.Println(rdd.Sum(sixNumbers()))
	// Output: 28 <nil>
}

func ExampleMean() {
	fmt.Println(rdd.Mean(rdd.Parallelize(rddtest.NewContext(2), []float64{1, 2, 4.5})))
	// Output: 2.5 <nil>
}

func ExampleStats() {
	s, err := rdd.Stats(sixNumbers())
	fmt.Printf("%d numbers from %g to %g, %.2f on average, deviation %.2f, %v\n", s.Count, s.Min, s.Max, s.Mean, s.Stdev(), err)
	// Output: 6 numbers from 1 to 9, 4.67 on average, deviation 2.98, <nil>
}

func ExampleHistogram() {
	h, err := rdd.Histogram(sixNumbers(), 4)
	fmt.Println(h.Bounds, h.Counts, err)
	// Output: [1 3 5 7 9] [2 1 1 2] <nil>
}

func ExampleHistogramWithin() {
	h, err := rdd.HistogramWithin(sixNumbers(), 0, 5, 8)
	fmt.Println(h.Bounds, h.Counts, err)
	// Output: [0 5 8] [3 2] <nil>
}

func ExampleForEachPartition() {
	err := rdd.ForEachPartition(sixNumbers(), func(p rdd.Part, rows iter.Seq2[int, error]) error { // on executors
		sum := 0
		for v, err := range rows {
			if err != nil {
				return err
			}
			sum += v
		}
		fmt.Printf("partition %d: %d\n", p.Index, sum)
		return nil
	})
	fmt.Println(err)
	// Output:
	// partition 0: 8
	// partition 1: 9
	// partition 2: 11
	// <nil>
}

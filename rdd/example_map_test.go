package rdd_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExampleParallelize() {
	sc := rddtest.NewContext(1)
	fmt.Println(rdd.Collect(rdd.Glom(rdd.Parallelize(sc, []int{1, 2, 3, 4, 5}, rdd.Partitions(2)))))
	// Output: [[1 2] [3 4 5]] <nil>
}

func ExampleMap() {
	sc := rddtest.NewContext(1)
	words := rdd.Parallelize(sc, []string{"spark", "fire"})
	shown(rdd.Map(words, strings.ToUpper))
	// Output: [SPARK FIRE]
}

func ExampleFlatMap() {
	sc := rddtest.NewContext(1)
	lines := rdd.Parallelize(sc, []string{"to be or", "not to be"})
	shown(rdd.FlatMap(lines, strings.Fields))
	// Output: [to be or not to be]
}

func ExampleFlatMapSeq() {
	sc := rddtest.NewContext(1)
	lines := rdd.Parallelize(sc, []string{"to be or", "not to be"})
	shown(rdd.FlatMapSeq(lines, strings.FieldsSeq))
	// Output: [to be or not to be]
}

func ExampleRDD_Filter() {
	sc := rddtest.NewContext(1)
	numbers := rdd.Parallelize(sc, []int{1, 2, 3, 4})
	shown(numbers.Filter(func(n int) bool { return n%2 == 0 }))
	// Output: [2 4]
}

func ExampleRDD_Union() {
	sc := rddtest.NewContext(1)
	a, b := rdd.Parallelize(sc, []int{1, 2}), rdd.Parallelize(sc, []int{2, 3})
	shown(a.Union(b))
	// Output: [1 2 2 3]
}

func ExampleMapPartitions() {
	sc := rddtest.NewContext(1)
	numbers := rdd.Parallelize(sc, []int{1, 2, 3, 4, 5}, rdd.Partitions(2))
	sums := rdd.MapPartitions(numbers, func(p rdd.Part, in iter.Seq[int]) iter.Seq[string] {
		return func(yield func(string) bool) {
			sum := 0
			for n := range in {
				sum += n
			}
			yield(fmt.Sprintf("partition %d: %d", p.Index, sum))
		}
	})
	shown(sums)
	// Output: [partition 0: 3 partition 1: 12]
}

func ExampleTryMapPartitions() {
	sc := rddtest.NewContext(1)
	numbers := rdd.Parallelize(sc, []int{3, 1, 2})
	ascending := rdd.TryMapPartitions(numbers, func(_ rdd.Part, in iter.Seq2[int, error]) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			last := 0
			for n, err := range in {
				if err == nil && n < last {
					err = fmt.Errorf("%d comes after %d", n, last)
				}
				if last = n; !yield(n, err) || err != nil {
					return
				}
			}
		}
	})
	_, err := rdd.Collect(ascending)
	var of *rdd.OpError
	fmt.Println(errors.As(err, &of), of.Op, of.Err)
	// Output: true tryMapPartitions 1 comes after 3
}

// What can't be otherwise in another attempt isn't tried again.
func ExamplePermanent() {
	prices := map[string]int{"tea": 3}
	sc := rddtest.NewContext(1)
	bought := rdd.Parallelize(sc, []string{"tea", "nuts"})
	_, err := rdd.Collect(rdd.TryMap(bought, func(what string) (int, error) {
		price, known := prices[what]
		if !known {
			return 0, rdd.Permanent(fmt.Errorf("%s have no price", what))
		}
		return price, nil
	}))
	var bad *rdd.BadRecordError
	fmt.Println(errors.As(err, &bad), bad)
	// Output: true bad record in partition 0 at index 1: nuts have no price
}

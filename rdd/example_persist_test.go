package rdd_test

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// squares returns an RDD of squares that says when it computes one.
func squares() *rdd.RDD[int] {
	return rdd.Map(rdd.Parallelize(rddtest.NewContext(1), []int{2, 3}), func(n int) int {
		fmt.Println("square of", n)
		return n * n
	})
}

func ExampleRDD_Cache() {
	r := squares().Cache()
	fmt.Println(rdd.Sum(r))
	fmt.Println(rdd.Max(r))
	// Output:
	// square of 2
	// square of 3
	// 13 <nil>
	// 9 <nil>
}

func ExampleRDD_Persist() {
	r := squares().Persist(rdd.MemoryAndDisk)
	fmt.Println(rdd.Sum(r))
	fmt.Println(rdd.Max(r))
	// Output:
	// square of 2
	// square of 3
	// 13 <nil>
	// 9 <nil>
}

func ExampleRDD_Unpersist() {
	r := squares().Cache()
	fmt.Println(rdd.Sum(r))
	fmt.Println(rdd.Max(r.Unpersist()))
	// Output:
	// square of 2
	// square of 3
	// 13 <nil>
	// square of 2
	// square of 3
	// 9 <nil>
}

func ExampleRDD_LocalCheckpoint() {
	sc := rddtest.NewContext(2)
	r := rdd.Range(sc, 0, 4, 1)
	for range 3 {
		var err error
		r, err = rdd.Map(r, func(n int) int { return n + 1 }).LocalCheckpoint()
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	shown(r) // of the last round alone
	// Output: [3 4 5 6]
}

func ExampleRDD_Indeterminate() {
	price := func(what string) int { return len(what) } // of a service, another one each time
	sc := rddtest.NewContext(1)
	prices := rdd.Map(rdd.Parallelize(sc, []string{"tea", "nuts"}), price).Indeterminate()
	shown(prices.Repartition(2))
	// Output: [3 4]
}

func ExampleValue() {
	sc := rddtest.NewContext(1)
	limit := rdd.Value(sc, func() int { return 2 }) // on the driver, once: it may look at a file
	shown(rdd.Parallelize(sc, []int{1, 2, 3}).Filter(func(n int) bool { return n <= limit }))
	// Output: [1 2]
}

func ExampleTryValue() {
	sc := rddtest.NewContext(1)
	_, err := rdd.TryValue(sc, func() (int, error) { return 0, errors.New("the file isn't there") })
	var of *rdd.OpError
	fmt.Println(errors.As(err, &of), of.Err)
	// Output: true the file isn't there
}

func ExampleContext_OnDriver() {
	sc := rddtest.NewContext(1)
	n, err := rdd.Count(rdd.Parallelize(sc, []int{1, 2, 3}))
	if err != nil {
		fmt.Println(err)
	}
	sc.OnDriver(func() error { // executors run the program too: what is to happen once goes here
		fmt.Println(n, "numbers")
		return nil
	})
	// Output: 3 numbers
}

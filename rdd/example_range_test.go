package rdd_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// shown prints an RDD's elements, or what is wrong.
func shown[T any](r *rdd.RDD[T]) {
	rows, err := rdd.Collect(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rows)
}

func ExampleRange() {
	sc := rddtest.NewContext(2)
	shown(rdd.Range(sc, 0, 10, 3))
	shown(rdd.Range(sc, 3, 0, -1))
	// Output:
	// [0 3 6 9]
	// [3 2 1]
}

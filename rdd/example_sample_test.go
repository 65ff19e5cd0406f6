package rdd_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExampleRDD_Sample() {
	sc := rddtest.NewContext(2)
	numbers := rdd.Range(sc, 0, 10_000, 1)
	few, err := rdd.Count(numbers.Sample(false, 0.1, 42))
	fmt.Println(few > 800 && few < 1200, err)
	many, err := rdd.Count(numbers.Sample(true, 3, 42))
	fmt.Println(many > 29_000 && many < 31_000, err)
	// Output:
	// true <nil>
	// true <nil>
}

func ExampleRDD_RandomSplit() {
	sc := rddtest.NewContext(2)
	sets := rdd.Range(sc, 0, 10_000, 1).RandomSplit([]float64{0.8, 0.2}, 42)
	train, err := rdd.Count(sets[0])
	fmt.Println(train > 7800 && train < 8200, err)
	test, err := rdd.Count(sets[1])
	fmt.Println(train+test, err)
	// Output:
	// true <nil>
	// 10000 <nil>
}

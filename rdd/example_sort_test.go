package rdd_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExampleSortBy() {
	sc := rddtest.NewContext(2)
	words := rdd.Parallelize(sc, []string{"spark", "fire", "flower", "ember"})
	fmt.Println(rdd.Collect(rdd.SortBy(words, func(w string) int { return len(w) }, rdd.Descending())))
	// Output: [flower spark ember fire] <nil>
}

func ExampleSortByKey() {
	sc := rddtest.NewContext(2)
	ages := rdd.Parallelize(sc, []rdd.Pair[string, int]{{"eve", 41}, {"ada", 36}, {"bob", 29}})
	fmt.Println(rdd.Collect(rdd.SortByKey(ages)))
	// Output: [{ada 36} {bob 29} {eve 41}] <nil>
}

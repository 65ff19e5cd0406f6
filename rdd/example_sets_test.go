package rdd_test

import (
	"strings"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExampleDistinct() {
	sc := rddtest.NewContext(1)
	shown(rdd.Distinct(rdd.Parallelize(sc, strings.Fields("b a b c a"))))
	// Output: [b a c]
}

func ExampleIntersection() {
	sc := rddtest.NewContext(1)
	shown(rdd.Intersection(rdd.Range(sc, 0, 6, 1), rdd.Range(sc, 0, 12, 2)))
	// Output: [0 2 4]
}

func ExampleSubtract() {
	sc := rddtest.NewContext(1)
	words := rdd.Parallelize(sc, strings.Fields("to be or not to be"))
	shown(rdd.Subtract(words, rdd.Parallelize(sc, []string{"to", "or"})))
	// Output: [be be not]
}

func ExampleKeyBy() {
	sc := rddtest.NewContext(2)
	words := rdd.Parallelize(sc, strings.Fields("fire flower"))
	shown(rdd.KeyBy(words, func(w string) int { return len(w) }))
	// Output: [{4 fire} {6 flower}]
}

func ExampleGroupBy() {
	sc := rddtest.NewContext(1)
	words := rdd.Parallelize(sc, strings.Fields("fire flower work spark play"))
	shown(rdd.GroupBy(words, func(w string) int { return len(w) }))
	// Output: [{4 [fire work play]} {6 [flower]} {5 [spark]}]
}

package rdd_test

import (
	"fmt"
	"iter"
	"strings"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExampleZip() {
	sc := rddtest.NewContext(2)
	names := rdd.Parallelize(sc, []string{"ichi", "ni", "san"})
	numbers := rdd.Range(sc, 1, 4, 1)
	shown(rdd.Zip(names, numbers))
	// Output: [{ichi 1} {ni 2} {san 3}]
}

func ExampleZipPartitions() {
	sc := rddtest.NewContext(2)
	a, b := rdd.Range(sc, 0, 4, 1), rdd.Range(sc, 0, 6, 1)
	sizes := rdd.ZipPartitions(a, b, func(p rdd.Part, left, right iter.Seq[int]) iter.Seq[string] {
		return func(yield func(string) bool) {
			l, r := 0, 0
			for range left {
				l++
			}
			for range right {
				r++
			}
			yield(fmt.Sprintf("%d: %d and %d", p.Index, l, r))
		}
	})
	shown(sizes)
	// Output: [0: 2 and 3 1: 2 and 3]
}

func ExampleZipWithIndex() {
	sc := rddtest.NewContext(2)
	words := rdd.Parallelize(sc, strings.Fields("fire flower spark"))
	shown(rdd.ZipWithIndex(words))
	// Output: [{0 fire} {1 flower} {2 spark}]
}

func ExampleZipWithUniqueID() {
	sc := rddtest.NewContext(2)
	words := rdd.Parallelize(sc, strings.Fields("fire flower spark")) // the second partition has two
	shown(rdd.ZipWithUniqueID(words))
	// Output: [{0 fire} {1 flower} {3 spark}]
}

func ExampleCartesian() {
	sc := rddtest.NewContext(1)
	shown(rdd.Cartesian(rdd.Range(sc, 1, 3, 1), rdd.Parallelize(sc, []string{"a", "b"})))
	// Output: [{1 a} {1 b} {2 a} {2 b}]
}

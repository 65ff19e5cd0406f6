package rdd_test

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func ExampleRDD_Coalesce() {
	sc := rddtest.NewContext(2)
	shown(rdd.Glom(rdd.Range(sc, 0, 10, 1, rdd.Partitions(10)).Coalesce(3)))
	// Output: [[0 1 2] [3 4 5] [6 7 8 9]]
}

func ExampleRDD_Repartition() {
	sc := rddtest.NewContext(2)
	same := rdd.Map(rdd.Range(sc, 0, 1000, 1), func(int) string { return "same" })
	sizes := rdd.Map(rdd.Glom(same.Repartition(5)), func(rows []string) int { return len(rows) })
	shown(sizes)
	// Output: [200 200 200 200 200]
}

func ExampleGlom() {
	sc := rddtest.NewContext(2)
	shown(rdd.Glom(rdd.Range(sc, 0, 5, 1)))
	// Output: [[0 1] [2 3 4]]
}

func ExampleBatch() {
	sc := rddtest.NewContext(1)
	predict := func(batch []int) string { return fmt.Sprint(len(batch), " rows") }
	shown(rdd.Map(rdd.Batch(rdd.Range(sc, 0, 8, 1), 3), predict))
	// Output: [3 rows 3 rows 2 rows]
}

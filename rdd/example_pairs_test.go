package rdd_test

import (
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// shop returns who bought what, and who lives where.
func shop() (bought, lives *rdd.RDD[rdd.Pair[string, string]]) {
	sc := rddtest.NewContext(1)
	return rdd.Parallelize(sc, []rdd.Pair[string, string]{{"ada", "tea"}, {"bob", "nuts"}, {"ada", "rice"}}),
		rdd.Parallelize(sc, []rdd.Pair[string, string]{{"ada", "Oslo"}, {"eve", "Rome"}})
}

func ExampleMapValues() {
	bought, _ := shop()
	fmt.Println(rdd.Collect(rdd.MapValues(bought, strings.ToUpper)))
	// Output: [{ada TEA} {bob NUTS} {ada RICE}] <nil>
}

func ExampleFlatMapValues() {
	bought, _ := shop()
	fmt.Println(rdd.Collect(rdd.FlatMapValues(bought, func(s string) []string { return strings.Split(s, "t") })))
	// Output: [{ada } {ada ea} {bob nu} {bob s} {ada rice}] <nil>
}

func ExampleKeys() {
	bought, _ := shop()
	fmt.Println(rdd.Collect(rdd.Keys(bought)))
	// Output: [ada bob ada] <nil>
}

func ExampleValues() {
	bought, _ := shop()
	fmt.Println(rdd.Collect(rdd.Values(bought)))
	// Output: [tea nuts rice] <nil>
}

func ExampleGroupByKey() {
	bought, _ := shop()
	fmt.Println(rdd.Collect(rdd.GroupByKey(bought)))
	// Output: [{ada [tea rice]} {bob [nuts]}] <nil>
}

func ExampleAggregateByKey() {
	bought, _ := shop()
	letters := rdd.AggregateByKey(bought, 0, func(n int, s string) int { return n + len(s) }, func(a, b int) int { return a + b })
	fmt.Println(rdd.Collect(letters))
	// Output: [{ada 7} {bob 4}] <nil>
}

func ExampleFoldByKey() {
	bought, _ := shop()
	fmt.Println(rdd.Collect(rdd.FoldByKey(bought, "", func(a, b string) string { return a + b })))
	// Output: [{ada tearice} {bob nuts}] <nil>
}

func ExamplePartitionBy() {
	bought, _ := shop()
	spread := rdd.PartitionBy(bought, rdd.Partitions(4))
	fmt.Println(spread.NumPartitions(), spread.Node().Partitioner)
	// Output: 4 hash of 4
}

func ExampleCogroup() {
	bought, lives := shop()
	fmt.Println(rdd.Collect(rdd.Cogroup(bought, lives)))
	// Output: [{ada {[tea rice] [Oslo]}} {bob {[nuts] []}} {eve {[] [Rome]}}] <nil>
}

func ExampleCogroup3() {
	bought, lives := shop()
	fmt.Println(rdd.Collect(rdd.Cogroup3(bought, lives, rdd.MapValues(lives, func(s string) int { return len(s) }))))
	// Output: [{ada {[tea rice] [Oslo] [4]}} {bob {[nuts] [] []}} {eve {[] [Rome] [4]}}] <nil>
}

func ExampleCogroup4() {
	bought, lives := shop()
	fmt.Println(rdd.Collect(rdd.Cogroup4(lives, lives, lives, bought)))
	// Output: [{ada {[Oslo] [Oslo] [Oslo] [tea rice]}} {eve {[Rome] [Rome] [Rome] []}} {bob {[] [] [] [nuts]}}] <nil>
}

func ExampleJoin() {
	bought, lives := shop()
	fmt.Println(rdd.Collect(rdd.Join(bought, lives)))
	// Output: [{ada {tea Oslo}} {ada {rice Oslo}}] <nil>
}

func ExampleLeftOuterJoin() {
	bought, lives := shop()
	joined := rdd.LeftOuterJoin(bought, lives)
	fmt.Println(rdd.Collect(joined))
	fmt.Println(rdd.Collect(rdd.MapValues(joined, func(j rdd.Joined[string, rdd.Option[string]]) string {
		return j.Left + " to " + j.Right.Or("nowhere")
	})))
	// Output:
	// [{ada {tea Some(Oslo)}} {ada {rice Some(Oslo)}} {bob {nuts None}}] <nil>
	// [{ada tea to Oslo} {ada rice to Oslo} {bob nuts to nowhere}] <nil>
}

func ExampleRightOuterJoin() {
	bought, lives := shop()
	fmt.Println(rdd.Collect(rdd.RightOuterJoin(bought, lives)))
	// Output: [{ada {Some(tea) Oslo}} {ada {Some(rice) Oslo}} {eve {None Rome}}] <nil>
}

func ExampleFullOuterJoin() {
	_, lives := shop()
	moved := rdd.MapValues(lives.Filter(func(p rdd.Pair[string, string]) bool { return p.Key == "eve" }), func(string) int { return 1999 })
	fmt.Println(rdd.Collect(rdd.FullOuterJoin(moved, lives)))
	// Output: [{eve {Some(1999) Some(Rome)}} {ada {None Some(Oslo)}}] <nil>
}

func ExampleSubtractByKey() {
	bought, lives := shop()
	fmt.Println(rdd.Collect(rdd.SubtractByKey(bought, lives)))
	// Output: [{bob nuts}] <nil>
}

func ExampleSampleByKey() {
	bought, _ := shop()
	fmt.Println(rdd.Collect(rdd.SampleByKey(bought, false, map[string]float64{"ada": 1, "bob": 0}, 1)))
	// Output: [{ada tea} {ada rice}] <nil>
}

func ExampleCountByKey() {
	bought, _ := shop()
	fmt.Println(rdd.CountByKey(bought))
	// Output: [{ada 2} {bob 1}] <nil>
}

func ExampleCollectAsMap() {
	_, lives := shop()
	fmt.Println(rdd.CollectAsMap(lives))
	// Output: map[ada:Oslo eve:Rome] <nil>
}

func ExampleLookup() {
	bought, _ := shop()
	fmt.Println(rdd.Lookup(rdd.PartitionBy(bought, rdd.Partitions(4)), "ada")) // computes one of four partitions
	// Output: [tea rice] <nil>
}

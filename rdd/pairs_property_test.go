package rdd_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// Joins of random RDDs, of which some are spread already, are what nested loops make of
// them, record by record. HIBANA_SEED runs one seed alone.
func TestJoinsAreNestedLoops(t *testing.T) {
	seed, rounds := rand.Uint64(), uint64(300)
	if s := os.Getenv("HIBANA_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
		rounds = 1
	}
	for i := range rounds {
		if err := joinsOf(seed + i); err != nil {
			t.Fatalf("HIBANA_SEED=%d: %v", seed+i, err)
		}
	}
}

func joinsOf(seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	sc := rddtest.NewContext(1 + rng.IntN(4))
	partitions := 1 + rng.IntN(5)
	keys := 1 + rng.IntN(12)
	random := func() ([]number, *rdd.RDD[number]) {
		rows := make([]number, rng.IntN(30))
		for i := range rows {
			rows[i] = number{Key: rng.IntN(keys), Value: rng.IntN(1000)}
		}
		r := rdd.Parallelize(sc, rows, rdd.Partitions(1+rng.IntN(6)))
		switch rng.IntN(3) {
		case 0:
			r = rdd.PartitionBy(r, by(partitions))
		case 1:
			r = rdd.PartitionBy(r, by(1))
		}
		return rows, r
	}
	rows, left := random()
	others, right := random()
	type maybe = rdd.Option[int]
	joins := []struct {
		name        string
		got         fmt.Stringer
		left, right bool // sides whose keys need not be on the other
	}{
		{"Join", parts(rdd.MapValues(rdd.Join(left, right, by(partitions)), func(j rdd.Joined[int, int]) rdd.Joined[maybe, maybe] {
			return rdd.Joined[maybe, maybe]{Left: rdd.Some(j.Left), Right: rdd.Some(j.Right)}
		})), false, false},
		{"LeftOuterJoin", parts(rdd.MapValues(rdd.LeftOuterJoin(left, right, by(partitions)), func(j rdd.Joined[int, maybe]) rdd.Joined[maybe, maybe] {
			return rdd.Joined[maybe, maybe]{Left: rdd.Some(j.Left), Right: j.Right}
		})), true, false},
		{"RightOuterJoin", parts(rdd.MapValues(rdd.RightOuterJoin(left, right, by(partitions)), func(j rdd.Joined[maybe, int]) rdd.Joined[maybe, maybe] {
			return rdd.Joined[maybe, maybe]{Left: j.Left, Right: rdd.Some(j.Right)}
		})), false, true},
		{"FullOuterJoin", parts(rdd.FullOuterJoin(left, right, by(partitions))), true, true},
	}
	for _, j := range joins {
		want := make([][]rdd.Pair[int, rdd.Joined[maybe, maybe]], partitions)
		for _, key := range firstComeFirst(rows, others) {
			p := key % partitions
			for _, l := range valuesOf(rows, key, j.right) {
				for _, r := range valuesOf(others, key, j.left) {
					want[p] = append(want[p], rdd.KV(key, rdd.Joined[maybe, maybe]{Left: l, Right: r}))
				}
			}
		}
		if w := fmt.Sprint(want); j.got.String() != w {
			return fmt.Errorf("%s in %d partitions of\n%v and\n%v:\n got %s\nwant %s", j.name, partitions, rows, others, j.got, w)
		}
	}
	rest := make([][]number, partitions)
	for _, key := range firstComeFirst(rows) {
		for _, v := range valuesOf(rows, key, false) {
			if len(valuesOf(others, key, false)) == 0 {
				rest[key%partitions] = append(rest[key%partitions], number{key, v.Value})
			}
		}
	}
	if got, w := parts(rdd.SubtractByKey(left, right, by(partitions))).String(), fmt.Sprint(rest); got != w {
		return fmt.Errorf("SubtractByKey in %d partitions of\n%v and\n%v:\n got %s\nwant %s", partitions, rows, others, got, w)
	}
	return nil
}

// firstComeFirst returns the keys in the order in which they come.
func firstComeFirst(lists ...[]number) []int {
	var keys []int
	for _, n := range slices.Concat(lists...) {
		if !slices.Contains(keys, n.Key) {
			keys = append(keys, n.Key)
		}
	}
	return keys
}

// valuesOf returns the values of a key, or a missing one if there is none and it is outer.
func valuesOf(rows []number, key int, outer bool) []rdd.Option[int] {
	var all []rdd.Option[int]
	for _, n := range rows {
		if n.Key == key {
			all = append(all, rdd.Some(n.Value))
		}
	}
	if len(all) == 0 && outer {
		all = append(all, rdd.None[int]())
	}
	return all
}

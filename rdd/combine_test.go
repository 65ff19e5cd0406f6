package rdd_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// A map task whose table grows large and saves little hands on what it has: each key is
// there once all the same, in the order in which keys came, with its values in theirs.
func TestTablesThatSaveLittle(t *testing.T) {
	const keys, values = 50_000, 3
	joined := func(key int) string { return fmt.Sprintf("%d,%d,%d", key, key+keys, key+2*keys) }
	var want []rdd.Pair[int, string]
	for k := range keys {
		want = append(want, rdd.KV(k, joined(k)))
	}
	for name, c := range map[string]struct {
		moved bool // before: then the table is the result
		joins bool
	}{
		"combined before a shuffle": {joins: true},
		"combined where they are":   {moved: true},
	} {
		t.Run(name, func(t *testing.T) {
			sc := rddtest.NewContext(2)
			records := rdd.Map(rdd.Range(sc, 0, keys*values, 1, rdd.Partitions(1)), func(i int) rdd.Pair[int, string] {
				return rdd.KV(i%keys, fmt.Sprint(i))
			})
			if c.moved {
				records = rdd.PartitionBy(records, rdd.Partitions(1))
			}
			var joins atomic.Int64
			got, err := rdd.Collect(rdd.CombineByKey(records, func(v string) string { return v },
				func(a, b string) string { return a + "," + b },
				func(a, b string) string { joins.Add(1); return a + "," + b }, rdd.Partitions(1)))
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d pairs, %.3v …; %v", len(got), got[:min(3, len(got))], err)
			}
			if n := joins.Load(); (n > 0) != c.joins {
				t.Errorf("%d combined values were joined", n)
			}
		})
	}
}

// A large table of keys with many values each stays one: it is worth its size.
func TestTablesThatSaveMuch(t *testing.T) {
	const keys, values = 40_000, 8
	joins := 0
	records := rdd.FlatMap(rdd.Range(rddtest.NewContext(2), 0, keys, 1, rdd.Partitions(1)), func(k int) []rdd.Pair[int, int] {
		return slices.Repeat([]rdd.Pair[int, int]{{Key: k, Value: 1}}, values)
	})
	n, err := rdd.Count(rdd.CombineByKey(records, func(v int) int { return v }, func(a, b int) int { return a + b },
		func(a, b int) int { joins++; return a + b }, rdd.Partitions(1)))
	if err != nil || n != keys || joins != 0 {
		t.Errorf("%d keys, %d joins; %v", n, joins, err)
	}
}

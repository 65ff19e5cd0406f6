package rdd_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// otherNaN is a NaN with other bits than math.NaN's.
var otherNaN = math.Float64frombits(math.Float64bits(math.NaN()) ^ 1<<51 | 1<<63 | 2)

// NaN is one key, also within a struct or an array, whatever its bits are.
func TestNaNIsOneKey(t *testing.T) {
	type point struct {
		X    float64
		Name string
	}
	nan32 := float32(math.NaN())
	for _, partitions := range []int{1, 2, 7} {
		l := rddtest.NewBatch(1, 2)
		count(t, rdd.Parallelize(l, []float64{math.NaN(), 1, otherNaN, 0, math.Copysign(0, -1), math.NaN()}, rdd.Partitions(3)), partitions,
			map[string]int64{"NaN": 3, "1": 1, "0": 2})
		count(t, rdd.Parallelize(l, []float32{nan32, 2, math.Float32frombits(math.Float32bits(nan32) | 1)}, rdd.Partitions(3)), partitions,
			map[string]int64{"NaN": 2, "2": 1})
		count(t, rdd.Parallelize(l, []point{{math.NaN(), "a"}, {otherNaN, "a"}, {math.NaN(), "b"}, {1, "a"}}, rdd.Partitions(2)), partitions,
			map[string]int64{"{NaN a}": 2, "{NaN b}": 1, "{1 a}": 1})
		count(t, rdd.Parallelize(l, [][2]float64{{1, math.NaN()}, {1, otherNaN}, {math.NaN(), 1}, {1, 1}}, rdd.Partitions(2)), partitions,
			map[string]int64{"[1 NaN]": 2, "[NaN 1]": 1, "[1 1]": 1})
		ones := rdd.Map(rdd.Parallelize(l, []float64{otherNaN, math.NaN(), math.NaN(), 3}, rdd.Partitions(4)), func(v float64) rdd.Pair[float64, int] { return rdd.Pair[float64, int]{Key: v, Value: 1} })
		sums := flat(t, rdd.ReduceByKey(ones, sum, rdd.Partitions(partitions)))
		if s := fmt.Sprint(sums); len(sums) != 2 || s != "[{NaN 3} {3 1}]" && s != "[{3 1} {NaN 3}]" {
			t.Errorf("%d partitions: %s", partitions, s)
		}
	}
}

// count counts values and compares them with what is expected by their text.
func count[T comparable](t *testing.T, r *rdd.RDD[T], partitions int, want map[string]int64) {
	t.Helper()
	got := flat(t, rdd.CountedByValue(r, rdd.Partitions(partitions)))
	if len(got) != len(want) {
		t.Errorf("%d partitions: %v, want %v", partitions, got, want)
	}
	for _, kv := range got {
		if key := fmt.Sprint(kv.Key); want[key] != kv.Value {
			t.Errorf("%d partitions: %s is %d, not %d", partitions, key, kv.Value, want[key])
		}
	}
}

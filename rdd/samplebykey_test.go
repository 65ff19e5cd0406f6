package rdd_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// keysOf returns a pair for each number from 1 to n, whose key is its remainder by three.
func keysOf(sc *rdd.Context, n, partitions int) *rdd.RDD[number] {
	return rdd.Map(ints(sc, n, partitions), func(i int) number { return number{i % 3, i} })
}

// Of each key about its fraction is drawn, the same at every attempt.
func TestSampleByKey(t *testing.T) {
	const n = 30_000
	for _, c := range []struct {
		replace bool
		of      map[int]float64
	}{
		{false, map[int]float64{0: 0, 1: 0.25, 2: 1}},
		{true, map[int]float64{0: 0, 1: 0.5, 2: 40}},
	} {
		counts := func(sc *rdd.Context, seed uint64) string {
			got, err := rdd.CountByKey(rdd.SampleByKey(keysOf(sc, n, 4), c.replace, c.of, seed), rdd.Partitions(1))
			if err != nil {
				t.Fatal(err)
			}
			for _, kv := range got {
				mean := c.of[kv.Key] * n / 3
				if math.Abs(float64(kv.Value)-mean) > 6*math.Sqrt(mean) || c.of[kv.Key] == 1 && float64(kv.Value) != mean {
					t.Errorf("%d pairs of key %d, about %v are to be expected", kv.Value, kv.Key, mean)
				}
			}
			if len(got) != 2 {
				t.Errorf("%v", got)
			}
			return fmt.Sprint(got)
		}
		first := counts(rddtest.NewContext(1), 1)
		if counts(rddtest.NewContext(1), 1) != first {
			t.Error("two attempts differ")
		}
		if counts(rddtest.NewContext(1), 2) == first || counts(rddtest.NewBatch(7, 1), 1) == first {
			t.Error("another seed or batch draws the same")
		}
	}
}

func TestSampleByKeyIsRefused(t *testing.T) {
	for says, fractions := range map[string]map[int]float64{
		"that of 1 is -0.5":  {0: 1, 1: -0.5, 2: 7},
		"that of 2 is NaN":   {0: 1, 2: math.NaN()},
		"that of 2 is 1.5":   {2: 1.5},
		"the key 1 has no fraction": {2: 0.5},
	} {
		_, err := rdd.Collect(rdd.SampleByKey(keysOf(rddtest.NewContext(1), 9, 2), false, fractions, 1))
		if !errors.Is(err, rdd.ErrArgument) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "sampleByKey at rdd/samplebykey_test.go:") {
			t.Errorf("%s: %v", says, err)
		}
	}
	sc := rddtest.NewContext(1)
	nan := inParts(sc, [][]rdd.Pair[float64, int]{{{otherNaN, 1}, {2, 2}}})
	if got, err := rdd.Collect(rdd.SampleByKey(nan, false, map[float64]float64{math.NaN(): 1, 2: 0}, 1)); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

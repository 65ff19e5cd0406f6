package rdd_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// within5 says whether n lies within 5 standard deviations of what is expected.
func within5(n int, mean, variance float64) bool {
	return math.Abs(float64(n)-mean) <= 5*math.Sqrt(variance)
}

func TestSampleWithoutReplacement(t *testing.T) {
	sc := rddtest.NewContext(1)
	const n = 10_000
	in := ints(sc, n, 4)
	for _, fraction := range []float64{0, 0.01, 0.3, 1} {
		got := flat(t, in.Sample(false, fraction, 7))
		if !within5(len(got), n*fraction, n*fraction*(1-fraction)) || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("fraction %v: %d elements", fraction, len(got))
		}
	}
}

func TestSampleWithReplacement(t *testing.T) {
	sc := rddtest.NewContext(1)
	const n = 2000
	in := ints(sc, n, 4)
	for _, fraction := range []float64{0, 0.1, 3, 40} {
		got := flat(t, in.Sample(true, fraction, 7))
		if !within5(len(got), n*fraction, n*fraction) || !slices.IsSorted(got) {
			t.Errorf("fraction %v: %d elements", fraction, len(got))
		}
		times := make([]int, n+1)
		for _, v := range got {
			times[v]++
		}
		squares := 0.0 // the variance of a Poisson distribution is its mean
		for _, k := range times[1:] {
			squares += (float64(k) - fraction) * (float64(k) - fraction)
		}
		if math.Abs(squares/n-fraction) > 0.25*fraction {
			t.Errorf("fraction %v: the variance is %v", fraction, squares/n)
		}
	}
}

// What is drawn depends on seed, partition and batch, and on nothing else.
func TestSampleIsDetermined(t *testing.T) {
	draw := func(batch, seed uint64, replace bool) string {
		sc := rddtest.NewBatch(batch, 1)
		same := make([]int, 400) // the partitions are alike
		for i := range same {
			same[i] = i % 100
		}
		r := rdd.Parallelize(sc, same, rdd.Partitions(4)).Sample(replace, 0.5, seed)
		got, err := rddtest.Glom(r)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got[0]) == fmt.Sprint(got[1]) {
			t.Error("two partitions are drawn alike")
		}
		again, err := rddtest.Glom(r)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Error("another attempt draws others", err)
		}
		return fmt.Sprint(got)
	}
	for _, replace := range []bool{false, true} {
		first := draw(1, 1, replace)
		if draw(1, 1, replace) != first {
			t.Error("two processes draw others")
		}
		if draw(1, 2, replace) == first || draw(2, 1, replace) == first {
			t.Error("another seed or batch draws the same")
		}
	}
}

func TestRandomSplit(t *testing.T) {
	sc := rddtest.NewContext(1)
	const n = 10_000
	in := ints(sc, n, 3)
	splits := in.RandomSplit([]float64{6, 0, 3, 1, 0}, 42)
	var all []int
	for i, share := range []float64{0.6, 0, 0.3, 0.1, 0} {
		got := flat(t, splits[i])
		if !within5(len(got), n*share, n*share*(1-share)) || !slices.IsSorted(got) {
			t.Errorf("split %d has %d elements", i, len(got))
		}
		all = append(all, got...)
	}
	slices.Sort(all)
	if !slices.Equal(all, flat(t, in)) {
		t.Error("the splits aren't what was split")
	}
	// Thirds don't add up to 1 exactly; none is lost.
	thirds := in.RandomSplit([]float64{0.1, 0.1, 0.1}, 42)
	if k := len(flat(t, thirds[0].Union(thirds[1:]...))); k != n {
		t.Errorf("%d elements of %d", k, n)
	}
	check(t, ints(sc, 0, 2).RandomSplit([]float64{1}, 0)[0], [][]int{{}, {}})
}

func TestSampleKeepsPartitioner(t *testing.T) {
	sc := rddtest.NewContext(2)
	keyed := rdd.CountedByValue(ints(sc, 9, 2))
	p := keyed.Node().Partitioner
	for _, r := range append(keyed.RandomSplit([]float64{1, 2}, 1), keyed.Sample(false, 0.5, 1), keyed.Sample(true, 2, 1)) {
		if got := r.Node().Partitioner; got == nil || !got.Equal(p) {
			t.Errorf("%s lost the partitioner", r.Node().Op)
		}
	}
}

func TestErrorsOfSample(t *testing.T) {
	for name, fraction := range map[string]float64{"negative": -0.1, "above 1": 1.5, "NaN": math.NaN(), "infinite": math.Inf(1)} {
		checkRefused(t, name, "sample", func(sc *rdd.Context) { ints(sc, 1, 1).Sample(false, fraction, 1) }, rdd.ErrArgument)
		if fraction != 1.5 {
			checkRefused(t, name, "sample", func(sc *rdd.Context) { ints(sc, 1, 1).Sample(true, fraction, 1) }, rdd.ErrArgument)
		}
	}
	for name, weights := range map[string][]float64{"none": nil, "zeros": {0, 0}, "negative": {2, -1}, "NaN": {math.NaN()}, "infinite": {math.Inf(1)}, "too large": {math.MaxFloat64, math.MaxFloat64}} {
		checkRefused(t, name, "randomSplit", func(sc *rdd.Context) { ints(sc, 1, 1).RandomSplit(weights, 1) }, rdd.ErrArgument)
	}
}

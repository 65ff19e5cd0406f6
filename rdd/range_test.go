package rdd_test

import (
	"errors"
	"math"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func TestRange(t *testing.T) {
	sc := rddtest.NewContext(2)
	check(t, rdd.Range(sc, 0, 10, 1, rdd.Partitions(3)), [][]int{{0, 1, 2}, {3, 4, 5}, {6, 7, 8, 9}})
	check(t, rdd.Range(sc, 10, 1, -3, rdd.Partitions(2)), [][]int{{10}, {7, 4}})
	check(t, rdd.Range(sc, 0, 10, 4), [][]int{{0}, {4, 8}})
	check(t, rdd.Range(sc, 5, 5, 1), [][]int{{}, {}})
	check(t, rdd.Range(sc, 5, 4, 1), [][]int{{}, {}})
	check(t, rdd.Range(sc, 4, 5, -1), [][]int{{}, {}})
	check(t, rdd.Range(sc, 0, 2, 1, rdd.Partitions(4)), [][]int{{}, {0}, {}, {1}})

	// At the ends of the types nothing overflows.
	check(t, rdd.Range[int8](sc, -128, 127, 100), [][]int8{{-128}, {-28, 72}})
	check(t, rdd.Range[uint8](sc, 250, 255, 3), [][]uint8{{250}, {253}})
	check(t, rdd.Range[uint8](sc, 250, 255, 200, rdd.Partitions(1)), [][]uint8{{250}})
	check(t, rdd.Range[int64](sc, math.MinInt64, math.MaxInt64, math.MaxInt64), [][]int64{{math.MinInt64}, {-1, math.MaxInt64 - 1}})
	check(t, rdd.Range[int64](sc, math.MaxInt64, math.MinInt64, math.MinInt64, rdd.Partitions(1)), [][]int64{{math.MaxInt64, -1}})
	check(t, rdd.Range[uint64](sc, 0, math.MaxUint64, 1<<63, rdd.Partitions(1)), [][]uint64{{0, 1 << 63}})
}

// The numbers of a range that couldn't be held are where they belong.
func TestLongRange(t *testing.T) {
	sc := rddtest.NewContext(1)
	r := rdd.Range[int64](sc, math.MinInt64, math.MaxInt64, 1, rdd.Partitions(1_000_000))
	for _, c := range []struct {
		partition int
		first     int64
	}{{0, math.MinInt64}, {500_000, -1}, {999_999, 9_223_353_590_110_702_097}} {
		for v, err := range r.Compute(rddtest.NewReference().Task(r.Node(), c.partition), c.partition) {
			if err != nil || v != c.first {
				t.Errorf("partition %d begins with %d, want %d; %v", c.partition, v, c.first, err)
			}
			break
		}
	}
}

func TestErrorsOfRange(t *testing.T) {
	for name, c := range map[string]struct {
		build func(sc *rdd.Context)
		want  error
	}{
		"no step":       {func(sc *rdd.Context) { rdd.Range(sc, 0, 1, 0) }, rdd.ErrArgument},
		"no partitions": {func(sc *rdd.Context) { rdd.Range(sc, 0, 1, 1, rdd.Partitions(0)) }, rdd.ErrPartitions},
	} {
		checkRefused(t, name, "range", c.build, c.want)
	}
}

// checkRefused checks that what is built is refused: once, by an error of the operator
// that has its place.
func checkRefused(t *testing.T, name, op string, build func(sc *rdd.Context), want error) {
	t.Helper()
	sc := rddtest.NewContext(1)
	build(sc)
	errs := sc.Lineage().Errs()
	if len(errs) != 1 {
		t.Errorf("%s: errors are %v", name, errs)
		return
	}
	of, ok := errors.AsType[*rdd.OpError](errs[0])
	if !ok || of.Op != op || of.Site.Line == 0 || !errors.Is(errs[0], want) {
		t.Errorf("%s: %v", name, errs[0])
	}
}

package main

import (
	"context"
	"flag"
	"fmt"
	"math"

	"github.com/hibana-engine/hibana/rdd"
)

// dimensions is how many numbers a point has.
const dimensions = 20

// pointAt returns a point that looks random, near one of k places.
func pointAt(i int64, k int) []float64 {
	place := int64(scrambled(i) % uint64(k))
	p := make([]float64, dimensions)
	for d := range p {
		p[d] = 4*unit(-1-place*dimensions-int64(d)) + unit(i*dimensions+int64(d))
	}
	return p
}

// pointSum is a number of points and what they add up to.
type pointSum struct {
	N  int64
	Of []float64
}

func (s pointSum) add(p []float64) pointSum { return s.join(pointSum{1, p}) }

// join adds another sum in place.
func (s pointSum) join(o pointSum) pointSum {
	if s.Of == nil {
		s.Of = make([]float64, dimensions)
	}
	for d, v := range o.Of {
		s.Of[d] += v
	}
	s.N += o.N
	return s
}

// mean returns the mean of the points, or the centre that they are of if there are none.
func (s pointSum) mean(centre []float64) []float64 {
	if s.N == 0 {
		return centre
	}
	mean := make([]float64, dimensions)
	for d := range mean {
		mean[d] = s.Of[d] / float64(s.N)
	}
	return mean
}

// nearest returns which centre is nearest to a point.
func nearest(p []float64, centres [][]float64) int {
	best, least := 0, math.Inf(1)
	for i, c := range centres {
		sum := 0.0
		for d, v := range p {
			sum += (v - c[d]) * (v - c[d])
		}
		if sum < least {
			best, least = i, sum
		}
	}
	return best
}

// runKMeans measures how fast the centres of points are found.
func runKMeans(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	flags := newIterations(f, "points of 20 numbers", 1_000_000, 20)
	k := f.Int("k", 10, "clusters")
	if err := parse(f, args, append(aboveOfIterations(), "k")...); err != nil {
		return nil, err
	}
	first := make([][]float64, *k)
	for i := range first {
		first[i] = pointAt(int64(i), *k)
	}
	return compareLoop(ctx, flags, "a loop over slices, one core", func(sc *rdd.Context) ([][]float64, error) {
		points := rdd.Map(rdd.Range(sc, 0, *flags.records, 1, rdd.Partitions(*flags.partitions)), func(i int64) []float64 { return pointAt(i, *k) }).Cache()
		return kMeans(sc, points, first, *flags.iterations)
	}, func() [][]float64 {
		return kMeansLoop(*flags.records, first, *flags.iterations)
	}, differentCentres)
}

// kMeans finds centres as examples/kmeans does.
func kMeans(sc *rdd.Context, points *rdd.RDD[[]float64], centres [][]float64, iterations int) ([][]float64, error) {
	for range iterations {
		near := rdd.KeyBy(points, func(p []float64) int { return nearest(p, centres) })
		sums, err := rdd.CollectAsMap(rdd.AggregateByKey(near, pointSum{}, pointSum.add, pointSum.join))
		if err != nil {
			return nil, err
		}
		centres = rdd.Value(sc, func() [][]float64 {
			means := make([][]float64, len(centres))
			for i, c := range centres {
				means[i] = sums[i].mean(c)
			}
			return means
		})
	}
	return centres, nil
}

// kMeansLoop is kMeans without the engine.
func kMeansLoop(n int64, centres [][]float64, iterations int) [][]float64 {
	points := make([][]float64, n)
	for i := range points {
		points[i] = pointAt(int64(i), len(centres))
	}
	for range iterations {
		sums, means := make([]pointSum, len(centres)), make([][]float64, len(centres))
		for _, p := range points {
			best := nearest(p, centres)
			sums[best] = sums[best].add(p)
		}
		for i, c := range centres {
			means[i] = sums[i].mean(c)
		}
		centres = means
	}
	return centres
}

// differentCentres says in which centre the results differ.
func differentCentres(got, want [][]float64) (int, error) {
	for i := range want {
		for d := range want[i] {
			if len(got) != len(want) || math.Abs(got[i][d]-want[i][d]) > 1e-6 {
				return 0, fmt.Errorf("the engine found the centres %v, the baseline %v", got, want)
			}
		}
	}
	return len(got), nil
}

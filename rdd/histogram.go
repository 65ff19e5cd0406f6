package rdd

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
)

// Buckets is a histogram. Bucket i holds the numbers from Bounds[i] up to, but without,
// Bounds[i+1]; the last one holds the last bound, too.
type Buckets struct {
	Bounds []float64 // one more than Counts
	Counts []int64
}

// MaxBuckets is how many buckets a histogram may have.
const MaxBuckets = 1_000_000

// Histogram counts the elements in n buckets of equal width from the smallest element to
// the largest, which a job of its own finds first; in one bucket if these are equal. Without
// elements it is an error that says [ErrEmpty], with one that is infinite or NaN
// [ErrBuckets].
func Histogram[N Number](r *RDD[N], n int) (Buckets, error) {
	o, err := begin(r, "histogram")
	if err != nil {
		return Buckets{}, err
	}
	if n < 1 || n > MaxBuckets {
		return Buckets{}, o.error(fmt.Errorf("%w: their number must be from 1 to %d, not %d", ErrBuckets, MaxBuckets, n))
	}
	s, err := stats(o, nil, r)
	switch {
	case err != nil:
		return Buckets{}, err
	case s.Count == 0:
		return Buckets{}, o.error(ErrEmpty)
	case !isFinite(s.Min) || !isFinite(s.Max):
		return Buckets{}, o.error(fmt.Errorf("%w: an element is infinite or NaN; give the bounds to HistogramWithin, or Filter it out", ErrBuckets))
	case s.Min == s.Max:
		n = 1
	}
	return histogram(o, r, evenBounds(s.Min, s.Max, n))
}

// HistogramWithin counts the elements in buckets of the given bounds, two or more in
// ascending order, of which the outer ones may be infinite. Elements outside of them, and
// NaN, aren't counted.
func HistogramWithin[N Number](r *RDD[N], bounds ...float64) (Buckets, error) {
	o, err := begin(r, "histogram")
	if err != nil {
		return Buckets{}, err
	}
	if err := checkBounds(bounds); err != nil {
		return Buckets{}, o.error(err)
	}
	return histogram(o, r, slices.Clone(bounds))
}

func checkBounds(bounds []float64) error {
	if n := len(bounds); n < 2 || n > MaxBuckets+1 {
		return fmt.Errorf("%w: they need from 2 to %d bounds, not %d", ErrBuckets, MaxBuckets+1, n)
	}
	for i, b := range bounds {
		if math.IsNaN(b) || i > 0 && b <= bounds[i-1] {
			return fmt.Errorf("%w: bound %d is %v, which isn't above the one before it", ErrBuckets, i, b)
		}
	}
	return nil
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// evenBounds returns the bounds of n buckets of equal width.
func evenBounds(low, high float64, n int) []float64 {
	bounds := make([]float64, n+1)
	for i := range bounds {
		if width := high - low; isFinite(width * float64(n)) {
			bounds[i] = low + width*float64(i)/float64(n)
		} else {
			bounds[i] = low*(1-float64(i)/float64(n)) + high*(float64(i)/float64(n))
		}
	}
	bounds[n] = high // whatever was rounded
	return bounds
}

// histogram counts the elements within bounds.
func histogram[N Number](o op, r *RDD[N], bounds []float64) (Buckets, error) {
	parts, err := partials(o, r, func(rows iter.Seq2[N, error]) ([]int64, bool, error) {
		counts, found := make([]int64, len(bounds)-1), false
		var failed error
		rows(func(v N, err error) bool {
			if err != nil {
				failed = err
				return false
			}
			if i, ok := bucket(bounds, float64(v)); ok {
				counts[i]++
				found = true
			}
			return true
		})
		return counts, found, failed
	})
	counts := make([]int64, len(bounds)-1)
	for _, part := range parts {
		for i, n := range part {
			counts[i] += n
		}
	}
	return Buckets{bounds, counts}, err
}

// bucket returns the bucket that a number belongs to, if there is one.
func bucket(bounds []float64, v float64) (i int, ok bool) {
	last := len(bounds) - 1
	if !(v >= bounds[0] && v <= bounds[last]) {
		return 0, false
	}
	above := sort.Search(len(bounds), func(i int) bool { return bounds[i] > v })
	return min(above, last) - 1, true
}

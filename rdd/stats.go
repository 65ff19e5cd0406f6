package rdd

import (
	"iter"
	"math"
)

// Number is an integer or a float.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Sum returns the sum of all elements, 0 without any, added up on executors and then, in
// the order of the partitions, on the driver. Integers wrap around as Go's do: map small
// types to larger ones first.
func Sum[N Number](r *RDD[N]) (N, error) {
	o, err := begin(r, "sum")
	if err != nil {
		return 0, err
	}
	parts, err := partials(o, r, folding(func() (N, error) { return 0, nil }, plus[N]))
	var total N
	for _, n := range parts {
		total += n
	}
	return total, err
}

func plus[N Number](a, b N) N { return a + b }

// Mean returns the mean of all elements. Without elements it is an error that says
// [ErrEmpty] (Spark: 0).
func Mean[N Number](r *RDD[N]) (float64, error) {
	o, err := begin(r, "mean")
	s, err := stats(o, err, r)
	if err == nil && s.Count == 0 {
		err = o.error(ErrEmpty)
	}
	return s.Mean, err
}

// Stats returns the number of elements, their mean, variance, minimum and maximum, computed
// in one pass on executors and merged on the driver. Without elements it is the zero value.
func Stats[N Number](r *RDD[N]) (StatCounter, error) {
	o, err := begin(r, "stats")
	return stats(o, err, r)
}

// stats computes Stats, unless the action couldn't begin.
func stats[N Number](o op, err error, r *RDD[N]) (s StatCounter, failed error) {
	if err != nil {
		return s, err
	}
	parts, err := partials(o, r, func(rows iter.Seq2[N, error]) (part StatCounter, ok bool, failed error) {
		rows(func(v N, err error) bool {
			if err != nil {
				failed = err
				return false
			}
			part.Add(float64(v))
			return true
		})
		return part, part.Count > 0, failed
	})
	for _, part := range parts {
		s.Merge(part)
	}
	return s, err
}

// StatCounter holds the statistics of the numbers that were added to it, in a constant
// space: what [Stats] returns, and what an [Aggregate] of a program's own may collect. The
// zero value is ready to use.
type StatCounter struct {
	Count    int64
	Mean     float64
	Min, Max float64 // NaN if a number was
	M2       float64 // sum of the squares of the differences from the mean
}

// Add adds a number.
func (s *StatCounter) Add(v float64) { // as Welford does
	if s.Count == 0 {
		s.Min, s.Max = v, v
	}
	s.Count++
	delta := v - s.Mean
	s.Mean += delta / float64(s.Count)
	s.M2 += delta * (v - s.Mean)
	s.Min, s.Max = min(s.Min, v), max(s.Max, v)
}

// Merge adds the numbers that were added to another.
func (s *StatCounter) Merge(o StatCounter) { // as Chan, Golub and LeVeque do
	switch {
	case o.Count == 0:
		return
	case s.Count == 0:
		*s = o
		return
	}
	n, m := float64(s.Count), float64(o.Count)
	delta := o.Mean - s.Mean
	s.Mean += delta * m / (n + m)
	s.M2 += o.M2 + delta*delta*n*m/(n+m)
	s.Count += o.Count
	s.Min, s.Max = min(s.Min, o.Min), max(s.Max, o.Max)
}

// Sum returns the sum of the numbers.
func (s StatCounter) Sum() float64 { return s.Mean * float64(s.Count) }

// Variance returns the variance of the numbers as a whole population, NaN without numbers.
func (s StatCounter) Variance() float64 { return s.variance(s.Count) }

// SampleVariance returns the variance of the population that the numbers are a sample of,
// NaN for fewer than two.
func (s StatCounter) SampleVariance() float64 { return s.variance(s.Count - 1) }

// Stdev returns the standard deviation of the numbers as a whole population, NaN without
// numbers.
func (s StatCounter) Stdev() float64 { return math.Sqrt(s.Variance()) }

// SampleStdev returns the standard deviation of the population that the numbers are a
// sample of, NaN for fewer than two.
func (s StatCounter) SampleStdev() float64 { return math.Sqrt(s.SampleVariance()) }

func (s StatCounter) variance(of int64) float64 {
	if of < 1 {
		return math.NaN()
	}
	return s.M2 / float64(of)
}

package rdd

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Sample keeps a random part of the elements, on executors. Without replacement each is
// kept with the probability fraction, which is from 0 to 1. With replacement each comes as
// often as a Poisson distribution of the mean fraction says, which is 0 or more: 2 is
// about twice as many elements. Neither promises an exact number.
//
// The same seed draws the same elements from a partition at every attempt, and others in
// each micro-batch. Order and partitioner are kept.
func (r *RDD[T]) Sample(withReplacement bool, fraction float64, seed uint64) *RDD[T] {
	o := r.sc.op("sample")
	o.checkFraction(fraction, withReplacement)
	if withReplacement {
		return repeated(o, r, fraction, seed)
	}
	return drawn(o, r, 0, fraction, seed)
}

// RandomSplit divides the elements at random into as many RDDs as there are weights, on
// executors, whose sizes are to each other about as the weights. Each element is in one
// of them. That holds if the elements of r and their order are the same every time they
// are computed: cache r if they aren't.
//
// Order and partitioner are kept. What is said of [RDD.Sample]'s seed holds here, too.
func (r *RDD[T]) RandomSplit(weights []float64, seed uint64) []*RDD[T] {
	o := r.sc.op("randomSplit")
	bounds := o.bounds(weights)
	splits := make([]*RDD[T], len(weights))
	for i := range splits {
		splits[i] = drawn(o, r, bounds[i], bounds[i+1], seed)
	}
	return splits
}

// checkFraction fails the operator if it can't draw such a part.
func (o op) checkFraction(fraction float64, withReplacement bool) {
	if !(fraction >= 0) || math.IsInf(fraction, 1) || !withReplacement && fraction > 1 {
		most := "1"
		if withReplacement {
			most = "a finite number"
		}
		o.fail(fmt.Errorf("%w: the fraction must be from 0 to %s, not %v", ErrArgument, most, fraction))
	}
}

// bounds divides [0, 1) into parts that are to each other as weights: it returns where each
// begins, and the end.
func (o op) bounds(weights []float64) []float64 {
	total := 0.0
	for i, w := range weights {
		if !(w >= 0) {
			o.fail(fmt.Errorf("%w: weight %d must be 0 or more, not %v", ErrArgument, i, w))
		}
		total += w
	}
	if total == 0 || math.IsInf(total, 1) {
		o.fail(fmt.Errorf("%w: the weights add up to %v", ErrArgument, total))
	}
	bounds := make([]float64, len(weights)+1)
	sum := 0.0
	for i, w := range weights {
		sum += w
		bounds[i+1] = sum / total // 1 from the last weight above 0 on: the same additions
	}
	return bounds
}

// drawn keeps the elements for which the partition's generator draws a number in
// [from, until) out of [0, 1).
func drawn[T any](o op, r *RDD[T], from, until float64, seed uint64) *RDD[T] {
	return chosen(o, r, seed, func(rng *rand.Rand, keep func() bool) bool {
		x := rng.Float64()
		return x < from || x >= until || keep()
	})
}

// repeated yields each element as often as a Poisson distribution says.
func repeated[T any](o op, r *RDD[T], mean float64, seed uint64) *RDD[T] {
	return chosen(o, r, seed, newPoisson(mean).each)
}

// chosen yields each element as often as draw calls keep for it, with the partition's
// generator. draw returns false once keep did.
//
//go:noinline
func chosen[T any](o op, r *RDD[T], seed uint64, draw func(rng *rand.Rand, keep func() bool) bool) *RDD[T] {
	out := narrow(o, r, func(tc *task.Context, p int) iter.Seq2[T, error] {
		in := r.Compute(tc, p)
		return func(yield func(T, error) bool) {
			rng := randomOf(seed, r.node.ID.Batch, p)
			var v T
			keep := func() bool {
				if tc.Killed() {
					return !ends(yield, context.Cause(tc))
				}
				return yield(v, nil)
			}
			in(func(next T, err error) bool {
				v = next
				return !ends(yield, err) && draw(rng, keep)
			})
		}
	})
	return keepingPartitioner(out, r)
}

// poisson is a Poisson distribution: the sum of parts equal ones, whose mean is small
// enough for Knuth's method.
type poisson struct {
	parts float64
	least float64 // e to the power of minus a part's mean
}

func newPoisson(mean float64) poisson {
	const most = 16 // e to the power of -16 is far from 0
	parts := math.Ceil(mean / most)
	return poisson{parts, math.Exp(-mean / max(parts, 1))}
}

// each draws a number and calls f as often. It reports whether f always returned true.
func (d poisson) each(rng *rand.Rand, f func() bool) bool {
	for part := 0.0; part < d.parts; part++ {
		for product := rng.Float64(); product > d.least; product *= rng.Float64() {
			if !f() {
				return false
			}
		}
	}
	return true
}

package rdd

import (
	"context"
	"fmt"
	"iter"
	"math/bits"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Integer is any integer type.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// Range makes an RDD of from, from+step, … up to but without until, or down to it if step
// is negative: none if until lies the other way. The numbers are made in tasks, in
// order, cut at i·len/n. Of options only [Partitions] means something; without it there
// are as many partitions as the default parallelism.
func Range[T Integer](sc *Context, from, until, step T, opts ...ShuffleOption) *RDD[T] {
	o := sc.op("range")
	if step == 0 {
		o.fail(fmt.Errorf("%w: the step is 0", ErrArgument))
	}
	n := o.count(opts)
	length := rangeLength(from, until, step)
	return made(o, n, nil, func(tc *task.Context, p int) iter.Seq2[T, error] {
		i, last := cut(length, p, n), cut(length, p+1, n)
		return func(yield func(T, error) bool) {
			for v, i := from+T(i)*step, i; i < last; v, i = v+step, i+1 {
				if tc.Killed() {
					ends(yield, context.Cause(tc))
					return
				}
				if !yield(v, nil) {
					return
				}
			}
		}
	})
}

// rangeLength returns how many numbers a range has, 0 for a step of 0. Differences of
// integers of any size and sign are exact in uint64, which wraps around.
func rangeLength[T Integer](from, until, step T) uint64 {
	switch {
	case step > 0 && from < until:
		return (uint64(until)-uint64(from)-1)/uint64(step) + 1
	case step < 0 && from > until:
		return (uint64(from)-uint64(until)-1)/-uint64(step) + 1
	}
	return 0
}

// cut returns length·i/n, for i up to n, without overflow.
func cut(length uint64, i, n int) uint64 {
	hi, lo := bits.Mul64(length, uint64(i))
	q, _ := bits.Div64(hi, lo, uint64(n))
	return q
}

package rdd

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// TakeSample returns n elements that are chosen at random, each at most once, in random
// order; all of them if there are no more. The same seed chooses the same of an RDD.
//
// It counts the partitions in a job of its own and then reads those that hold what was
// chosen, as far as it needs: Cache an RDD that is costly to compute. Only the n elements
// are sent.
func TakeSample[T any](r *RDD[T], n int, seed uint64) ([]T, error) {
	o, err := begin(r, "takeSample")
	return takeSample(o, err, r, n, seed, false)
}

// TakeSampleWithReplacement is [TakeSample] that may choose an element more than once, so
// that it returns n unless there is none.
func TakeSampleWithReplacement[T any](r *RDD[T], n int, seed uint64) ([]T, error) {
	o, err := begin(r, "takeSample")
	return takeSample(o, err, r, n, seed, true)
}

// takeSample draws a sample, unless the action couldn't begin.
func takeSample[T any](o op, err error, r *RDD[T], n int, seed uint64, replace bool) ([]T, error) {
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, o.error(fmt.Errorf("%w, not %d", ErrLimit, n))
	}
	if n == 0 {
		return nil, nil
	}
	counts, err := countPartitions(o, r)
	if err != nil {
		return nil, err
	}
	var total int64
	for _, c := range counts {
		total += c
	}
	size := int64(n)
	if !replace || total == 0 {
		size = min(size, total)
	}
	if limit := r.sc.maxResultBytes(); size > int64(limit) { // an element has a byte at least
		return nil, o.error(fmt.Errorf("%w: %d elements have more than %d bytes", ErrResultTooLarge, size, limit))
	}
	random := rand.New(rand.NewPCG(seed, 0))
	if replace {
		return pick(o, r, counts, drawAny(size, total, random))
	}
	return pick(o, r, counts, drawDistinct(size, total, random))
}

// drawAny returns n of the numbers below total, which may repeat.
func drawAny(n, total int64, random *rand.Rand) []int64 {
	drawn := make([]int64, n)
	for i := range drawn {
		drawn[i] = random.Int64N(total)
	}
	return drawn
}

// drawDistinct returns n of the numbers below total in random order: the beginning of a
// shuffle that keeps only what it has moved.
func drawDistinct(n, total int64, random *rand.Rand) []int64 {
	drawn := make([]int64, n)
	moved := make(map[int64]int64, n)
	at := func(i int64) int64 {
		if v, ok := moved[i]; ok {
			return v
		}
		return i
	}
	for i := range n {
		j := i + random.Int64N(total-i)
		drawn[i], moved[j] = at(j), at(i)
	}
	return drawn
}

// pick returns the elements with the given numbers, which count over all partitions, in
// the order of the numbers.
func pick[T any](o op, r *RDD[T], counts, numbers []int64) ([]T, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, o.error(err)
	}
	ascending := slices.Clone(numbers)
	slices.Sort(ascending)
	partitions, wanted := placesOf(ascending, counts)
	limit := r.sc.maxResultBytes()
	a := o.action(r.node, func(tc *task.Context, p int) ([]byte, error) {
		var out []byte
		places := wanted[p]
		var at int64
		failed := o.error(ErrChanged) // unless there is an element for each place
		r.Compute(tc, p)(func(v T, err error) bool {
			for ; err == nil && len(places) > 0 && places[0] == at; places = places[1:] {
				out, err = codec.Append(out, v)
				if err != nil {
					err = o.error(err)
				} else if len(out) > limit {
					err = tooLarge(r.node, p, limit)
				}
			}
			at++
			if err != nil || len(places) == 0 {
				failed = err
				return false
			}
			return true
		})
		return out, failed
	})
	a.Partitions = partitions
	results, err := r.sc.run(a)
	if err != nil {
		return nil, err
	}
	rows, err := DecodeRows(codec, results)
	if err != nil {
		return nil, err
	}
	return inOrder(rows, ascending, numbers), nil
}

// placesOf returns the partitions that hold elements with the given ascending numbers, and
// which elements of each these are.
func placesOf(ascending, counts []int64) (partitions []int, wanted map[int][]int64) {
	wanted = make(map[int][]int64)
	p, first := 0, int64(0) // the partition and the number of its first element
	for _, n := range ascending {
		for ; n >= first+counts[p]; p++ {
			first += counts[p]
		}
		if wanted[p] == nil {
			partitions = append(partitions, p)
		}
		wanted[p] = append(wanted[p], n-first)
	}
	return partitions, wanted
}

// inOrder returns the elements, which have the given ascending numbers, in the order of
// numbers.
func inOrder[T any](rows []T, ascending, numbers []int64) []T {
	out := make([]T, len(numbers))
	for i, n := range numbers {
		at, _ := slices.BinarySearch(ascending, n)
		out[i] = rows[at]
	}
	return out
}

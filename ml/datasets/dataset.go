package datasets

import (
	"fmt"
	"math/rand/v2"
)

// Dataset is a finite collection of examples. At must be safe for use by
// several goroutines and give the same example for the same index.
type Dataset[T any] interface {
	// Len is the number of examples.
	Len() int
	// At gives example i, 0 <= i < Len(). The caller must not change what it
	// refers to.
	At(i int) (T, error)
}

// Varying is a Dataset that shows other examples in each pass, as [Augment]
// makes one. An iterator says which pass it is in.
type Varying[T any] interface {
	Dataset[T]
	// AtPass gives example i as pass, counted from 0, shows it; At is pass 0.
	AtPass(i, pass int) (T, error)
}

// AtPass gives example i of d in a pass.
func AtPass[T any](d Dataset[T], i, pass int) (T, error) {
	if v, ok := d.(Varying[T]); ok {
		return v.AtPass(i, pass)
	}
	return d.At(i)
}

// Slice is a Dataset of the elements of a slice.
type Slice[T any] []T

// Len is the number of elements.
func (s Slice[T]) Len() int { return len(s) }

// At gives element i.
func (s Slice[T]) At(i int) (T, error) {
	if i < 0 || i >= len(s) {
		var zero T
		return zero, outOfRange(i, len(s))
	}
	return s[i], nil
}

func outOfRange(i, n int) error { return fmt.Errorf("example %d of %d does not exist", i, n) }

// Func is a Dataset of n examples that f computes.
func Func[T any](n int, f func(i int) (T, error)) Dataset[T] {
	return computed[T]{n, func(i, _ int) (T, error) { return f(i) }}
}

// computed is Varying, so that what is made of an augmented set varies with it.
type computed[T any] struct {
	n  int
	at func(i, pass int) (T, error)
}

func (c computed[T]) Len() int { return c.n }

func (c computed[T]) At(i int) (T, error) { return c.AtPass(i, 0) }

func (c computed[T]) AtPass(i, pass int) (T, error) {
	if i < 0 || i >= c.n {
		var zero T
		return zero, outOfRange(i, c.n)
	}
	return c.at(i, pass)
}

// Map transforms each example with f when it is asked for.
func Map[T, U any](d Dataset[T], f func(T) (U, error)) Dataset[U] {
	return computed[U]{d.Len(), func(i, pass int) (U, error) {
		v, err := AtPass(d, i, pass)
		if err != nil {
			var zero U
			return zero, err
		}
		u, err := f(v)
		if err != nil {
			return u, fmt.Errorf("transforming example %d: %w", i, err)
		}
		return u, nil
	}}
}

// Subset is the examples of d at the given indices, in that order.
func Subset[T any](d Dataset[T], indices []int) Dataset[T] {
	return computed[T]{len(indices), func(i, pass int) (T, error) { return AtPass(d, indices[i], pass) }}
}

// Concat is all examples of several data sets, one after another.
func Concat[T any](sets ...Dataset[T]) Dataset[T] {
	n := 0
	for _, d := range sets {
		n += d.Len()
	}
	return computed[T]{n, func(i, pass int) (T, error) {
		for _, d := range sets {
			if i < d.Len() {
				return AtPass(d, i, pass)
			}
			i -= d.Len()
		}
		var zero T
		return zero, outOfRange(i, 0)
	}}
}

// Split cuts d in two: the first n examples and the rest. n is cut to 0..Len.
func Split[T any](d Dataset[T], n int) (first, rest Dataset[T]) {
	n = min(max(n, 0), d.Len())
	return window(d, 0, n), window(d, n, d.Len())
}

// SplitRandom is Split after a shuffle that depends on seed alone.
func SplitRandom[T any](d Dataset[T], n int, seed uint64) (first, rest Dataset[T]) {
	return Split(Subset(d, permutation(d.Len(), seed)), n)
}

// SplitN cuts d into n parts of equal size after a shuffle that depends on
// seed alone. Examples that don't fill the last part are left out, as in
// Chainer.
func SplitN[T any](d Dataset[T], n int, seed uint64) []Dataset[T] {
	if n < 1 {
		return nil
	}
	shuffled := Subset(d, permutation(d.Len(), seed))
	size := d.Len() / n
	parts := make([]Dataset[T], n)
	for i := range parts {
		parts[i] = window(shuffled, i*size, (i+1)*size)
	}
	return parts
}

// CrossValidation gives the k pairs of k-fold cross-validation after a shuffle
// that depends on seed alone: fold i is the test set of pair i and all others
// its training set.
func CrossValidation[T any](d Dataset[T], k int, seed uint64) []Fold[T] {
	if k < 1 {
		return nil
	}
	order := permutation(d.Len(), seed)
	folds := make([]Fold[T], k)
	for i := range folds {
		from, until := i*len(order)/k, (i+1)*len(order)/k
		folds[i].Test = Subset(d, order[from:until])
		folds[i].Train = Concat(Subset(d, order[:from]), Subset(d, order[until:]))
	}
	return folds
}

// Fold is one round of cross-validation.
type Fold[T any] struct{ Train, Test Dataset[T] }

func window[T any](d Dataset[T], from, until int) Dataset[T] {
	return computed[T]{until - from, func(i, pass int) (T, error) { return AtPass(d, from+i, pass) }}
}

func permutation(n int, seed uint64) []int { return rand.New(rand.NewPCG(seed, 0)).Perm(n) }

// Collect reads a whole data set into memory.
func Collect[T any](d Dataset[T]) (Slice[T], error) {
	out := make(Slice[T], d.Len())
	for i := range out {
		var err error
		if out[i], err = d.At(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

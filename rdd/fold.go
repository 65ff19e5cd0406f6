package rdd

import "iter"

// Reduce combines all elements with f: those of each partition on executors, then the
// partitions' results, in their order, on the driver. f must be associative and must not
// change its arguments, which may be elements that are kept. Without elements it is an
// error that says [ErrEmpty].
func Reduce[T any](r *RDD[T], f func(T, T) T) (T, error) {
	o, err := begin(r, "reduce", f)
	return reduce(o, err, r, f)
}

// reduce computes Reduce for an action that has begun, unless that failed.
func reduce[T any](o op, err error, r *RDD[T], f func(T, T) T) (T, error) {
	var none T
	if err != nil {
		return none, err
	}
	parts, err := partials(o, r, reducing(f))
	if err != nil {
		return none, err
	}
	return joined(o, parts, f)
}

// reducing returns the fold of a partition that combines its elements.
func reducing[T any](f func(T, T) T) func(iter.Seq2[T, error]) (T, bool, error) {
	return func(rows iter.Seq2[T, error]) (T, bool, error) { return reduceRows(rows, f) }
}

// joined combines what partitions came to, on the driver.
func joined[T any](o op, parts []T, f func(T, T) T) (T, error) {
	if len(parts) == 0 {
		var none T
		return none, o.error(ErrEmpty)
	}
	return joinedTo(o, parts[0], parts[1:], f)
}

// joinedTo adds what partitions came to, on the driver.
func joinedTo[T any](o op, acc T, parts []T, f func(T, T) T) (T, error) {
	err := o.onDriver(func() error {
		for _, v := range parts {
			acc = f(acc, v)
		}
		return nil
	})
	return acc, err
}

// Fold is [Aggregate] for results of the elements' type. Unlike Reduce it has one, the
// zero, for an RDD without elements.
func Fold[T any](r *RDD[T], zero T, f func(T, T) T) (T, error) {
	o, err := begin(r, "fold", f)
	return aggregate(o, err, zero, func(zero func() (T, error)) ([]T, error) { return partials(o, r, folding(zero, f)) }, f)
}

// Aggregate adds the elements of each partition to zero with add, on executors, and joins
// the results, in the order of the partitions, to zero with join, on the driver. Both may
// change and return their first argument: each partition and the driver are given a copy
// of zero of their own. join must be associative. A zero that isn't
// neutral counts once for each partition and once on the driver.
func Aggregate[T, U any](r *RDD[T], zero U, add func(U, T) U, join func(U, U) U) (U, error) {
	o, err := begin(r, "aggregate", add, join)
	return aggregate(o, err, zero, func(zero func() (U, error)) ([]U, error) { return partials(o, r, folding(zero, add)) }, join)
}

// aggregate joins what compute makes of copies of zero to another one, unless the action
// couldn't begin.
func aggregate[U any](o op, err error, zero U, compute func(zero func() (U, error)) ([]U, error), join func(U, U) U) (U, error) {
	var none U
	if err != nil {
		return none, err
	}
	copies, err := copiesOf(zero)
	if err != nil {
		return none, o.error(err)
	}
	parts, err := compute(copies)
	if err != nil {
		return none, err
	}
	acc, err := copies()
	if err != nil {
		return none, o.error(err)
	}
	return joinedTo(o, acc, parts, join)
}

// folding returns the fold of a partition that adds its elements to a copy of zero.
func folding[T, U any](zero func() (U, error), add func(U, T) U) func(iter.Seq2[T, error]) (U, bool, error) {
	return func(rows iter.Seq2[T, error]) (acc U, ok bool, failed error) {
		if acc, failed = zero(); failed != nil {
			return acc, false, failed
		}
		rows(func(v T, err error) bool {
			if err != nil {
				failed = err
				return false
			}
			acc = add(acc, v)
			return true
		})
		return acc, failed == nil, failed
	}
}

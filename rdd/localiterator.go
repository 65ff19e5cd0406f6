package rdd

import "iter"

// ToLocalIterator yields all elements, in partition order, on the driver, which holds one
// partition at a time: each is computed, in a job of its own, when the one before it has
// been read. A partition may have at most the job's driver.maxResultSize bytes. An error is
// the sequence's last element.
func ToLocalIterator[T any](r *RDD[T]) iter.Seq2[T, error] {
	o, err := begin(r, "toLocalIterator")
	return func(yield func(T, error) bool) {
		if ends(yield, err) {
			return
		}
		for p := range r.node.Partitions {
			rows, err := collectRows(o, r, -1, []int{p})
			if ends(yield, err) {
				return
			}
			for _, v := range rows {
				if !yield(v, nil) {
					return
				}
			}
		}
	}
}

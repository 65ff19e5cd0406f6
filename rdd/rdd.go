package rdd

import "iter"

// RDD is a lazily computed collection of T in partitions. It is made by a
// source or by a transformation and never changes.
type RDD[T any] struct {
	node    *Node
	compute func(tc *TaskContext, partition int) iter.Seq2[T, error]
}

// Node returns the element-free view.
func (r *RDD[T]) Node() *Node { return r.node }

// Lineage returns the lineage that the RDD belongs to.
func (r *RDD[T]) Lineage() *Lineage { return r.node.lineage }

// Compute runs the fused operators of one partition, in a task. After an error
// the sequence ends.
func (r *RDD[T]) Compute(tc *TaskContext, partition int) iter.Seq2[T, error] {
	tc = tc.at(partition)
	if !r.node.Cached || tc.Cache == nil {
		return r.compute(tc, partition)
	}
	return computed(tc, func() ([]T, error) {
		return cached(tc, r.node.ID, partition, func() ([]T, error) { return collect(r.compute(tc, partition)) })
	})
}

// Source makes an RDD that reads from outside: read yields the records of one
// partition, the same at every attempt unless it is declared indeterminate. It asks
// [TaskContext.Killed] before each, as [Elements] does.
func Source[T any](l *Lineage, op string, site Site, partitions int, read func(tc *TaskContext, partition int) iter.Seq2[T, error]) *RDD[T] {
	n := l.add(&Node{Op: op, Site: site, Partitions: partitions})
	return &RDD[T]{n, read}
}

// Parallelize makes an RDD of the given elements, cut at i·len/n. Every process
// of the job must pass the same elements: they aren't sent.
func Parallelize[T any](l *Lineage, elements []T, partitions int) *RDD[T] {
	site := l.site()
	if partitions < 1 {
		l.Fail(&OpError{"parallelize", site, ErrPartitions})
		partitions = 1
	}
	return Source(l, "parallelize", site, partitions, func(tc *TaskContext, p int) iter.Seq2[T, error] {
		return Elements(tc, elements[p*len(elements)/partitions:(p+1)*len(elements)/partitions])
	})
}

// narrow makes the node of an operator that needs one partition of its parent
// for each of its own.
func narrow[T, U any](r *RDD[T], op string, fn any, compute func(*TaskContext, int) iter.Seq2[U, error]) *RDD[U] {
	site := r.node.lineage.site()
	name := FuncName(fn)
	if name == "" {
		r.node.lineage.Fail(&OpError{op, site, ErrNilFunction})
	}
	n := r.node.lineage.add(&Node{
		Op: op, Site: site, Partitions: r.node.Partitions,
		Deps:          []Dependency{NarrowDependency{r.node}},
		Indeterminate: r.node.Indeterminate,
		fns:           []string{name},
	})
	return &RDD[U]{n, compute}
}

// collect reads a sequence to its end.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var rows []T
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		rows = append(rows, v)
	}
	return rows, nil
}

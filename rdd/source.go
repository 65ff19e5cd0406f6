package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Source makes an RDD that reads from outside: read yields the records of one
// partition, the same at every attempt unless it is declared indeterminate. It asks
// [task.Context.Killed] before each, as [Elements] does.
func Source[T any](sc *Context, op string, site lineage.Site, partitions int, read func(tc *task.Context, partition int) iter.Seq2[T, error]) *RDD[T] {
	return made(opAt(sc, op, site), partitions, nil, read)
}

// Parallelize makes an RDD of the given elements, cut at i·len/n. Every process
// of the job must pass the same elements: they aren't sent. Of options only [Partitions]
// means something; without it there are as many partitions as the default parallelism.
func Parallelize[T any](sc *Context, elements []T, opts ...ShuffleOption) *RDD[T] {
	o := sc.op("parallelize")
	n := o.count(opts)
	return made(o, n, nil, func(tc *task.Context, p int) iter.Seq2[T, error] {
		return Elements(tc, elements[p*len(elements)/n:(p+1)*len(elements)/n])
	})
}

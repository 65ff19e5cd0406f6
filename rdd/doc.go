// Package rdd holds resilient distributed datasets: lazily computed, partitioned
// collections that remember how they are derived, so that any partition can be
// computed again anywhere (Zaharia et al., "Resilient Distributed Datasets",
// NSDI 2012).
//
// RDDs are made in a [Context], by sources such as [Parallelize] and by
// transformations. What keeps the element type and puts no constraint on it is a method
// ([RDD.Filter]), all else is a function ([Map]). Actions such as [Collect] compute:
// they are for programs and return a value and an error. Operators that move records
// between partitions take [ShuffleOption]s.
//
// Functions on executors read the program's variables, or a [Broadcast]; they bring
// something back beside an action's result by an [Accumulator].
//
// An [RDD] is typed at the edge, so a program reads and type-checks like
// ordinary Go; inside it is a node of package lineage, which knows its dependencies and
// nothing of its elements. The scheduler sees nodes only. No function ever travels: a
// task is named by numbers, and the process that runs it has built the same nodes.
//
// What narrow operators ([Map], [RDD.Filter], [FlatMap], …) do to a partition is
// fused into one loop over an iter.Seq2. A shuffle ends such a loop:
// its records are encoded into blocks, one or more for each partition of the reading
// side, and read back in the order of the partitions that wrote them. So every
// attempt of a task yields the same records in the same order.
//
// An operator is written here once; package engine lifts it to streams. DESIGN.md of
// engine says how to add one.
//
// The package knows nothing of clusters, of Kafka or of time.
package rdd

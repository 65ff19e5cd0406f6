// Package rdd holds resilient distributed datasets: lazily computed, partitioned
// collections that remember how they are derived, so that any partition can be
// computed again anywhere (Zaharia et al., "Resilient Distributed Datasets",
// NSDI 2012).
//
// An [RDD] is typed at the edge, so a program reads and type-checks like
// ordinary Go; inside it is a [Node], which knows its dependencies and nothing
// of its elements. The scheduler sees nodes only. Nodes are made within a
// [Lineage], the numbered list of the RDDs of one micro-batch. A program that
// is run twice with the same inputs makes the same lineage, which is why no
// function ever travels: a task is named by numbers, and the process that runs
// it has built the same nodes.
//
// What narrow operators ([Map], [Filter], [FlatMap], …) do to a partition is
// fused into one loop over an iter.Seq2. A [ShuffleDependency] ends such a loop:
// its records are encoded into blocks, one for each partition of the reading
// side, and read back in the order of the partitions that wrote them. So every
// attempt of a task yields the same records in the same order.
//
// An operator is written here once; package engine lifts it to streams. DESIGN.md of
// engine says how to add one.
//
// The package knows nothing of clusters, of Kafka or of time.
package rdd

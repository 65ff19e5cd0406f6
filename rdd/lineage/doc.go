// Package lineage is the element-free side of RDDs: what the scheduler and the guards see
// of a program. A [Lineage] is the numbered list of the RDDs of a micro-batch or of a
// batch program; a [Node] is one of them, its [Dependency] list says what it is computed
// from, and an [Action] is what is done with the last.
//
// Package rdd makes nodes and knows their elements. A program that is run twice with the
// same inputs makes the same lineage, which is why no function ever travels: a task is
// named by numbers, and the process that runs it has built the same nodes.
package lineage

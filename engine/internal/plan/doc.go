// Package plan is a stream's program as the runtime sees it: the erased graph
// that the build function declared, the settings, and what a batch is made of.
//
// A StreamingContext fills a [Program]; the driver and the executors take it.
// From an [Allocation] and the program alone [Graph.Generate] makes a batch's
// RDDs, the same in every process. The package does no I/O.
package plan

// Package task is what a task of the engine sees of the process that runs it: its
// [Context], the shuffle blocks and kept partitions that it may read, memory that
// outlives it, and what it counts.
//
// Custom sources and sinks use it. Package rdd computes partitions with it, package
// scheduler and the executors of package engine fill it in.
package task

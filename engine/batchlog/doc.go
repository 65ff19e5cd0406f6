// Package batchlog is the machine that every batch log is: what a job's driver
// wrote down before it did it, what may follow, and what completions leave of it.
// [State] is pure; header, values and allocations are opaque bytes to it. A log
// in memory is here; the one in a directory is in batchlog/dirlog, and the state
// that engine-drivers agree on keeps a [State] for each job.
//
// The package imports nothing of the engine, so that messages and the control
// plane can use its types.
package batchlog

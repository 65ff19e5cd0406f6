// Package executor is the core of an executor process, and of local mode's
// executor: its own copy of the program, the batches it was told of, and the work
// of its tasks.
package executor

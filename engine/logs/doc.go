// Package logs keeps what job processes print: a [Log] is a job's output in
// files that are moved aside when they are full, so that it takes a bounded
// place on disk, and a [Server] gives logs out, their ends or as they grow.
package logs

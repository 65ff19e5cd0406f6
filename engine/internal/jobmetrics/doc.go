// Package jobmetrics declares the metrics of a job's processes and keeps them: [Driver]
// those of the process that plans batches or runs a batch program, [Executor] those of
// the processes that run tasks. A program that runs alone has both.
package jobmetrics

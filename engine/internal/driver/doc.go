// Package driver runs a job on its active driver.
//
// Files in the order to read them: participant.go (who takes part in batches
// beside inputs and outputs), ticker.go (waits for the next batch's time), rate.go
// (backpressure), driver.go (the goroutines and what they share), generator.go
// (plans batches, Spark's JobGenerator), runner.go (runs them, JobScheduler).
package driver

// Package driver runs a job on its active driver.
//
// Files in the order to read them: participant.go (who takes part in batches
// beside inputs and outputs), ticker.go (waits for the next batch's time), cost.go
// and rate.go (backpressure), held.go (says what holds an input up), input.go
// (planners and their panics), driver.go (what the goroutines share), ticks.go
// (times that passed), generator.go (plans batches, Spark's JobGenerator), runner.go
// (runs them, JobScheduler), run.go (the goroutines).
package driver

// Package driver runs a job on its active driver.
//
// Files in the order to read them: participant.go (who takes part in batches
// beside inputs and outputs), ticker.go (waits for the next batch's time), cost.go
// and rate.go (backpressure), held.go (says what holds an input up), input.go
// (planners and their panics), driver.go (what the goroutines share), ticks.go
// (times that passed), slides.go (times at which windows end), generator.go (plans
// batches, Spark's JobGenerator), apart.go (how far apart those are of --asap that others
// reach back to), cadence.go (those of --asap and --until-end), turn.go (batches that run
// beside each other take turns), runner.go (runs them, JobScheduler), last.go (saves the
// states of the last one), receive.go (has executors receive), summary.go (what a job
// did), run.go (the goroutines).
package driver

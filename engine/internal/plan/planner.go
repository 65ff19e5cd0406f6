package plan

import (
	"context"
	"time"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Planner plans an input's batches on the driver. One goroutine uses it.
type Planner interface {
	// Plan returns what the next batch reads.
	Plan(ctx context.Context, req PlanRequest) (Share, error)
	// Beside tells the planner of the process that tasks run in, if that is this one.
	Beside(p *task.Process) error
	// Notify makes the planner call ready, until it is closed, when there is
	// something to read beyond the last plan. One that can't tell never does.
	Notify(ready func()) error
	// UntilEnd makes what is there now all that is planned. An input that can't
	// tell where that ends says [ErrEndless].
	UntilEnd(ctx context.Context) error
	// Receiving takes what the input's receiver tells, which an executor runs; nil if
	// it has none there.
	Receiving() Receiving
	// Completed is told when a batch is complete, in order.
	Completed(ctx context.Context, ranges []byte) error
	// Close releases what the planner holds.
	Close() error
}

// Receiving takes what the receiver of an input tells the input's planner. Any goroutine may
// call it.
type Receiving interface {
	// Told takes a message.
	Told(message []byte)
	// Lost is called when no executor runs the input's receiver, with the reason.
	Lost(why string)
}

// Reception is of which inputs executors run the receivers. Told, Lost and Failed may be called
// by any goroutine, also several at a time, until Receive of the cluster has returned.
type Reception struct {
	Inputs []int32
	// Patience is how long receivers may take to end.
	Patience time.Duration
	Told     func(input int32, message []byte)
	Lost     func(input int32, why string)
	Failed   func(input int32, err error) // why a receiver can't go on, nowhere
}

// PlanRequest says what a plan follows and how much it may hold.
type PlanRequest struct {
	Seq      uint64
	Time     time.Time
	Interval time.Duration
	Previous []byte        // ranges of the batch before, nil for a job's first
	Kept     []byte        // those of the first batch that this one and later ones may reach back to
	Elapsed  time.Duration // the time for which the batch reads
	Budget   float64       // records that the batch may hold, 0 for any number
	Waiting  func(why string)
}

// Share is one input's share of a batch.
type Share struct {
	Ranges    []byte        // in the input's own encoding
	Records   int64         // how many records they hold at most
	Backlog   int64         // how many more were waiting
	Blocked   int64         // of Backlog, how many no budget would have let in
	Pace      time.Duration // for how long there is nothing to plan, since a limit lets none of Backlog in; then it notifies
	Lost      int64         // how many were deleted before that, and are left out
	Held      string        // why it doesn't hold what is there, empty if nothing is in the way
	HeldSince time.Time     // since when, zero for since this plan
	Ended     bool          // after UntilEnd: nothing is left to plan
	Lags      []Lag         // of the input's partitions
}

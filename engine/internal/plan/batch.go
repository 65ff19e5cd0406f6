package plan

import (
	"time"

	"github.com/hibana-engine/hibana/rdd/task"
)

// BatchInfo says what a batch did.
type BatchInfo struct {
	Seq     uint64
	Time    time.Time
	Records int64  // that its inputs were given
	Backlog int64  // that were waiting behind them
	Held    string // what keeps inputs from reading on, empty if nothing
	Pending int    // batches that are planned and not begun
	Metrics task.Metrics
	Inputs  []InputInfo // in the order of their declaration

	SchedulingDelay time.Duration // from the batch's time until its first job began
	ProcessingTime  time.Duration // of all its outputs, without waiting for the batch before
	TotalDelay      time.Duration // from the batch's time until it was complete

	Replayed bool // the batch was planned by a driver before this one
}

// InputInfo says what one input was given in a batch.
type InputInfo struct {
	Op      string // operator and place
	Records int64
	Backlog int64  // that were waiting behind them
	Held    string // what keeps it from reading on, empty if nothing
	Lags    []Lag  // of its partitions, if it has any
}

// Lag says how many records of a partition were waiting behind a batch.
type Lag struct {
	Topic     string
	Partition int32
	Records   int64
}

// OutputInfo says what one output operation of a batch did.
type OutputInfo struct {
	Seq      uint64
	Output   int           // index in the order of declaration
	Op       string        // operator and place
	Duration time.Duration // without waiting for the batch before
	Tasks    int           // attempts that counted
	Failed   int           // attempts that didn't
	Err      error
}

// Listener is told what the driver does, in order, one event at a time. It must
// not block.
type Listener func(Event)

// Event is one of the types below.
type Event interface{ isEvent() }

type (
	// StreamingStarted: the first batch is about to be planned.
	StreamingStarted struct{ At time.Time }
	// BatchSubmitted: a batch is planned and logged.
	BatchSubmitted struct{ BatchInfo }
	// BatchStarted: a batch's first job begins.
	BatchStarted struct{ BatchInfo }
	// OutputStarted: one output of a batch begins. Its Duration and Err aren't known yet.
	OutputStarted struct{ OutputInfo }
	// OutputCompleted: one output of a batch is done or has failed.
	OutputCompleted struct{ OutputInfo }
	// BatchCompleted: all outputs of a batch are done.
	BatchCompleted struct{ BatchInfo }
	// StreamingStopped: the last batch is over; Err is why the stream failed, nil
	// if it didn't.
	StreamingStopped struct{ Err error }
)

func (StreamingStarted) isEvent() {}
func (BatchSubmitted) isEvent()   {}
func (BatchStarted) isEvent()     {}
func (OutputStarted) isEvent()    {}
func (OutputCompleted) isEvent()  {}
func (BatchCompleted) isEvent()   {}
func (StreamingStopped) isEvent() {}

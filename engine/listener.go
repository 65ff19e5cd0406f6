package engine

import (
	"fmt"
	"reflect"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/task"
)

// BatchInfo says what a batch did, for listeners.
type BatchInfo struct {
	Seq     uint64
	Time    time.Time
	Records int64  // that its inputs were given
	Backlog int64  // that were waiting behind them
	Held    string // what keeps inputs from reading on, e.g. an open transaction; empty if nothing
	Pending int    // batches that are planned and not begun
	Metrics task.Metrics
	Inputs  []InputInfo // in the order of their declaration; of a replayed batch without Backlog

	SchedulingDelay time.Duration // from the batch's time until its first job began
	ProcessingTime  time.Duration // of all its outputs, without waiting for the batch before
	TotalDelay      time.Duration // from the batch's time until it was complete

	Replayed bool // the batch was planned by a driver before this one
}

// InputInfo says what one input was given in a batch.
type InputInfo = plan.InputInfo

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

// A listener is told what the driver does, in order, one event at a time: it
// must not block. A panic of one fails the stream. It implements one or more of
// these interfaces. Of several batches the events mix: as soon as possible (--asap) the next
// batch may be submitted, and so is run, before it is told that the one before is completed,
// since one entry of the log says both. A stop that OnBatchCompleted asks for may come after
// that.
type (
	// OnStreamingStarted is told before the first batch is planned.
	OnStreamingStarted interface{ OnStreamingStarted(at time.Time) }
	// OnBatchSubmitted is told when a batch is planned and logged.
	OnBatchSubmitted interface{ OnBatchSubmitted(BatchInfo) }
	// OnBatchStarted is told when a batch's first job begins.
	OnBatchStarted interface{ OnBatchStarted(BatchInfo) }
	// OnBatchCompleted is told when all outputs of a batch are done.
	OnBatchCompleted interface{ OnBatchCompleted(BatchInfo) }
	// OnOutputOperationStarted is told when one output of a batch begins.
	OnOutputOperationStarted interface{ OnOutputOperationStarted(OutputInfo) }
	// OnOutputOperationCompleted is told when one output of a batch is done or
	// has failed.
	OnOutputOperationCompleted interface{ OnOutputOperationCompleted(OutputInfo) }
	// OnStreamingStopped is told after the last batch; err is why the stream
	// failed, nil if it didn't.
	OnStreamingStopped interface{ OnStreamingStopped(err error) }
)

// hears reports whether a value listens to anything.
func hears(l any) bool {
	switch l.(type) {
	case OnStreamingStarted, OnBatchSubmitted, OnBatchStarted, OnBatchCompleted, OnOutputOperationStarted, OnOutputOperationCompleted, OnStreamingStopped:
		return true
	}
	return false
}

// listenerBus calls the listeners of a program.
type listenerBus struct {
	program   *plan.Program
	listeners []any
}

// listen hands a driver's event to whoever listens to it.
func (bus *listenerBus) listen(e plan.Event) {
	switch e := e.(type) {
	case plan.StreamingStarted:
		tell(bus, func(l OnStreamingStarted) { l.OnStreamingStarted(e.At) })
	case plan.BatchSubmitted:
		tell(bus, func(l OnBatchSubmitted) { l.OnBatchSubmitted(BatchInfo(e.BatchInfo)) })
	case plan.BatchStarted:
		tell(bus, func(l OnBatchStarted) { l.OnBatchStarted(BatchInfo(e.BatchInfo)) })
	case plan.BatchCompleted:
		tell(bus, func(l OnBatchCompleted) { l.OnBatchCompleted(BatchInfo(e.BatchInfo)) })
	case plan.OutputStarted:
		tell(bus, func(l OnOutputOperationStarted) { l.OnOutputOperationStarted(OutputInfo(e.OutputInfo)) })
	case plan.OutputCompleted:
		tell(bus, func(l OnOutputOperationCompleted) { l.OnOutputOperationCompleted(OutputInfo(e.OutputInfo)) })
	case plan.StreamingStopped:
		tell(bus, func(l OnStreamingStopped) { l.OnStreamingStopped(e.Err) })
	}
}

// tell calls f for every listener that implements L. If one panics the stream
// fails: what it was to do is as much part of the program as an output.
func tell[L any](bus *listenerBus, f func(L)) {
	for _, l := range bus.listeners {
		listener, ok := l.(L)
		if !ok {
			continue
		}
		what := fmt.Sprintf("listener %T, %s", l, reflect.TypeFor[L]().Name())
		err := bus.program.Calls.Guard(what, func() error {
			f(listener)
			return nil
		})
		if err != nil {
			bus.program.Driver().Fail(fmt.Errorf("%s: %w", what, err))
		}
	}
}

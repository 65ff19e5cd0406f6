package rdd

import (
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// What a [Runner] may do beside computing actions is said by the interfaces below, which it
// implements too.

// AccumulatingRunner is a Runner that brings to the program what tasks added to
// accumulators. With another one accumulators can't be made.
type AccumulatingRunner interface {
	Runner
	// RunAccumulating is Run that also returns what [task.Context.Updates] returned in
	// those tasks that count: one attempt of each task that was needed, in an order that
	// doesn't depend on when they ended. It returns none with an error.
	RunAccumulating(a lineage.Action) (results [][]byte, updates []task.Update, err error)
}

// BroadcastingRunner is a Runner that brings the driver's broadcast values to the copies
// of the program in other processes. With another one that computes values on the driver
// alone they are brought as such values are; else each copy has its own.
type BroadcastingRunner interface {
	Runner
	// Broadcast is told of each broadcast value when the program makes it. encode encodes
	// what this copy of the program made. The driver's runner keeps these bytes and
	// returns them; those of executors return the driver's, and needn't call encode. It
	// may wait for them, with a deadline of its own, or return before: bytes is called when a
	// task, or the program, needs the value, perhaps by several goroutines. An error of
	// Broadcast is one of the program, an error of bytes one of the task.
	Broadcast(b Declared, encode func() ([]byte, error)) (bytes func() ([]byte, error), err error)
}

// Declared is what a program shares with its tasks, as all processes know it.
type Declared struct {
	Number int // counts from 0 within the context, for each kind
	Site   lineage.Site
}

package driver

import (
	"context"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// Participant takes part in every batch beside the inputs and the outputs: it has
// a say in when a batch is planned, writes into its allocation what the batch
// needs of it, and learns when the batch is complete. Models are one.
type Participant interface {
	// Open takes over from the driver before. It returns when batches can be
	// planned; before is what it left: incomplete batches, and those that batches reach
	// back to.
	Open(ctx context.Context, epoch uint64, before *plan.LogState) error
	// Ready waits until the next batch may be planned. The generator calls it.
	Ready(ctx context.Context) error
	// Plan writes into a batch's allocation, before that is logged. The generator
	// calls it.
	Plan(a *plan.Allocation)
	// Heard takes what executors told with the tasks of an output, each in its own
	// encoding. The runner calls it.
	Heard(notes [][]byte)
	// Completed is told that a batch is complete, and that none reaches back any more
	// to those before keep. The runner calls it.
	Completed(seq, keep uint64)
	// Run does what is to be done beside the batches, in a goroutine of its own,
	// until ctx ends.
	Run(ctx context.Context)
	// Close is called when the stream is over, also if Open failed or was never
	// called.
	Close()
}

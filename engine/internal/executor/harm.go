package executor

import (
	"context"
	"os"

	"github.com/hibana-engine/hibana/engine/internal/faults"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// harm does what a test has come over an attempt, before its work or after it. It returns how
// the attempt ends by that, nil if it goes on.
func (e *Executor) harm(ctx context.Context, id scheduler.TaskID, done bool) scheduler.Outcome {
	if e.disturb == nil || ctx.Err() != nil {
		return nil
	}
	switch e.disturb(id, done) {
	case faults.EndLost:
		return scheduler.ExceptionFailure{Message: "a test has lost the attempt's end", NoFault: true}
	case faults.OutputsLost:
		if store := e.Store(id.Epoch); store != nil {
			store.Clear()
		}
	case faults.ExecutorLost:
		e.crash()
		return scheduler.TaskKilled{Message: "a test has lost the executor"}
	}
	return nil
}

// crash makes the executor disappear.
func (e *Executor) crash() {
	if e.Crash != nil {
		e.Crash()
		return
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {} // until it is dead
}

// DropBlocks drops all that tasks have left, as if the process were another one. Tasks may run.
func (e *Executor) DropBlocks() { e.blocks.Drop(func(block.ID) bool { return true }) }

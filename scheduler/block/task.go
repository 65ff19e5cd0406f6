package block

import (
	"context"
	"fmt"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Task is what one task holds of a store's memory and disk. It implements task.Memory,
// and task.Building where it computes a block; one goroutine uses it.
type Task struct {
	ctx    context.Context
	disk   *Disk
	share  *Share
	runs   []*run
	giveUp func() // nil unless it computes a block
	closed bool
}

// NewTask returns the memory of a task, which ends with ctx. Close drops all it has.
func (s *Store) NewTask(ctx context.Context) *Task {
	return &Task{ctx: ctx, disk: s.disk, share: s.budget.NewShare()}
}

// Grow implements task.Memory.
func (t *Task) Grow(n int64) bool { return !t.closed && t.share.Grow(t.ctx, n) }

// Shrink implements task.Memory.
func (t *Task) Shrink(n int64) { t.share.Shrink(n) }

// NewRun implements task.Memory. It fails when the task has ended.
func (t *Task) NewRun() (task.Run, error) {
	switch {
	case t.closed:
		return nil, fmt.Errorf("making a run: the task's memory is %w", ErrClosed)
	case t.ctx.Err() != nil:
		return nil, fmt.Errorf("making a run: %w", context.Cause(t.ctx))
	}
	r, err := t.disk.newRun()
	if err != nil {
		return nil, err
	}
	t.runs = append(t.runs, r)
	return r, nil
}

// GiveUp implements task.Building.
func (t *Task) GiveUp() {
	if t.giveUp != nil {
		t.giveUp()
	}
}

// Close gives the memory back and removes the runs.
func (t *Task) Close() {
	t.closed = true
	t.share.Close()
	for _, r := range t.runs {
		r.Remove()
	}
	t.runs = nil
}

// detach leaves the runs to a value that was made of them.
func (t *Task) detach() { t.runs = nil }

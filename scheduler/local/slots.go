package local

import (
	"context"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// enqueue hands a task to the slots. On a lost executor it is nobody's.
func (b *Backend) enqueue(x *executor, l *launched) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lost {
		return
	}
	x.running[l.task.ID] = l
	x.queue = append(x.queue, l)
	b.begin(x)
}

// resize sets how many slots there should be. Those that are too many end with their tasks.
func (b *Backend) resize(x *executor, slots int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.slots = slots
	for len(x.idle) > idlePerSlot*slots {
		close(x.idle[0])
		x.idle = slices.Delete(x.idle, 0, 1)
	}
	for x.made > x.slots && len(x.free) > 0 {
		x.takeFree()
		x.made--
	}
	b.begin(x)
}

// size returns how many slots there should be.
func (x *executor) size() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.slots
}

// begin begins the tasks that wait, as far as there are slots: on goroutines that are idle,
// the last of them first since its stack is as large as tasks need it, or on new ones.
// It is called with the executor's mu held.
func (b *Backend) begin(x *executor) {
	for l := x.next(); l != nil; l = x.next() {
		last := len(x.idle) - 1
		if last < 0 {
			b.workers.Go(func() { b.work(x, l) })
			continue
		}
		x.idle[last] <- l // which has room
		x.idle = slices.Delete(x.idle, last, last+1)
	}
}

// next returns the task that a free slot begins, nil if none waits, or no slot is free. It is
// called with mu held.
func (x *executor) next() *launched {
	if x.lost || len(x.queue) == 0 || len(x.free) == 0 && x.made >= x.slots {
		return nil
	}
	l := x.queue[0]
	x.queue = slices.Delete(x.queue, 0, 1)
	if len(x.free) > 0 {
		l.slot = x.takeFree()
	} else {
		l.slot = new(task.Slot)
		x.made++
	}
	l.ctx, l.kill = context.WithCancelCause(context.Background())
	return l
}

// takeFree takes the slot that was freed last. It is called with mu held.
func (x *executor) takeFree() *task.Slot {
	last := len(x.free) - 1
	slot := x.free[last]
	x.free = slices.Delete(x.free, last, last+1)
	return slot
}

// release makes a task's slot free, if it has one still; but not one that is of no more use,
// or too many. It is called with mu held.
func (x *executor) release(l *launched, useful bool) {
	slot := l.slot
	l.slot = nil
	switch {
	case slot == nil:
	case useful && x.made <= x.slots:
		x.free = append(x.free, slot)
	default:
		x.made--
	}
}

// idlePerSlot is how many goroutines wait for tasks, for each slot: of a slot's tasks several
// may have freed it and wait.
const idlePerSlot = 4

// work runs tasks, one after the other. A task may end its goroutine (runtime.Goexit, which
// t.FailNow calls): then its slot, which it may have left in disorder, is replaced.
func (b *Backend) work(x *executor, l *launched) {
	defer func() {
		if l == nil {
			return
		}
		b.free(x, l, false)
		x.report(b.events, l, scheduler.ExceptionFailure{Message: "the task's code ended its goroutine (runtime.Goexit, or FailNow of a test)"})
	}()
	more := make(chan *launched, 1)
	for l != nil {
		current := l
		current.task.AskCommit = func(ctx context.Context) error { return b.askCommit(ctx, x, current) }
		current.task.FreeSlot = func() {
			if current.freed.IsZero() {
				current.freed = time.Now()
			}
			b.free(x, current, true)
		}
		outcome := x.run(current, current.slot)
		l = nil
		x.report(b.events, current, outcome)
		if l = x.after(current, more); l == nil {
			l = <-more
		}
	}
}

// free makes a task's slot free before the task has ended.
func (b *Backend) free(x *executor, l *launched, useful bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.release(l, useful)
	b.begin(x)
}

// after frees the slot of a task that has ended and returns the next task, if one waits. Else
// that comes over more, which is closed if there is none for the goroutine.
func (x *executor) after(l *launched, more chan *launched) *launched {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.release(l, true)
	next := x.next()
	switch {
	case next != nil:
	case x.lost || len(x.idle) >= idlePerSlot*x.slots:
		close(more)
	default:
		x.idle = append(x.idle, more)
	}
	return next
}

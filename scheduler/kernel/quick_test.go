package kernel

import (
	"fmt"
	"testing"
	"time"
)

// lanes are executors of one slot that run what is launched there one after the other.
type lanes struct {
	t      *testing.T
	kernel *Kernel
	at     time.Duration
	tasks  map[string][]Task // by executor, in the order of launching
	most   int               // that an executor had at once, since it was set to 0
	done   bool
}

func newLanes(t *testing.T, executors int) *lanes {
	l := &lanes{t: t, kernel: New(testConfig), tasks: make(map[string][]Task)}
	for i := range executors {
		l.step(ExecutorAdded{fmt.Sprintf("executor-%d", i), 1})
	}
	return l
}

func (l *lanes) step(e Event) {
	for _, a := range l.kernel.Step(l.at, e) {
		switch a := a.(type) {
		case Launch:
			l.tasks[a.Executor] = append(l.tasks[a.Executor], a.Task)
			l.most = max(l.most, len(l.tasks[a.Executor]))
		case JobDone:
			l.done = true
		}
	}
}

// run ends the first task of every executor after a time.
func (l *lanes) run(took time.Duration) {
	l.at += took
	ending := make(map[string]Task)
	for x, tasks := range l.tasks {
		if len(tasks) > 0 {
			ending[x], l.tasks[x] = tasks[0], tasks[1:]
		}
	}
	for x, task := range ending {
		l.step(TaskEnded{Executor: x, Task: task})
	}
}

// Tasks of a stage that has just shown to be quick wait at executors, so that these needn't
// ask for the next one: as long as there are enough for all, and none takes long.
func TestQuickTasks(t *testing.T) {
	const partitions = 200
	l := newLanes(t, 2)
	l.step(JobSubmitted{Job{0, 0}, []Stage{{ID: -1, Partitions: partitions}}})
	if l.most != 1 {
		t.Errorf("%d at once of a stage of which nothing is known", l.most)
	}
	for range quickPerTask * tasksPerSlot {
		l.run(time.Millisecond)
	}
	if l.most != tasksPerSlot {
		t.Errorf("%d at once of a stage of quick tasks, want %d", l.most, tasksPerSlot)
	}
	l.run(testConfig.LocalityWait + 1)
	for range tasksPerSlot - 1 { // those that waited
		l.run(0)
	}
	l.most = 0
	for range quickPerTask - 1 {
		l.run(time.Millisecond)
	}
	if l.most != 1 {
		t.Errorf("%d at once after one that took long", l.most)
	}
	for range 3 * quickPerTask {
		l.run(time.Millisecond)
	}
	if l.most != tasksPerSlot {
		t.Errorf("%d at once of a stage that is quick again, want %d", l.most, tasksPerSlot)
	}
	for !l.done {
		if a, b := len(l.tasks["executor-0"]), len(l.tasks["executor-1"]); min(a, b) == 0 && max(a, b) > 1 {
			t.Fatalf("one executor idles, the other has %d and %d", a, b)
		}
		l.run(time.Millisecond)
	}
}

// No task waits behind those of a stage that takes its time.
func TestSlowTasks(t *testing.T) {
	l := newLanes(t, 2)
	l.step(JobSubmitted{Job{0, 0}, []Stage{{ID: -1, Partitions: 100}}})
	for !l.done {
		l.run(testConfig.LocalityWait/2 + 1)
	}
	if l.most != 1 {
		t.Errorf("%d at once", l.most)
	}
}

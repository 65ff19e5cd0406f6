package local_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

// runner is a function as a scheduler.Runner.
type runner func(ctx context.Context, id scheduler.TaskID, slot *task.Slot) scheduler.Outcome

func (r runner) Run(ctx context.Context, task scheduler.Task, slot *task.Slot) scheduler.Outcome {
	return r(ctx, task.ID, slot)
}

// taskRunner is a function of the whole task as a scheduler.Runner.
type taskRunner func(ctx context.Context, l scheduler.Task, slot *task.Slot) scheduler.Outcome

func (r taskRunner) Run(ctx context.Context, l scheduler.Task, slot *task.Slot) scheduler.Outcome {
	return r(ctx, l, slot)
}

// untilKilled runs until it is killed, and says why it was.
func untilKilled(ctx context.Context, _ scheduler.TaskID, _ *task.Slot) scheduler.Outcome {
	<-ctx.Done()
	return scheduler.Failed(ctx, ctx.Err())
}

// reports keeps what a backend reports, in its order.
type reports struct {
	mu    sync.Mutex
	lines []string
}

func (r *reports) add(words ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, strings.Join(words, " "))
}

func (r *reports) ExecutorAdded(executor string, _ int) { r.add("added", executor) }

func (r *reports) ExecutorResized(executor string, slots int) {
	r.add("resized", executor, "to", string('0'+rune(slots)))
}

func (r *reports) Stored(string, []scheduler.StoredBlock) {}

func (r *reports) ExecutorLost(lost scheduler.ExecutorLost) {
	r.add("lost", lost.Executor, lost.Message)
}

func (r *reports) CommitAsked(executor string, id scheduler.TaskID) {
	r.add(string('0'+rune(id.Partition)), "asks on", executor)
}

func (r *reports) TaskEnded(executor string, id scheduler.TaskID, o scheduler.Outcome) {
	r.add("ended", string('0'+rune(id.Partition)), "on", executor+":", o.Reason())
}

// expect compares what was reported since the last call, once all is at rest.
func (r *reports) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strings.Join(r.lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	r.lines = nil
}

func taskOf(partition int32) scheduler.Task {
	return scheduler.Task{ID: scheduler.TaskID{Partition: partition}}
}

func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reports
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(untilKilled)})
		defer b.Close()
		b.Start(&r)
		b.Launch("a", taskOf(0))
		b.Kill("a", taskOf(1).ID, "no such task")
		b.Kill("b", taskOf(0).ID, "no such executor")
		b.Launch("b", taskOf(2))
		r.expect(t, "added a")
		b.Kill("a", taskOf(0).ID, "enough")
		r.expect(t, "ended 0 on a: killed: enough")
		// A task that is killed before its slot takes it up doesn't run.
		b.Launch("a", taskOf(1))
		b.Kill("a", taskOf(1).ID, "too late")
		r.expect(t, "ended 1 on a: killed: too late")
	})
}

// killing takes a task's end as a scheduler does that reacts before TaskEnded returns.
type killing struct {
	reports
	ended func(id scheduler.TaskID)
}

func (k *killing) TaskEnded(executor string, id scheduler.TaskID, outcome scheduler.Outcome) {
	k.reports.TaskEnded(executor, id, outcome)
	k.ended(id)
}

// Who is told of a task's end may kill others of the executor, and launch more, before it returns.
func TestReactAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(func(context.Context, scheduler.TaskID, *task.Slot) scheduler.Outcome {
			<-release
			return scheduler.Success{}
		})})
		defer b.Close()
		k := killing{ended: func(id scheduler.TaskID) {
			switch id.Partition {
			case 0:
				b.Kill("a", taskOf(1).ID, "not needed")
				b.Kill("a", taskOf(1).ID, "its driver is gone") // before that is told
			case 1:
				b.Launch("a", taskOf(2))
			}
		}}
		b.Start(&k)
		b.Launch("a", taskOf(0))
		b.Launch("a", taskOf(1))
		close(release)
		k.expect(t, "added a", "ended 0 on a: succeeded", "ended 1 on a: killed: not needed", "ended 2 on a: succeeded")
	})
}

// An executor that has fewer slots kills nothing: the slots end with their tasks. Then as many
// tasks run at once as it has slots, and more as soon as it has more.
func TestResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reports
		var release [8]chan struct{}
		for p := range release {
			release[p] = make(chan struct{})
		}
		b := local.New(local.Executor{ID: "a", Slots: 3, Runner: runner(func(_ context.Context, id scheduler.TaskID, _ *task.Slot) scheduler.Outcome {
			r.add("begun", string('0'+rune(id.Partition)))
			<-release[id.Partition]
			return scheduler.Success{}
		})})
		defer b.Close()
		b.Start(&r)
		launch := func(p int32, want ...string) {
			t.Helper()
			b.Launch("a", taskOf(p))
			r.expect(t, want...)
		}
		r.expect(t, "added a")
		launch(0, "begun 0")
		launch(1, "begun 1")
		launch(2, "begun 2")
		launch(3)
		b.Resize("a", 1)
		b.Resize("nobody", 1)
		b.Resize("a", 0) // an executor has one at least
		r.expect(t, "resized a to 1")
		close(release[0])
		r.expect(t, "ended 0 on a: succeeded")
		close(release[1])
		r.expect(t, "ended 1 on a: succeeded")
		close(release[2])
		r.expect(t, "ended 2 on a: succeeded", "begun 3")
		launch(4)
		launch(5)
		b.Resize("a", 2)
		r.expect(t, "resized a to 2", "begun 4")
		close(release[3])
		r.expect(t, "ended 3 on a: succeeded", "begun 5")
		close(release[4])
		close(release[5])
		synctest.Wait()
		r.lines = nil
		b.Resize("a", 1) // a slot that waits ends
		r.expect(t, "resized a to 1")
		launch(6, "begun 6")
		launch(7)
		close(release[6])
		r.expect(t, "ended 6 on a: succeeded", "begun 7")
		close(release[7])
	})
}

// Tasks wait while the code of killed ones goes on; of those that wait, a killed
// one leaves at once. Neither Launch nor what it queues reports a failure.
func TestTasksWaitForSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reports
		release := make(chan struct{})
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(func(_ context.Context, id scheduler.TaskID, _ *task.Slot) scheduler.Outcome {
			if id.Partition == 0 {
				<-release // deaf to its context
			}
			return scheduler.Success{}
		})})
		defer b.Close()
		b.Start(&r)
		for p := range int32(5) {
			b.Launch("a", taskOf(p))
		}
		synctest.Wait() // the first is in its slot
		b.Kill("a", taskOf(0).ID, "enough")
		r.expect(t, "added a")
		b.Kill("a", taskOf(2).ID, "enough")
		r.expect(t, "ended 2 on a: killed: enough")
		close(release)
		r.expect(t, "ended 0 on a: succeeded", "ended 1 on a: succeeded", "ended 3 on a: succeeded", "ended 4 on a: succeeded")
	})
}

// A task that only waits lets the slot go on with those that wait at the executor; it
// ends when it ends, also when it is killed, and when it ends its goroutine.
func TestFreeSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reports
		acknowledged := []chan struct{}{make(chan struct{}), make(chan struct{}), make(chan struct{})}
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: taskRunner(func(ctx context.Context, l scheduler.Task, slot *task.Slot) scheduler.Outcome {
			if _, err := slot.Local("key", func() (any, error) { return 1, nil }); err != nil {
				t.Error(err)
			}
			if l.ID.Partition == 3 {
				return scheduler.Success{}
			}
			l.FreeSlot()
			l.FreeSlot() // once more does nothing
			select {
			case <-acknowledged[l.ID.Partition]:
			case <-ctx.Done():
				return scheduler.TaskKilled{Message: context.Cause(ctx).Error()}
			}
			if l.ID.Partition == 2 {
				runtime.Goexit()
			}
			return scheduler.Success{}
		})})
		defer b.Close()
		b.Start(&r)
		for p := range int32(4) {
			b.Launch("a", taskOf(p))
		}
		r.expect(t, "added a", "ended 3 on a: succeeded")
		b.Kill("a", taskOf(1).ID, "enough")
		r.expect(t, "ended 1 on a: killed: enough")
		close(acknowledged[0])
		r.expect(t, "ended 0 on a: succeeded")
		close(acknowledged[2])
		r.expect(t, "ended 2 on a: the task's code ended its goroutine (runtime.Goexit, or FailNow of a test)")
		b.Launch("a", taskOf(3)) // the slot goes on
		r.expect(t, "ended 3 on a: succeeded")
	})
}

// How long acknowledgements take doesn't keep slots from the stage's next tasks.
func TestSlowAcknowledgements(t *testing.T) {
	const partitions, work, acknowledged = 16, time.Millisecond, 50 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		backend := local.New(local.Executor{ID: "a", Slots: 2, Runner: taskRunner(func(_ context.Context, l scheduler.Task, _ *task.Slot) scheduler.Outcome {
			time.Sleep(work)
			l.FreeSlot()
			time.Sleep(acknowledged)
			return scheduler.Success{}
		})})
		defer backend.Close()
		d := scheduler.NewDAGScheduler(backend, scheduler.Options{LocalityWait: acknowledged / 2})
		defer d.Close()
		var took []time.Duration
		for batch := uint64(1); batch <= 3; batch++ {
			rows := rdd.Parallelize(rdd.NewContext(lineage.NewLineage(batch, 1), nil), make([]int, partitions), rdd.Partitions(partitions))
			began := time.Now()
			if _, err := d.Submit(t.Context(), scheduler.NewJob(batch, 0, rows.Node())); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		// Of the first batch nothing is known. Of the others 8 tasks are at the 2 slots at a time.
		if most := 2*acknowledged + partitions*work; took[1] > most || took[2] > most {
			t.Errorf("batches took %v, want at most %v each but for the first", took, most)
		}
	})
}

// Goroutines are kept for the next tasks, but not as many as may have waited at a time.
func TestGoroutinesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			r            reports
			mu           sync.Mutex
			on           []string // which goroutines tasks run on
			acknowledged = make(chan struct{})
		)
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: taskRunner(func(_ context.Context, l scheduler.Task, _ *task.Slot) scheduler.Outcome {
			var stack [64]byte
			name, _, _ := strings.Cut(string(stack[:runtime.Stack(stack[:], false)]), " [")
			mu.Lock()
			on = append(on, name)
			mu.Unlock()
			l.FreeSlot()
			<-acknowledged
			return scheduler.Success{}
		})})
		defer b.Close()
		b.Start(&r)
		round := func() (goroutines []string) {
			on = nil
			for p := range int32(20) {
				b.Launch("a", taskOf(p))
			}
			synctest.Wait()
			for range on {
				acknowledged <- struct{}{}
			}
			synctest.Wait()
			return on
		}
		first, kept := round(), 0
		for _, name := range round() {
			if slices.Contains(first, name) {
				kept++
			}
		}
		if len(first) != 20 || kept != 4 {
			t.Errorf("of %d goroutines %d were kept, want 4 of 20", len(first), kept)
		}
	})
}

// A task that ends its goroutine fails, and its slot goes on.
func TestGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reports
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(func(_ context.Context, id scheduler.TaskID, _ *task.Slot) scheduler.Outcome {
			if id.Partition < 2 {
				runtime.Goexit()
			}
			return scheduler.Success{}
		})})
		defer b.Close()
		b.Start(&r)
		for p := range int32(3) {
			b.Launch("a", taskOf(p))
			synctest.Wait()
		}
		const why = "the task's code ended its goroutine (runtime.Goexit, or FailNow of a test)"
		r.expect(t, "added a", "ended 0 on a: "+why, "ended 1 on a: "+why, "ended 2 on a: succeeded")
	})
}

// Nothing is heard of an executor's tasks once it is lost, and another takes its
// place under the same name.
func TestReplacedExecutor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reports
		first := local.Executor{ID: "a", Slots: 1, Runner: runner(untilKilled), OnLost: func() { r.add("dropped") }}
		b := local.New(first)
		b.Start(&r)
		b.Launch("a", taskOf(0))
		r.expect(t, "added a")
		b.Add(local.Executor{ID: "a", Slots: 1, Runner: runner(func(context.Context, scheduler.TaskID, *task.Slot) scheduler.Outcome { return scheduler.Success{} })})
		r.expect(t, "dropped", "lost a replaced", "added a")
		b.Launch("a", taskOf(1))
		r.expect(t, "ended 1 on a: succeeded")
		b.Lose("a", "gone")
		b.Lose("a", "gone again")
		r.expect(t, "lost a gone")
		b.Close()
		b.Add(first)
		r.expect(t)
	})
}

// Whoever replaces an executor at the same time as others: each is lost before
// the next one is added, and Close finds the last.
func TestReplacedAtOnce(t *testing.T) {
	var r reports
	b := local.New()
	b.Start(&r)
	var adding sync.WaitGroup
	for range 8 {
		adding.Go(func() {
			for range 100 {
				b.Add(local.Executor{ID: "a", Slots: 1, Runner: runner(untilKilled), OnLost: runtime.Gosched})
			}
		})
	}
	adding.Wait()
	b.Close()
	for i, line := range r.lines {
		if want := [...]string{"added a", "lost a replaced"}[i%2]; line != want {
			t.Fatalf("report %d is %q, want %q", i, line, want)
		}
	}
	if want := 2*800 - 1; len(r.lines) != want {
		t.Errorf("%d reports, want %d", len(r.lines), want)
	}
}

// Close kills what runs and returns when it has ended. It may be called before
// Start.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reports
		ended := false
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(func(ctx context.Context, id scheduler.TaskID, s *task.Slot) scheduler.Outcome {
			defer func() { ended = true }()
			return untilKilled(ctx, id, s)
		})})
		b.Start(&r)
		b.Launch("a", taskOf(0))
		synctest.Wait()
		if b.Close(); !ended {
			t.Error("a task is running still")
		}
		b.Close()
		r.expect(t, "added a")
		never := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(untilKilled)})
		never.Close()
		never.Start(&r)
		r.expect(t)
	})
}

// A slot's memory is kept from task to task, and is one task's at a time.
func TestSlotsKeepTheirMemory(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var r reports
		opened := 0
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(func(_ context.Context, _ scheduler.TaskID, s *task.Slot) scheduler.Outcome {
			if _, err := s.Local(key{}, func() (any, error) { opened++; return 1, nil }); err != nil {
				return scheduler.ExceptionFailure{Message: err.Error()}
			}
			return scheduler.Success{}
		})})
		defer b.Close()
		b.Start(&r)
		b.Launch("a", taskOf(0))
		r.expect(t, "added a", "ended 0 on a: succeeded")
		b.Launch("a", taskOf(1))
		if r.expect(t, "ended 1 on a: succeeded"); opened != 1 {
			t.Errorf("opened %d times", opened)
		}
	})
}

// A context that a task was killed through says why.
func TestLostCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reports
		var cause error
		b := local.New(local.Executor{ID: "a", Slots: 1, Runner: runner(func(ctx context.Context, id scheduler.TaskID, s *task.Slot) scheduler.Outcome {
			defer func() { cause = context.Cause(ctx) }()
			return untilKilled(ctx, id, s)
		})})
		b.Start(&r)
		b.Launch("a", taskOf(0))
		synctest.Wait()
		b.Lose("a", "by the test")
		if b.Close(); !errors.Is(cause, local.ErrLost) {
			t.Error(cause)
		}
	})
}

// What an executor stored goes with the successes of its tasks, and to nobody once it is
// lost.
func TestTellsWhatIsStored(t *testing.T) {
	p := newProgram(t, "a")
	var stored []scheduler.StoredBlock
	backend := local.New(local.Executor{ID: "a", Slots: 2, Runner: worker{p, "a"}, Stored: func() []scheduler.StoredBlock {
		n := int32(len(stored)) // one success is reported after the other
		stored = append(stored, scheduler.StoredBlock{Block: task.Block{Batch: 1, Ordinal: 7, Partition: n}, Level: 1})
		return stored[n:]
	}})
	defer backend.Close()
	d := scheduler.NewDAGScheduler(backend, p.opts)
	defer d.Close()
	if _, _, err := p.output(t.Context(), d, 0); err != nil {
		t.Fatal(err)
	}
	if n := d.Blocks().Len(); n != 6 || len(stored) != 6 {
		t.Errorf("the driver knows of %d partitions, %d were told", n, len(stored))
	}
	backend.Lose("a", "killed")
	d.Progress() // what was told before is taken in then
	if n := d.Blocks().Len(); n != 0 {
		t.Errorf("%d partitions of a lost executor", n)
	}
}

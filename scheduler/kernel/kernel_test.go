package kernel

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// cluster runs every task to its success in the order of launching.
type cluster struct {
	kernel  *Kernel
	running []Launch
	ending  []Launch // what drain is at
	done    int
}

func newCluster(executors, slots int) *cluster {
	c := &cluster{kernel: New(testConfig)}
	for i := range executors {
		c.step(ExecutorAdded{fmt.Sprintf("executor-%d", i), slots})
	}
	return c
}

func (c *cluster) step(e Event) {
	for _, a := range c.kernel.Step(0, e) {
		switch a := a.(type) {
		case Launch:
			c.running = append(c.running, a)
		case JobDone:
			c.done++
		}
	}
}

// drain ends tasks until none runs.
func (c *cluster) drain() {
	for len(c.running) > 0 {
		c.ending, c.running = c.running, c.ending[:0]
		for _, l := range c.ending {
			c.step(TaskEnded{Executor: l.Executor, Task: l.Task})
		}
	}
}

// mapReduce is a job of a map stage and a result stage.
func mapReduce(batch uint64, maps, reduces int) JobSubmitted {
	return JobSubmitted{Job{batch, 0}, []Stage{
		{ID: 0, Partitions: maps, Input: Input{Ordinal: 0}},
		{ID: -1, Partitions: reduces, Parents: []int32{0}, Input: Input{Ordinal: 1}},
	}}
}

// TestNothingLeaks runs many batches, of which a few are remembered, and compares
// what is held after a tenth and at the end.
func TestNothingLeaks(t *testing.T) {
	const batches, remembered = 100_000, 10
	c := newCluster(2, 4)
	var early uint64
	for n := uint64(1); n <= batches; n++ {
		c.step(mapReduce(n, 8, 1))
		c.drain()
		if n > remembered {
			c.step(BatchesForgotten{n - remembered})
		}
		if n == batches/10 {
			early = heap()
		}
	}
	if c.done != batches {
		t.Errorf("%d jobs done of %d", c.done, batches)
	}
	if s := c.kernel.Size(); s != (Size{Batches: remembered + 1, Stages: 2 * (remembered + 1), Executors: 2, Places: 2}) {
		t.Errorf("held at the end: %+v", s)
	}
	if late := heap(); late > early+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes between batch %d and %d", early, late, batches/10, batches)
	}
	runtime.KeepAlive(c)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestManyOutputs: what is kept of an output that is done doesn't grow with its tasks,
// though its batch goes on.
func TestManyOutputs(t *testing.T) {
	const outputs, tasks = 500, 1000
	c := newCluster(2, 4)
	early := heap()
	for n := range int32(outputs) {
		c.step(JobSubmitted{Job{1, n}, []Stage{{ID: -1 - n, Partitions: tasks}}})
		c.drain()
	}
	if late := heap(); c.done != outputs || late > early+4<<20 {
		t.Errorf("%d outputs of %d tasks, the heap grew from %d to %d bytes", c.done, tasks, early, late)
	}
	c.step(JobSubmitted{Job{1, 7}, []Stage{{ID: -8, Partitions: tasks}}})
	if l := c.running[0]; l.Task.Attempt != 1 {
		t.Errorf("another try begins with %s", l.Task)
	}
	runtime.KeepAlive(c)
}

// TestPlacesAreBounded gives each batch inputs of its own.
func TestPlacesAreBounded(t *testing.T) {
	c := newCluster(1, 4)
	for n := uint64(1); n <= 10*idleBatches; n++ {
		e := mapReduce(n, 1, 1)
		e.Stages[0].Input = Input{DStream: int32(n)}
		c.step(e)
		c.drain()
		c.step(BatchesForgotten{n})
	}
	if s := c.kernel.Size(); s.Places > 2*idleBatches {
		t.Errorf("%d inputs are remembered", s.Places)
	}
}

// TestTimeStandsStill gives the kernel a clock that goes back; it goes on.
func TestTimeStandsStill(t *testing.T) {
	k := New(testConfig)
	k.Step(time.Hour, ExecutorAdded{"a", 1})
	actions := k.Step(time.Minute, JobSubmitted{Job{1, 0}, []Stage{{ID: -1, Partitions: 1}}})
	if len(actions) != 1 {
		t.Errorf("got %v, not one launch", actions)
	}
}

// TestManyFailures: a limit of failures holds, however high it is.
func TestManyFailures(t *testing.T) {
	const limit = 70_000
	config := testConfig
	config.MaxFailures = limit
	k := New(config)
	k.Step(0, ExecutorAdded{"a", 1})
	actions := k.Step(0, JobSubmitted{Job{1, 0}, []Stage{{ID: -1, Partitions: 1}}})
	for n := int32(0); n < limit; n++ {
		if l, ok := actions[0].(Launch); !ok || l.Task.Attempt != n {
			t.Fatalf("after %d failures: %s", n, describe(actions[0]))
		}
		actions = k.Step(0, TaskEnded{Executor: "a", Task: Task{1, -1, 0, n}, How: Failed})
	}
	if f, ok := actions[0].(JobFailed); !ok || f.Why != TaskFailures || f.Tries != limit {
		t.Errorf("after %d failures: %s", limit, describe(actions[0]))
	}
}

// BenchmarkDecisions runs map tasks and a tenth as many reduce tasks on 1,000
// executors of 8 slots: two events a task, its launch and its end. The figure is
// tasks decided on, launched and ended, per second.
func BenchmarkDecisions(b *testing.B) {
	for _, tasks := range []int{100, 1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) {
			c := newCluster(1000, 8)
			var batch uint64
			for b.Loop() {
				batch++
				c.step(mapReduce(batch, tasks, tasks/10))
				c.drain()
				c.step(BatchesForgotten{batch + 1})
			}
			n := float64(b.N) * float64(tasks+tasks/10)
			b.ReportMetric(n/b.Elapsed().Seconds(), "tasks/s")
			b.ReportMetric(b.Elapsed().Seconds()*1e9/n, "ns/task")
		})
	}
}

// BenchmarkPlan submits a batch of 10,000 tasks to a cluster with slots for all.
func BenchmarkPlan(b *testing.B) {
	c := newCluster(1250, 8)
	var batch uint64
	b.ReportAllocs()
	for b.Loop() {
		batch++
		c.step(mapReduce(batch, 10_000, 1))
		b.StopTimer()
		c.drain()
		c.step(BatchesForgotten{batch + 1})
		b.StartTimer()
	}
}

// BenchmarkExecutorLost loses one of 1,000 executors while a batch of 100,000
// tasks is at its reduce stage.
func BenchmarkExecutorLost(b *testing.B) {
	c := newCluster(1000, 8)
	c.step(mapReduce(1, 100_000, 9_000))
	for ended := 0; ended < 100_000; ended += len(c.ending) {
		c.ending, c.running = c.running, nil
		for _, l := range c.ending {
			c.step(TaskEnded{Executor: l.Executor, Task: l.Task})
		}
	}
	n := 0
	for b.Loop() {
		c.step(ExecutorLost{Executor: fmt.Sprintf("executor-%d", n)})
		c.step(ExecutorAdded{fmt.Sprintf("executor-%d", n), 8})
		n = (n + 1) % 1000
	}
}

// BenchmarkJob is a small batch on one executor of two slots.
func BenchmarkJob(b *testing.B) {
	c := newCluster(1, 2)
	var batch uint64
	b.ReportAllocs()
	for b.Loop() {
		batch++
		c.step(mapReduce(batch, 8, 1))
		c.drain()
		c.step(BatchesForgotten{batch})
	}
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// executor is the core of an executor process: its own copy of the program, the
// batches it was told of, and the tasks' work. Backends give it slots.
//
// THREADING: Invoke and Forget may be called by one goroutine while others run
// tasks. The graph is read-only; batches is guarded by mu.
type executor struct {
	name        string
	ssc         *StreamingContext // the executor's copy of the program
	parallelism int
	log         *slog.Logger

	process *rdd.Process
	cache   *rdd.Cache
	store   *shuffle.Store

	mu      sync.Mutex
	batches map[uint64]*generation
}

func newExecutor(name string, ssc *StreamingContext, parallelism int, log *slog.Logger) *executor {
	return &executor{
		name: name, ssc: ssc, parallelism: parallelism, log: log,
		process: &rdd.Process{}, cache: &rdd.Cache{}, store: shuffle.NewStore(shuffleLimit),
		batches: make(map[uint64]*generation),
	}
}

// DivergedError says that an executor generated other RDDs than the driver.
type DivergedError struct {
	Batch    uint64
	Executor []string // what the executor generated, one line for each RDD
}

// Error says which batch differs; the driver adds a diff.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("%v: an executor generates other RDDs for batch %d than the driver", ErrDiverged, e.Batch)
}

// Unwrap returns ErrDiverged.
func (e *DivergedError) Unwrap() error { return ErrDiverged }

// invoke generates a batch from its allocation and begins to prefetch what it
// reads. Being told of a batch again does no harm.
func (e *executor) invoke(inv Invocation) error {
	seq := inv.Allocation.Seq
	e.mu.Lock()
	_, known := e.batches[seq]
	e.mu.Unlock()
	if known {
		return nil
	}
	for _, in := range e.ssc.graph.inputs {
		if a := inv.Allocation.input(in.id); a != nil && in.prefetch != nil {
			in.prefetch(e.process, a.Ranges)
		}
	}
	gen, err := e.ssc.graph.generate(inv.Allocation, e.parallelism)
	if err != nil {
		return err
	}
	if gen.lineage.Hash() != inv.Lineage {
		return &DivergedError{Batch: seq, Executor: gen.lineage.Describe()}
	}
	e.mu.Lock()
	e.batches[seq] = gen
	e.mu.Unlock()
	return nil
}

// forget drops what is kept of the batches before until.
func (e *executor) forget(until uint64) {
	e.mu.Lock()
	for seq := range e.batches {
		if seq < until {
			delete(e.batches, seq)
		}
	}
	e.mu.Unlock()
	e.cache.Forget(until)
	e.store.Forget(until)
}

// Run runs one task. It implements scheduler.Runner.
func (e *executor) Run(ctx context.Context, task scheduler.Task, slot *rdd.Slot) scheduler.Outcome {
	e.mu.Lock()
	gen := e.batches[task.ID.Batch]
	e.mu.Unlock()
	if gen == nil {
		return scheduler.ExceptionFailure{Message: fmt.Sprintf("the executor wasn't told of batch %d", task.ID.Batch), NoFault: true}
	}
	tc := &rdd.TaskContext{
		Context: ctx, Batch: task.ID.Batch, Partition: int(task.ID.Partition), Attempt: int(task.ID.Attempt),
		Shuffle: shuffle.NewReader(task.Inputs, e.stores), Cache: e.cache, Slot: slot, Process: e.process,
	}
	success, err := e.work(tc, gen, task.ID)
	if err != nil {
		return scheduler.Failed(ctx, hinted(err))
	}
	success.Metrics = tc.Metrics
	return success
}

// work computes what the task's coordinates name.
func (e *executor) work(tc *rdd.TaskContext, gen *generation, id scheduler.TaskID) (s scheduler.Success, err error) {
	if output, ok := id.Output(); ok {
		if output >= len(gen.actions) {
			return s, fmt.Errorf("%w: batch %d has no output %d", ErrDiverged, id.Batch, output)
		}
		action := gen.actions[output]
		err = rdd.Guard(action.Final, func() (err error) {
			s.Result, err = action.Run(tc, tc.Partition)
			return err
		})
		return s, err
	}
	n, _ := id.Shuffle()
	dep := gen.lineage.Shuffle(n)
	if dep == nil {
		return s, fmt.Errorf("%w: batch %d has no shuffle %d", ErrDiverged, id.Batch, n)
	}
	w := e.store.Writer(shuffle.MapID{Batch: id.Batch, Shuffle: id.Stage, Map: id.Partition, Attempt: id.Attempt}, dep.Partitions)
	if err := rdd.Guard(dep.Parent, func() error { return dep.Write(tc, tc.Partition, w) }); err != nil {
		w.Abort()
		return s, err
	}
	sizes, err := w.Commit()
	s.Map = &scheduler.MapStatus{Bytes: sizes}
	return s, err
}

// stores returns the store of an executor in this process, nil for others.
func (e *executor) stores(executor string) *shuffle.Store {
	if executor == e.name {
		return e.store
	}
	return nil
}

// close releases what the process holds.
func (e *executor) close() error { return e.process.Close() }

// captureHint explains the panic that a closure meets when it uses what was set
// on the driver only.
const captureHint = " (if this value was set in OnDriver, ForEachBatch or a driver task: tasks run on the executors' copy of the program, which doesn't see it; pass it through engine.Value or engine.PerBatch, see docs/programs.md)"

// hinted adds a hint to a panic that looks like a captured driver-side value.
func hinted(err error) error {
	p, ok := errors.AsType[*rdd.PanicError](err)
	if !ok {
		return err
	}
	switch p.Value {
	case "runtime error: invalid memory address or nil pointer dereference", "assignment to entry in nil map":
		with := *p
		with.Value += captureHint
		return &with
	}
	return err
}

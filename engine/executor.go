package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/engine/remote"
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
	ssc         *StreamingContext // the executor's copy of the program
	parallelism int

	process *rdd.Process
	cache   *rdd.Cache
	models  *modelVersions
	calls   *calls // in local mode, where the process ends with the job

	mu      sync.Mutex
	batches map[uint64]*generation
	epoch   uint64         // of the newest driver seen
	store   *shuffle.Store // of blocks that tasks of this epoch wrote

	// remote reads blocks of other processes too; nil in local mode.
	remote *remote.Fetcher
}

// newExecutor returns an executor for a copy of the program, built under the
// given header.
func newExecutor(ctx context.Context, ssc *StreamingContext, h JobHeader) (*executor, error) {
	e := &executor{
		ssc: ssc, parallelism: h.Parallelism, process: &rdd.Process{}, cache: &rdd.Cache{},
		store: shuffle.NewStore(shuffleLimit), batches: make(map[uint64]*generation),
	}
	var versions *modelstore.Store
	if h.ModelStore != "" && len(ssc.graph.models) > 0 {
		var err error
		if versions, err = modelstore.Open(ctx, h.ModelStore, h.Incarnation); err != nil {
			return nil, err
		}
	}
	e.models = newModelVersions(ssc.graph.models, versions)
	_, err := e.process.Resource(versionsKey{}, func() (any, func() error, error) { return e.models, e.models.close, nil })
	return e, err
}

// DivergedError says that an executor generated other RDDs than the driver.
type DivergedError struct {
	Batch    uint64
	Name     string   // of the executor
	Driver   []string // what the driver generated, one line for each RDD
	Executor []string // what the executor generated
}

// Error says which batch differs and how.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("%v: executor %s generates other RDDs for batch %d than the driver\n%s",
		ErrDiverged, e.Name, e.Batch, rdd.Diff("driver", e.Driver, "executor", e.Executor))
}

// Unwrap returns ErrDiverged.
func (e *DivergedError) Unwrap() error { return ErrDiverged }

// invoke generates a batch from its allocation and begins to prefetch what it
// reads. Being told of a batch again does no harm.
func (e *executor) invoke(inv Invocation) error {
	seq := inv.Allocation.Seq
	e.mu.Lock()
	known := e.batches[seq]
	e.mu.Unlock()
	if known != nil {
		return known.compare(inv)
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
	if err := gen.compare(inv); err != nil {
		return err
	}
	e.mu.Lock()
	e.batches[seq] = gen
	e.mu.Unlock()
	return nil
}

// compare makes sure that a generation is what the driver generated.
func (g *generation) compare(inv Invocation) error {
	if g.lineage.Hash() != inv.Lineage {
		return &DivergedError{Batch: g.batch.Seq, Executor: g.lineage.Describe()}
	}
	return nil
}

// adopt makes a driver's epoch the current one. Each driver computes the batches
// in flight anew, so the blocks of those before it go, and what their tasks still
// write is never read.
func (e *executor) adopt(epoch uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if epoch > e.epoch {
		e.epoch, e.store = epoch, shuffle.NewStore(shuffleLimit)
	}
}

// storeOf returns the blocks of a driver's epoch, nil unless it is the current.
func (e *executor) storeOf(epoch uint64) *shuffle.Store {
	e.mu.Lock()
	defer e.mu.Unlock()
	if epoch != e.epoch {
		return nil
	}
	return e.store
}

// known returns the batches that the executor was told of, ascending.
func (e *executor) known() []uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.batches))
}

// forget drops what is kept of the batches before until.
func (e *executor) forget(until uint64) {
	e.mu.Lock()
	for seq := range e.batches {
		if seq < until {
			delete(e.batches, seq)
		}
	}
	store := e.store
	e.mu.Unlock()
	e.cache.Forget(until)
	store.Forget(until)
}

// Run runs one task. It implements scheduler.Runner.
func (e *executor) Run(ctx context.Context, task scheduler.Task, slot *rdd.Slot) scheduler.Outcome {
	e.mu.Lock()
	gen := e.batches[task.ID.Batch]
	e.mu.Unlock()
	if gen == nil {
		return scheduler.ExceptionFailure{Message: fmt.Sprintf("the executor wasn't told of batch %d", task.ID.Batch), NoFault: true}
	}
	store := e.storeOf(task.ID.Epoch)
	if store == nil {
		return scheduler.TaskKilled{Message: fmt.Sprintf("the driver of epoch %d was deposed", task.ID.Epoch)}
	}
	tc := &rdd.TaskContext{
		Context: ctx, Batch: task.ID.Batch, Partition: int(task.ID.Partition), Attempt: int(task.ID.Attempt),
		Cache: e.cache, Slot: slot, Process: e.process,
	}
	var fetched func() int64
	if e.remote == nil {
		tc.Shuffle = shuffle.NewReader(task.Inputs, func(string) *shuffle.Store { return store })
	} else {
		r := e.remote.Reader(task.ID.Epoch, task.Inputs, store)
		tc.Shuffle, fetched = r, r.RemoteBytes
	}
	success, err := e.work(tc, gen, store, task.ID)
	if err != nil {
		return scheduler.Failed(ctx, hinted(err))
	}
	if fetched != nil {
		tc.Metrics.ShuffleRemote = fetched()
	}
	success.Metrics = tc.Metrics
	return success
}

// work computes what the task's coordinates name.
func (e *executor) work(tc *rdd.TaskContext, gen *generation, store *shuffle.Store, id scheduler.TaskID) (s scheduler.Success, err error) {
	if output, ok := id.Output(); ok {
		if output >= len(gen.actions) {
			return s, fmt.Errorf("%w: batch %d has no output %d", ErrDiverged, id.Batch, output)
		}
		action := gen.actions[output]
		defer e.calls.begin(taskCall{action.Final, id})()
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
	defer e.calls.begin(taskCall{dep.Parent, id})()
	w := store.Writer(shuffle.MapID{Batch: id.Batch, Shuffle: id.Stage, Map: id.Partition, Attempt: id.Attempt}, dep.Partitions)
	if err := rdd.Guard(dep.Parent, func() error { return dep.Write(tc, tc.Partition, w) }); err != nil {
		w.Abort()
		return s, err
	}
	sizes, err := w.Commit()
	s.Map = &scheduler.MapStatus{Bytes: sizes}
	return s, err
}

// close releases what the process holds.
func (e *executor) close() error {
	err := e.process.Close()
	if e.remote != nil {
		err = errors.Join(err, e.remote.Close())
	}
	return err
}

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

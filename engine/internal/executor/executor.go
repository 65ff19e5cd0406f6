package executor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/faults"
	"github.com/hibana-engine/hibana/engine/internal/models"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/engine/internal/state"
	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/engine/remote"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Executor is the core of an executor process: its own copy of the program, the
// batches it was told of, and the tasks' work. Backends give it slots.
//
// THREADING: Invoke and Forget may be called by one goroutine while others run
// tasks. The graph is read-only; batches is guarded by mu.
type Executor struct {
	program     *plan.Program // the executor's copy of the program
	parallelism int

	process  *task.Process
	blocks   *block.Store
	versions *models.Versions
	saver    *state.Saver

	// Meter, unless nil, is told of every task. It is set before the first.
	Meter Meter

	// Crash is how the executor disappears when a test wants it so; nil kills the process. It is
	// set before the first task.
	Crash   func()
	disturb func(id scheduler.TaskID, done bool) faults.Harm // nil but in tests

	history plan.History
	reach   plan.Reach

	mu      sync.Mutex
	batches map[uint64]*plan.Generation
	early   map[uint64][]func() // by batch: they drop what was prefetched of it
	done    uint64              // batches before it are complete, as the driver says
	epoch   uint64              // of the newest driver seen
	store   *shuffle.Store      // of blocks that tasks of this epoch wrote
	copy    *replay.Copy        // of a batch program, nil for a stream
	left    []*replay.Copy      // those that were stopped

	pieces replay.Unpacker // of what the driver of a batch program tells; used by who tells

	// remote reads blocks of other processes too; nil in local mode.
	remote *remote.Fetcher
}

// Meter is told of the tasks that an executor runs. Many may call it at once.
type Meter interface {
	TaskBegan()
	TaskEnded(o scheduler.Outcome, took time.Duration)
}

// New returns an executor for a copy of the program, built under the given header,
// which takes so much memory. fetcher reads blocks of other processes too; it is nil in local mode.
func New(ctx context.Context, p *plan.Program, h plan.JobHeader, m Memory, fetcher *remote.Fetcher) (*Executor, error) {
	disturbed := faults.Of(ctx)
	if disturbed.Memory > 0 {
		m.Blocks = disturbed.Memory
	}
	blocks := block.NewStore(m.Blocks, p.Settings.LocalDir)
	if disturbed.Open != nil {
		blocks.Disk().OpenBy(disturbed.Open)
	}
	e := &Executor{
		program: p, parallelism: h.Parallelism, process: &task.Process{Alone: fetcher == nil}, blocks: blocks,
		store: shuffle.NewStore(blocks), batches: make(map[uint64]*plan.Generation), early: make(map[uint64][]func()), remote: fetcher,
		reach: p.Graph.Reach(), disturb: disturbed.Task,
	}
	var versions *modelstore.Store
	if h.ModelStore != "" && len(p.Graph.Models) > 0 {
		var err error
		if versions, err = modelstore.Open(ctx, h.ModelStore, h.Stored()); err != nil {
			return nil, err
		}
	}
	e.versions = models.NewVersions(p.Graph.Models, versions)
	var checkpoints *state.Store
	if h.StateStore != "" && len(p.Graph.States) > 0 {
		var err error
		if checkpoints, err = state.Open(ctx, h.StateStore, h.Stored()); err != nil {
			return nil, err
		}
	}
	e.saver = state.NewSaver(checkpoints)
	return e, errors.Join(e.versions.Install(e.process), e.saver.Install(e.process))
}

// Invoke generates a batch from its allocation and begins to prefetch what it
// reads. Being told of a batch again does no harm. A batch that is complete already is
// remembered only: others reach back to it.
func (e *Executor) Invoke(inv plan.Invocation) error {
	seq := inv.Allocation.Seq
	e.history.Add(inv.Allocation)
	e.saver.Acknowledge(inv.Allocation)
	e.mu.Lock()
	known, complete := e.batches[seq], seq < e.done
	e.mu.Unlock()
	switch {
	case known != nil:
		return compare(known, inv)
	case complete:
		return nil
	}
	e.prefetch(inv.Allocation)
	gen, err := e.program.Graph.Generate(inv.Allocation, &e.history, e.parallelism)
	if err != nil {
		return err
	}
	if err := compare(gen, inv); err != nil {
		return err
	}
	e.mu.Lock()
	e.batches[seq] = gen
	e.mu.Unlock()
	return nil
}

// prefetch begins to prefetch what a batch reads, until it is forgotten.
func (e *Executor) prefetch(a *plan.Allocation) {
	var forget []func()
	for _, in := range e.program.Graph.Inputs {
		if share := a.Input(in.ID); share != nil && in.Prefetch != nil {
			if f := in.Prefetch(e.process, share.Ranges); f != nil {
				forget = append(forget, f)
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.early[a.Seq] = forget
}

// Receive runs an input's receiver, until ctx ends or nothing more comes. What comes goes where
// the input keeps it; tell hands messages to the driver. A panic of the connector is an error.
func (e *Executor) Receive(ctx context.Context, input int32, tell func(message []byte)) error {
	for _, in := range e.program.Graph.Inputs {
		if in.ID == input && in.Receive != nil {
			what := fmt.Sprintf("the receiver of %s at %s", in.Op, in.Site)
			return e.program.Calls.Apart(what, func() error { in.Receive(ctx, tell); return nil })
		}
	}
	return nil
}

// compare makes sure that a generation is what the driver generated.
func compare(g *plan.Generation, inv plan.Invocation) error {
	if g.Lineage.Hash() != inv.Lineage {
		return &plan.DivergedError{Batch: g.Alloc.Seq, Executor: g.Lineage.Describe()}
	}
	return nil
}

// Adopt makes a driver's epoch the current one. Each driver computes the batches
// in flight anew, also some that the driver before it had completed and couldn't tell the
// log of. So the blocks of those before it go, what their tasks still write is never read,
// and what they had forgotten may come again. What is cached is the same for every driver,
// but for indeterminate RDDs: those go, also when a driver connects again, which may have
// begun them anew meanwhile.
func (e *Executor) Adopt(epoch uint64) {
	e.dropPartitions(func(b task.Block) bool { return b.Indeterminate })
	e.mu.Lock()
	before := e.store
	if epoch <= e.epoch {
		e.mu.Unlock()
		return
	}
	e.epoch, e.store, e.done = epoch, shuffle.NewStore(e.blocks), 0
	e.history.Reset() // the driver tells of all that its batches reach back to
	e.blocks.Reopen()
	e.mu.Unlock()
	before.Retire()
}

// Store returns the blocks of a driver's epoch, nil unless it is the current.
func (e *Executor) Store(epoch uint64) *shuffle.Store {
	e.mu.Lock()
	defer e.mu.Unlock()
	if epoch != e.epoch {
		return nil
	}
	return e.store
}

// Cached returns a partition that is cached here, for a task of an epoch on another executor:
// nil if there is none, or the epoch isn't the current one.
func (e *Executor) Cached(epoch uint64, b task.Block) task.Sendable {
	if e.Store(epoch) == nil {
		return nil
	}
	return e.blocks.Partitions().Kept(b)
}

// Holdings is what an executor's process holds.
type Holdings struct {
	Blocks int
	Memory int64 // bytes of blocks and of what tasks hold
	Limit  int64 // of Memory
	Pinned int64 // bytes of keyed states, which may be over the limit
	Files  int
}

// Held says what the executor's process holds.
func (e *Executor) Held() Holdings {
	budget := e.blocks.Budget()
	pinned, _ := e.blocks.Pinned()
	return Holdings{Blocks: e.blocks.Len(), Memory: budget.Used(), Limit: budget.Limit(), Pinned: pinned, Files: e.blocks.Disk().Files()}
}

// Stored returns what a driver is told, from now on, of the cached partitions: at first
// all, then what was stored and dropped since. What was returned before tells nothing more.
func (e *Executor) Stored() func() []scheduler.StoredBlock {
	return e.blocks.Partitions().Report().Take
}

// Known returns the batches that the executor was told of, ascending.
func (e *Executor) Known() []uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.batches))
}

// Forget drops what is kept of the batches before until, which are complete, but for what
// later ones reach back to: allocations, and what is cached of streams that are
// remembered. Of the batches before keep it drops all.
func (e *Executor) Forget(until, keep uint64) {
	e.mu.Lock()
	e.done = max(e.done, until)
	for seq := range e.batches {
		if seq < until {
			delete(e.batches, seq)
		}
	}
	var early []func()
	for seq, forget := range e.early {
		if seq < until {
			early = append(early, forget...)
			delete(e.early, seq)
		}
	}
	e.mu.Unlock()
	for _, forget := range early {
		forget()
	}
	e.blocks.Forget(keep)
	if keep < until {
		e.blocks.Drop(e.unneeded(until))
	}
	e.history.Forget(keep)
}

// unneeded returns what tells the blocks of the batches before until that none reaches
// back to.
func (e *Executor) unneeded(until uint64) func(block.ID) bool {
	newest := e.history.At(until - 1)
	since := make(map[int32]uint64) // the first batch that is needed, by stream
	states := e.newestVersions(until)
	return func(id block.ID) bool {
		p, is := id.Key.(task.Block)
		switch {
		case id.Batch >= until:
			return false
		case !is:
			return true
		case newest == nil: // a driver that has just taken over tells of it next
			return false
		}
		first, known := since[p.DStream]
		if !known {
			first = until
			if d := e.reach.Of(p.DStream); d > 0 {
				first = e.history.Since(newest, d)
			}
			if version, is := states[p.DStream]; is {
				first = min(first, version)
			}
			since[p.DStream] = first
		}
		return id.Batch < first
	}
}

// newestVersions returns, for the stream of each state of which a version is here, the
// newest batch before until that it is of.
func (e *Executor) newestVersions(until uint64) map[int32]uint64 {
	newest := make(map[int32]uint64)
	if len(e.program.Graph.States) == 0 {
		return newest
	}
	e.blocks.Count(func(id block.ID) bool {
		p, is := id.Key.(task.Block)
		if is && id.Batch < until && e.program.Graph.IsState(p.DStream) {
			newest[p.DStream] = max(newest[p.DStream], id.Batch)
		}
		return false
	})
	return newest
}

// Hold makes the given versions of models those that are held, and returns them
// in order.
func (e *Executor) Hold(pins []plan.ModelPin) []*models.Version { return e.versions.Hold(pins) }

// Process returns what the executor's process keeps.
func (e *Executor) Process() *task.Process { return e.process }

// Graph returns the graph of the executor's copy of the program.
func (e *Executor) Graph() *plan.Graph { return &e.program.Graph }

// Run runs one task. It implements scheduler.Runner.
func (e *Executor) Run(ctx context.Context, t scheduler.Task, slot *task.Slot) scheduler.Outcome {
	if e.Meter == nil {
		return e.run(ctx, t, slot)
	}
	e.Meter.TaskBegan()
	began := time.Now()
	o := e.run(ctx, t, slot)
	e.Meter.TaskEnded(o, time.Since(began))
	return o
}

func (e *Executor) run(ctx context.Context, t scheduler.Task, slot *task.Slot) scheduler.Outcome {
	found, err := e.find(ctx, t.ID)
	if err != nil {
		return unfound(ctx, err)
	}
	store := e.Store(t.ID.Epoch)
	if store == nil {
		return scheduler.TaskKilled{Message: fmt.Sprintf("the driver of epoch %d was deposed", t.ID.Epoch)}
	}
	if o := e.harm(ctx, t.ID, false); o != nil {
		return o
	}
	memory := e.blocks.NewTask(ctx)
	defer memory.Close()
	tc := &task.Context{
		Context: ctx, Batch: t.ID.Batch, Partition: int(t.ID.Partition), Attempt: int(t.ID.Attempt), Epoch: t.ID.Epoch,
		Cache: e.blocks.Partitions(), Memory: memory, Slot: slot, Process: e.process, AskCommit: t.AskCommit, FreeSlot: t.FreeSlot,
	}
	if e.remote == nil {
		tc.Shuffle = shuffle.NewReader(t.Inputs, func(string) *shuffle.Store { return store })
	} else {
		tc.Shuffle = e.remote.Reader(t.ID.Epoch, t.Inputs, store, &tc.Metrics.ShuffleRemote)
		if len(t.Elsewhere) > 0 {
			tc.Elsewhere = e.remote.Partitions(t.ID.Epoch, t.Elsewhere, &tc.Metrics.CacheRemote)
		}
	}
	success, err := e.work(tc, found, store, t.ID)
	if err == nil {
		success.Updates, err = tc.Updates()
	}
	if err == nil {
		err = e.program.Graph.LateError() // a task, this one maybe, declared something
	}
	if err != nil {
		return scheduler.Failed(ctx, e.hinted(err))
	}
	if o := e.harm(ctx, t.ID, true); o != nil {
		return o
	}
	e.saver.Memory(e.blocks.Pinned())
	success.Metrics, success.Notes = tc.Counted(), e.saver.Reports(t.ID.Batch)
	return success
}

// find returns what a task's coordinates name.
func (e *Executor) find(ctx context.Context, id scheduler.TaskID) (replay.Found, error) {
	e.mu.Lock()
	gen, follows := e.batches[id.Batch], e.copy
	e.mu.Unlock()
	switch {
	case follows != nil:
		return follows.Find(ctx, id)
	case gen == nil:
		return replay.Found{}, fmt.Errorf("%w of batch %d", errNotTold, id.Batch)
	}
	if output, ok := id.Output(); ok {
		if output >= len(gen.Actions) {
			return replay.Found{}, fmt.Errorf("%w: batch %d has no output %d", plan.ErrDiverged, id.Batch, output)
		}
		return replay.Found{Action: &gen.Actions[output]}, nil
	}
	n, _ := id.Shuffle()
	dep := gen.Lineage.Shuffle(n)
	if dep == nil {
		return replay.Found{}, fmt.Errorf("%w: batch %d has no shuffle %d", plan.ErrDiverged, id.Batch, n)
	}
	return replay.Found{Shuffle: dep}, nil
}

// errNotTold is no fault of the task's: the machinery sent it too early.
var errNotTold = errors.New("the executor wasn't told")

// unfound returns the outcome of a task that the executor can't make sense of.
func unfound(ctx context.Context, err error) scheduler.Outcome {
	switch {
	case ctx.Err() != nil:
		return scheduler.Failed(ctx, err)
	case errors.Is(err, replay.ErrOver):
		return scheduler.TaskKilled{Message: err.Error()}
	}
	return scheduler.ExceptionFailure{Message: err.Error(), NoFault: errors.Is(err, errNotTold), Err: err}
}

// work computes what the task's coordinates name.
func (e *Executor) work(tc *task.Context, f replay.Found, store *shuffle.Store, id scheduler.TaskID) (s scheduler.Success, err error) {
	if f.Action != nil {
		defer e.program.Calls.Begin(taskCall{f.Action.Final, id})()
		s.Result, err = f.Action.GuardedRun(tc, tc.Partition)
		return s, err
	}
	dep := f.Shuffle
	defer e.program.Calls.Begin(taskCall{dep.Parent, id})()
	w := store.Writer(tc, shuffle.MapID{Batch: id.Batch, Shuffle: id.Stage, Map: id.Partition, Attempt: id.Attempt}, dep.Partitions())
	if err := dep.GuardedWrite(tc, tc.Partition, w); err != nil {
		w.Abort()
		return s, err
	}
	s.Map = &scheduler.MapStatus{}
	if e.remote != nil {
		s.Map.Small = w.Small()
	}
	s.Map.Bytes, err = w.Commit()
	return s, err
}

// Close releases what the process holds.
func (e *Executor) Close() error {
	e.stopCopies()
	err := errors.Join(e.process.Close(), e.blocks.Close())
	if e.remote != nil {
		err = errors.Join(err, e.remote.Close())
	}
	return err
}

// Hints that explain the panic which a closure meets when it uses what was set on the
// driver only.
const (
	captureHint      = " (if this value was set in OnDriver, ForEachBatch or a driver task: tasks run on the executors' copy of the program, which doesn't see it; pass it through engine.Value or engine.PerBatch, see docs/programs.md)"
	batchCaptureHint = " (if this value was set in OnDriver: tasks run on the executors' copy of the program, which doesn't see it; pass it through rdd.Value, see docs/programs.md)"
)

// hinted adds a hint to a panic that looks like a captured driver-side value.
func (e *Executor) hinted(err error) error {
	p, ok := errors.AsType[*rdd.PanicError](err)
	if !ok {
		return err
	}
	cause, ok := errors.AsType[runtime.Error](p.Err) // Value may say more
	if !ok {
		return err
	}
	switch cause.Error() {
	case "runtime error: invalid memory address or nil pointer dereference", "assignment to entry in nil map":
		with := *p
		with.Value += captureHint
		if e.IsBatch() {
			with.Value = p.Value + batchCaptureHint
		}
		return &with
	}
	return err
}

package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/scheduler/kernel"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Options of a DAGScheduler. The zero value is ready to use.
type Options struct {
	// Incarnation and Epoch are put into every TaskID. What is reported of tasks
	// of others is ignored.
	Incarnation, Epoch uint64

	MaxFailures      int           // counted failures of a task that fail the job; 0 means 4
	MaxStageAttempts int           // stage attempts in a row that failed to fetch and fail the job; 0 means 4
	LocalityWait     time.Duration // how long a task waits for the executor that last had its input; 0 means 10 ms, below 0 not at all
	MaxResultBytes   int64         // of all partitions of a job's result; 0 means 1 GiB
	Logger           *slog.Logger  // told of failures and losses; nil means silence
}

// maxSetbacks is how often a task may be interrupted through no fault of its own,
// so that a job ends whatever happens to its executors. With the kernel's pauses
// that takes 24 s.
const maxSetbacks = 32

func (o Options) withDefaults() Options {
	if o.MaxFailures == 0 {
		o.MaxFailures = 4
	}
	if o.MaxStageAttempts == 0 {
		o.MaxStageAttempts = 4
	}
	if o.LocalityWait == 0 {
		o.LocalityWait = 10 * time.Millisecond
	}
	if o.MaxResultBytes == 0 {
		o.MaxResultBytes = 1 << 30
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// DAGScheduler runs jobs on a backend. It feeds the kernel with what happens and
// carries out what that decides.
//
// THREADING: the exported methods are safe for concurrent use. Who holds turn owns the fields
// below "of turn": a goroutine, loop, which calls the functions that others post to its inbox,
// or the caller of an exported method while there is nothing in the inbox. Nobody blocks
// with it: the inbox takes whatever is posted, and what can be posted is bounded by the
// executors' slots and the callers of Submit. A backend's events are posted, since it may hold
// locks that the scheduler's calls of it take; but for a task's end, which comes most often.
type DAGScheduler struct {
	opts    Options
	backend Backend
	tracker *shuffle.Tracker
	blocks  *Blocks
	started time.Time
	stopped chan struct{} // closed when loop has ended

	mu     sync.Mutex
	inbox  []func()
	closed bool          // the inbox takes no more
	wake   chan struct{} // holds a token when the inbox isn't empty

	turn sync.Mutex

	// of turn
	kernel    *kernel.Kernel
	executors map[string]bool // that are there
	batches   map[uint64]*batchRun
	jobs      map[kernel.Job]*jobRun
	timer     *time.Timer
	closing   bool
}

// NewDAGScheduler starts a scheduler on a backend, which it starts too. Close
// ends the scheduler, not the backend.
func NewDAGScheduler(backend Backend, opts Options) *DAGScheduler {
	opts = opts.withDefaults()
	d := &DAGScheduler{
		opts:    opts,
		backend: backend,
		tracker: shuffle.NewTracker(),
		blocks:  NewBlocks(),
		started: time.Now(),
		stopped: make(chan struct{}),
		wake:    make(chan struct{}, 1),
		kernel: kernel.New(kernel.Config{
			MaxFailures: opts.MaxFailures, MaxSetbacks: maxSetbacks,
			MaxStageFailures: opts.MaxStageAttempts, LocalityWait: opts.LocalityWait,
		}),
		executors: make(map[string]bool),
		batches:   make(map[uint64]*batchRun),
		jobs:      make(map[kernel.Job]*jobRun),
		timer:     time.NewTimer(time.Hour),
	}
	d.timer.Stop()
	go d.loop()
	backend.Start(backendEvents{d})
	return d
}

// Tracker tells where map output is, for executors that ask.
func (d *DAGScheduler) Tracker() *shuffle.Tracker { return d.tracker }

// Blocks tells where cached partitions are.
func (d *DAGScheduler) Blocks() *Blocks { return d.blocks }

// Submit runs a job and waits for its end. A job that fails by its tasks is a
// [*JobError]. If ctx ends, the job is cancelled and the error is ctx's cause: jobs
// that belong together are submitted with one context and cancelled by it.
// Several jobs may run at once; older ones have the first choice of slots. Jobs of
// one batch share map stages. An output whose job has ended may be submitted
// again.
func (d *DAGScheduler) Submit(ctx context.Context, job Job) (*JobResult, error) {
	if job.Final == nil {
		return nil, fmt.Errorf("batch %d, output %d: the job has no RDD", job.Batch, job.Output)
	}
	j := newJobRun(job)
	j.cut(d.blocks)
	if !d.do(func() { d.submit(j) }) {
		return nil, ErrClosed
	}
	select {
	case <-j.ended:
	case <-ctx.Done():
		d.post(func() { d.cancel(j, context.Cause(ctx)) })
		<-j.ended
	}
	return j.result, j.err
}

// Forget drops everything about the batches before until, but for where partitions are
// cached of those from keep on. Their jobs, if any run, fail with [ErrForgotten], and so do
// later ones.
func (d *DAGScheduler) Forget(until, keep uint64) {
	d.do(func() {
		d.step(kernel.BatchesForgotten{Until: until}, nil)
		for batch := range d.batches {
			if batch < until {
				delete(d.batches, batch)
			}
		}
		d.tracker.Forget(until)
		d.blocks.Forget(keep)
	})
}

// ForgetStages drops what is known of stages of a batch that no job will name again, with
// the places of their output: map stages whose shuffle nobody can refer to any more, result
// stages of outputs that aren't tried again. Stages that a job needs stay.
func (d *DAGScheduler) ForgetStages(batch uint64, stages ...int32) {
	d.do(func() {
		d.step(kernel.StagesForgotten{Batch: batch, Stages: stages}, nil)
		b := d.batches[batch]
		for _, id := range stages {
			if r := d.stage(batch, id); r == nil || len(r.jobs) == 0 {
				d.tracker.ForgetShuffle(batch, id)
				if b != nil {
					delete(b.stages, id)
				}
			}
		}
		if b != nil && len(b.stages) == 0 {
			delete(d.batches, batch)
		}
	})
}

// Close kills what runs and ends the scheduler. Jobs fail with [ErrClosed].
func (d *DAGScheduler) Close() {
	d.post(func() {
		d.closing = true
		for _, j := range d.jobs {
			d.cancel(j, ErrClosed)
		}
	})
	<-d.stopped
}

// do calls f, or has loop call it if others are before. It reports false if the scheduler is
// closed.
func (d *DAGScheduler) do(f func()) bool {
	if !d.turn.TryLock() {
		return d.post(f)
	}
	defer d.turn.Unlock()
	d.mu.Lock()
	free := len(d.inbox) == 0 && !d.closed
	d.mu.Unlock()
	if !free {
		return d.post(f)
	}
	f()
	return true
}

// post has loop call f. It reports false if the scheduler is closed.
func (d *DAGScheduler) post(f func()) bool {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return false
	}
	d.inbox = append(d.inbox, f)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return true
}

// loop calls what is posted, in order, until the scheduler is closed.
func (d *DAGScheduler) loop() {
	defer close(d.stopped)
	defer d.timer.Stop()
	var batch []func()
	for {
		select {
		case <-d.wake:
		case <-d.timer.C:
			d.turn.Lock()
			d.step(kernel.Tick{}, nil)
			d.turn.Unlock()
			continue
		}
		d.turn.Lock()
		d.mu.Lock()
		batch, d.inbox = d.inbox, batch[:0]
		d.mu.Unlock()
		for i, f := range batch {
			f()
			batch[i] = nil
		}
		closing := d.closing
		d.turn.Unlock()
		if closing {
			break
		}
	}
	d.turn.Lock()
	defer d.turn.Unlock()
	d.mu.Lock()
	d.closed = true
	rest := d.inbox
	d.mu.Unlock()
	for _, f := range rest {
		f()
	}
}

// backendEvents is the side of the scheduler that backends see.
type backendEvents struct{ d *DAGScheduler }

func (e backendEvents) ExecutorAdded(executor string, slots int) {
	e.d.post(func() {
		e.d.executors[executor] = true
		e.d.blocks.Lose(executor) // those of one of the same name
		e.d.step(kernel.ExecutorAdded{Executor: executor, Slots: slots}, nil)
	})
}

func (e backendEvents) ExecutorResized(executor string, slots int) {
	e.d.post(func() { e.d.step(kernel.ExecutorResized{Executor: executor, Slots: slots}, nil) })
}

func (e backendEvents) Stored(executor string, stored []StoredBlock) {
	e.d.post(func() { e.d.blocks.Add(executor, stored) })
}

func (e backendEvents) ExecutorLost(lost ExecutorLost) {
	e.d.post(func() { e.d.executorLost(lost) })
}

func (e backendEvents) CommitAsked(executor string, id TaskID) {
	e.d.post(func() { e.d.commitAsked(executor, id) })
}

func (e backendEvents) TaskEnded(executor string, id TaskID, outcome Outcome) {
	e.d.do(func() { e.d.taskEnded(executor, id, outcome) })
}

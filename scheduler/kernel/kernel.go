package kernel

import (
	"slices"
	"time"
)

// Config holds the kernel's limits. All are used as given.
type Config struct {
	MaxFailures      int           // counted failures of a task that fail its jobs
	MaxSetbacks      int           // interruptions of a task that fail its jobs, so that nothing goes on for ever
	MaxStageFailures int           // stage attempts in a row with a failed fetch that fail its jobs
	LocalityWait     time.Duration // how long a task waits for the executor it prefers
}

// Kernel is the scheduler's state. It isn't safe for concurrent use.
type Kernel struct {
	config Config
	now    time.Duration
	out    []Action

	executors map[string]*executor
	departed  []departure // the newest that were lost with tasks, nobody knows why
	free      []*executor // executors with a free slot
	turn      int         // whose turn it is in free
	freed     []*executor // executors that may take more than before this step

	batches  map[uint64]*batch
	since    uint64 // batches before it are forgotten
	jobs     []*job // that haven't ended, in the order of submission
	stages   uint64 // made so far, for their order
	launches uint64 // so far, for their order
	round    uint64 // of submit
	rolled   []*job // whose stages were rolled back in it

	sets   []*stage // active stages with tasks to launch, the oldest first
	fresh  bool     // some of them have tasks that dispatch hasn't seen
	wake   time.Duration
	places map[Input]*place
	swept  uint64 // since when places were last looked through

	sweptStages uint64 // stages when places were last looked through for those idle

	// clock counts accepted map outputs, so that a failed fetch can be told to be
	// of an output that was replaced since.
	clock uint64
}

// batch holds the stages of a batch's jobs until it is forgotten.
type batch struct {
	seq    uint64
	stages map[int32]*stage
}

// job is an output that is being computed.
type job struct {
	id     Job
	stages []*stage // that it needs
	final  *stage   // that computes its result
	ended  bool
}

// New returns a kernel without executors and jobs.
func New(c Config) *Kernel {
	return &Kernel{
		config:    c,
		executors: make(map[string]*executor),
		batches:   make(map[uint64]*batch),
		places:    make(map[Input]*place),
	}
}

// Step takes in an event that happened at a time and returns what is to be done
// about it. The actions are valid until the next Step.
func (k *Kernel) Step(at time.Duration, e Event) []Action {
	k.now = max(k.now, at)
	clear(k.out)
	clear(k.freed)
	k.out, k.freed = k.out[:0], k.freed[:0]
	if k.wake != 0 && k.now >= k.wake {
		k.wake = 0
	}
	switch e := e.(type) {
	case JobSubmitted:
		k.submitJob(e)
	case JobCut:
		k.cutJob(e)
	case JobCancelled:
		k.cancelJob(e.Job)
	case ExecutorAdded:
		k.loseExecutor(e.Executor, false)
		k.addExecutor(e.Executor, e.Slots)
	case ExecutorResized:
		k.resizeExecutor(e.Executor, e.Slots)
	case ExecutorLost:
		k.loseExecutor(e.Executor, e.ByTask)
	case TaskEnded:
		k.endTask(e)
	case CommitAsked:
		k.answerCommit(e)
	case BatchesForgotten:
		k.forget(e.Until)
	case StagesForgotten:
		k.forgetStages(e)
	case Tick:
	}
	k.dispatch()
	return k.out
}

// Size is what the kernel holds, to see that nothing leaks.
type Size struct {
	Batches, Stages, Jobs, TaskSets, Executors, Running, Places int
}

// Size returns what the kernel holds.
func (k *Kernel) Size() Size {
	s := Size{Batches: len(k.batches), Jobs: len(k.jobs), TaskSets: len(k.sets), Executors: len(k.executors), Places: len(k.places)}
	for _, b := range k.batches {
		s.Stages += len(b.stages)
	}
	for _, x := range k.executors {
		s.Running += len(x.running)
	}
	return s
}

func (k *Kernel) do(a Action) { k.out = append(k.out, a) }

// forget drops the batches before until.
func (k *Kernel) forget(until uint64) {
	k.since = max(k.since, until)
	for _, j := range slices.Clone(k.jobs) {
		if j.id.Batch < k.since {
			k.fail(j, JobFailed{Why: Forgotten})
		}
	}
	for seq := range k.batches {
		if seq < k.since {
			delete(k.batches, seq)
		}
	}
	k.departed = slices.DeleteFunc(k.departed, func(d departure) bool {
		return !slices.ContainsFunc(d.ran, func(a attempt) bool { return a.stage.batch.seq >= k.since })
	})
	k.forgetPlaces()
}

// live returns the batches not yet forgotten, in their order.
func (k *Kernel) live() []*batch {
	all := make([]*batch, 0, len(k.batches))
	for _, b := range k.batches {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *batch) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	return all
}

package kernel

import (
	"slices"
	"time"
)

// stage is a set of tasks and where it stands.
type stage struct {
	id            int32
	batch         *batch
	order         uint64 // of its making, which is that of submission
	parents       []*stage
	readers       []*stage // stages that have it as a parent
	jobs          []*job   // that need it and haven't ended
	indeterminate bool
	place         *place
	holders       []*executor     // of cached blocks that partitions are computed from, nil where none is known
	bound         bool            // tasks go to holders
	unsteady      []Input         // cached RDDs that another attempt may make otherwise
	partitions    int             // that it could compute
	only          []int32         // those that its tasks compute, nil for all
	tried         map[int32]int32 // launches of partitions in earlier jobs, of a result stage
	once          bool            // it was done with one launch for each task, and its tasks dropped

	state   stageState
	tasks   []task
	done    int  // tasks in state done
	running int  // tasks in state running
	uncut   bool // a cached block was missing: waits for its jobs to be cut again
	broken  bool // an indeterminate stage that lost output since it was last begun anew

	attempt  int32  // of the stage, -1 before the first
	seen     uint64 // the kernel's clock when it began
	failed   int32  // the last attempt with a failed fetch, -1 for none
	failures int    // such attempts since the stage was last complete
	round    uint64 // in which submit visited it

	quick int // tasks that were, since one took long
	queue queue
}

// stageState says whether a stage's tasks may be launched.
type stageState uint8

const (
	idle    stageState = iota // complete, or no job needs it
	waiting                   // for output that it reads
	active                    // invariant: all its parents are complete
)

// task is a partition of a stage. Tasks are known within the kernel by their index
// in the stage, which is the partition unless the stage is of some only.
//
// There may be a million of them: the order of the fields saves a fifth of their memory.
type task struct {
	// executor is where a running task runs, where a done one ran, and where a
	// pending one has failed, nil if it hasn't.
	executor *executor
	written  uint64        // the kernel's clock when it became done
	after    time.Duration // when a pending one may be launched again
	failures int32         // that count
	setbacks int32         // that don't
	tries    int32         // launches so far
	state    taskState
	granted  bool // an attempt was granted the commit, and may have committed
}

// pauseAfter is how long a task waits after so many interruptions through no fault
// of its own: not at all after the first, 10 ms after the second, then twice as
// long each time up to a second. What lasts for a moment is over by then, and what
// lasts for ever doesn't keep the cluster busy.
func pauseAfter(setbacks int32) time.Duration {
	if setbacks < 2 {
		return 0
	}
	return min(10*time.Millisecond<<min(setbacks-2, 10), time.Second)
}

type taskState uint8

const (
	pending taskState = iota
	paused            // pending, but not before its time
	running
	done
)

func (k *Kernel) newStage(b *batch, spec Stage) *stage {
	s := &stage{
		id: spec.ID, batch: b, order: k.stages, indeterminate: spec.Indeterminate,
		place: k.placeOf(spec), partitions: spec.Partitions, attempt: -1, failed: -1,
	}
	s.layOut(spec.Only)
	k.stages++
	b.stages[s.id] = s
	s.link(spec.Parents)
	return s
}

// complete reports whether all tasks are done.
func (s *stage) complete() bool { return s.done == len(s.tasks) }

// isResult reports whether the stage computes a job's result.
func (s *stage) isResult() bool { return s.id < 0 }

// forgive readies a stage that no job needed for another job.
func (s *stage) forgive() {
	s.failures = 0
	for i := range s.tasks {
		t := &s.tasks[i]
		t.failures, t.setbacks, t.after = 0, 0, 0
	}
}

// submit starts a stage if what it reads is there, and its parents if they are
// needed. It reports whether the stage is complete. again is set if other stages
// were taken back, so that jobs must be submitted once more.
func (k *Kernel) submit(s *stage, again *bool) bool {
	switch {
	case s.complete():
		return true
	case s.state == active, s.round == k.round, len(s.jobs) == 0:
		return false
	case s.done+s.running == len(s.tasks):
		return false // what runs may have read what is lost
	case s.uncut:
		return false // what it reads isn't known
	}
	s.round = k.round
	if s.broken {
		*again = true
		if k.rollback(s); len(s.jobs) == 0 {
			return false
		}
	}
	ready := true
	for _, p := range s.parents {
		ready = k.submit(p, again) && ready
	}
	// A parent's rollback may have ended the jobs that need this stage.
	if len(s.jobs) == 0 {
		return false
	}
	if s.state = waiting; ready {
		k.activate(s)
	}
	return false
}

// activate begins a stage attempt.
func (k *Kernel) activate(s *stage) {
	s.state, s.seen = active, k.clock
	s.attempt++
	s.queue = queue{}
	if n := len(s.tasks) - s.done - s.running; n > 0 {
		s.queue.fresh = make([]int32, 0, n)
		for p := range s.tasks {
			if t := &s.tasks[p]; t.state <= paused {
				t.state = pending
				k.enqueue(s, int32(p))
			}
		}
	}
}

// park stops launching a stage's tasks until output that it reads is there.
func (k *Kernel) park(s *stage) {
	k.withdraw(s)
	s.state = waiting
}

// stop makes a stage idle that no job needs.
func (k *Kernel) stop(s *stage) {
	k.withdraw(s)
	s.state, s.uncut = idle, false
	k.killAll(s)
}

// killAll ends the running attempts of a stage; they no longer count.
func (k *Kernel) killAll(s *stage) {
	for p := 0; s.running > 0; p++ {
		if t := &s.tasks[p]; t.state == running {
			t.executor.disown(s, int32(p))
			if !t.executor.gone {
				k.do(Kill{t.executor.id, s.task(int32(p), t.tries-1)})
			}
			t.state, t.executor = pending, nil
			s.running--
		}
	}
}

// succeed takes in a task's success.
func (k *Kernel) succeed(s *stage, p int32) {
	t := &s.tasks[p]
	k.clock++
	t.state, t.written = done, k.clock
	s.running--
	s.done++
	k.do(Accept{t.executor.id, s.task(p, t.tries-1), s.jobs[0].id})
	if s.complete() {
		k.completed(s)
	}
}

// completed ends a complete stage and starts those that waited for it.
func (k *Kernel) completed(s *stage) {
	k.withdraw(s)
	s.state, s.failures, s.broken = idle, 0, false
	if s.isResult() {
		k.finish(s.jobs[0])
		return
	}
	for _, r := range s.readers {
		if r.state == waiting && !r.uncut && !slices.ContainsFunc(r.parents, func(p *stage) bool { return !p.complete() }) {
			k.activate(r)
		}
	}
}

// lose takes back a map task's output. Stages that read it stop launching. The
// task keeps its executor as the one to avoid, if it isn't gone.
func (k *Kernel) lose(s *stage, p int32) {
	s.tasks[p].state = pending
	s.done--
	s.broken = s.indeterminate
	k.do(OutputLost{s.batch.seq, s.id, p})
	for _, r := range s.readers {
		if r.state == active {
			k.park(r)
		}
	}
	if s.state == active {
		if s.broken {
			k.park(s)
		} else {
			k.enqueue(s, p)
		}
	}
}

// rollback begins an indeterminate stage anew that lost output, with all stages that were
// computed from it, or from what those kept. A job whose result was returned in part fails:
// the rest would be computed from other records. So would the rest of a map stage that a job
// left behind in part, which another job may go on with.
func (k *Kernel) rollback(s *stage) {
	partial := func(r *stage) bool { return len(r.jobs) > 0 || !r.isResult() && !r.complete() }
	affected := []*stage{s}
	for i := 0; i < len(affected); i++ {
		for _, r := range slices.Concat(affected[i].readers, affected[i].sharing()) {
			if partial(r) && !slices.Contains(affected, r) {
				affected = append(affected, r)
			}
		}
	}
	for _, a := range affected {
		if a.isResult() && len(a.jobs) > 0 && a.returned() {
			k.fail(a.jobs[0], JobFailed{Why: ResultReturned})
		}
	}
	for _, a := range affected {
		if a == s || partial(a) {
			k.rolled = append(k.rolled, a.jobs...)
			k.restart(a)
			k.do(RolledBack{a.batch.seq, a.id})
		}
	}
}

// sharing returns the other stages that compute or read what the stage keeps of an
// indeterminate RDD.
func (s *stage) sharing() (all []*stage) {
	if len(s.unsteady) == 0 {
		return nil
	}
	for _, o := range s.batch.ordered() {
		if o != s && slices.ContainsFunc(o.unsteady, func(i Input) bool { return slices.Contains(s.unsteady, i) }) {
			all = append(all, o)
		}
	}
	return all
}

// returned reports whether part of a result has gone out: was accepted, or may have been
// committed by an attempt that was granted it.
func (s *stage) returned() bool {
	return s.done > 0 || slices.ContainsFunc(s.tasks, func(t task) bool { return t.granted })
}

// restart takes back everything that a stage has computed.
func (k *Kernel) restart(s *stage) {
	k.killAll(s)
	for p := range s.tasks {
		if t := &s.tasks[p]; t.state == done {
			t.state, t.executor = pending, nil
			k.do(OutputLost{s.batch.seq, s.id, s.partition(int32(p))})
		}
	}
	s.done, s.broken = 0, false
	if s.state == active || len(s.jobs) > 0 {
		k.park(s)
	}
}

func (s *stage) task(i, attempt int32) Task {
	return Task{s.batch.seq, s.id, s.partition(i), attempt}
}

package kernel

import (
	"cmp"
	"slices"
	"time"
)

// executor is a process with slots.
type executor struct {
	id      string
	slots   int
	running []attempt // at most tasksPerSlot for each slot, but for those launched while it had more
	long    int       // of those running, that aren't known to hold a slot briefly
	index   int       // in the kernel's free list, -1 if not there
	gone    bool
}

// attempt is a launched task of which no end has been heard.
type attempt struct {
	task         Task
	number       uint64 // in the order of launches
	stage        *stage
	index        int32 // of the task in its stage
	stageAttempt int32
	launched     time.Duration
	long         bool   // its stage's tasks aren't known to hold a slot briefly
	disowned     bool   // its end frees the slot and means nothing else
	waited       bool   // no slot had begun it when the executor was lost: that isn't its doing
	seen         uint64 // the kernel's clock when its stage attempt began
}

func (k *Kernel) addExecutor(id string, slots int) {
	if slots < 1 {
		return
	}
	k.departed = slices.DeleteFunc(k.departed, func(d departure) bool { return d.executor == id }) // it came back
	x := &executor{id: id, slots: slots, running: make([]attempt, 0, min(slots, 64)), index: -1}
	k.executors[id] = x
	k.offerSlot(x)
}

// resizeExecutor changes how many tasks an executor runs at once.
func (k *Kernel) resizeExecutor(id string, slots int) {
	x := k.executors[id]
	if x == nil || slots < 1 {
		return
	}
	x.slots = slots
	if len(x.running) >= slots {
		k.takeOff(x)
	}
	k.offerSlot(x)
}

// offerSlot offers an executor that has become able to take a task, and puts it on
// the free list if it has a free slot.
func (k *Kernel) offerSlot(x *executor) {
	if x.index < 0 && len(x.running) < x.slots {
		x.index = len(k.free)
		k.free = append(k.free, x)
	}
	k.freed = append(k.freed, x)
}

// takeOff takes an executor off the free list.
func (k *Kernel) takeOff(x *executor) {
	if x.index < 0 {
		return
	}
	last := len(k.free) - 1
	k.free[x.index] = k.free[last]
	k.free[x.index].index = x.index
	k.free[last] = nil
	k.free = k.free[:last]
	x.index = -1
}

// disown makes an attempt that runs on x count no more.
func (x *executor) disown(s *stage, index int32) {
	for i := range x.running {
		if a := &x.running[i]; a.stage == s && a.index == index && !a.disowned {
			a.disowned = true
		}
	}
}

// departure is an executor that was lost with the attempts that counted there.
type departure struct {
	executor string
	ran      []attempt
}

// maxDepartures bounds the lost executors of which it may yet turn out why they died.
const maxDepartures = 64

// loseExecutor takes back what ran and what was kept on an executor.
func (k *Kernel) loseExecutor(id string, byTask bool) {
	x := k.executors[id]
	if x == nil {
		if byTask {
			k.blame(id)
		}
		return
	}
	x.gone = true
	delete(k.executors, id)
	k.takeOff(x)
	for _, b := range k.live() {
		for _, s := range b.ordered() {
			k.loseOutputs(s, x)
		}
	}
	slices.SortFunc(x.running, func(a, b attempt) int { return cmp.Compare(a.number, b.number) })
	for i := range x.running {
		x.running[i].waited = i >= x.slots
	}
	ran := slices.DeleteFunc(x.running, func(a attempt) bool { return a.disowned })
	x.running = nil
	if !byTask && len(ran) > 0 {
		if len(k.departed) == maxDepartures {
			k.departed = slices.Delete(k.departed, 0, 1)
		}
		k.departed = append(k.departed, departure{id, ran})
	}
	for _, a := range ran {
		k.do(AttemptLost{id, a.task})
	}
	for _, a := range ran {
		if a.stage.tasks[a.index].state == running { // no job was given up meanwhile
			k.retry(a, nil, id, byTask && !a.waited)
		}
	}
	k.resubmit(slices.Clone(k.jobs))
}

// blame takes in that an executor that was lost died by a task: what was held to
// be an interruption of those that ran there counts against them.
func (k *Kernel) blame(id string) {
	i := slices.IndexFunc(k.departed, func(d departure) bool { return d.executor == id })
	if i < 0 {
		return
	}
	ran := k.departed[i].ran
	k.departed = slices.Delete(k.departed, i, i+1)
	for _, a := range ran {
		s := a.stage
		if a.waited || len(s.jobs) == 0 || s.batch.seq < k.since {
			continue
		}
		i := s.index(a.task.Partition) // an output may be tried anew, with other partitions
		if i < 0 || s.tasks[i].state == done {
			continue
		}
		t := &s.tasks[i]
		t.setbacks = max(0, t.setbacks-1)
		if t.failures++; int(t.failures) >= k.config.MaxFailures {
			k.failAll(s, JobFailed{Why: TaskFailures, Task: a.task, Executor: id, Tries: int(a.task.Attempt) + 1})
		}
	}
}

// loseOutputs takes back the outputs of a map stage on an executor.
func (k *Kernel) loseOutputs(s *stage, x *executor) {
	if s.isResult() || s.done == 0 {
		return
	}
	for p := range s.tasks {
		if t := &s.tasks[p]; t.state == done && t.executor == x {
			k.lose(s, int32(p))
		}
	}
}

// ordered returns the stages in the order in which they were made.
func (b *batch) ordered() []*stage {
	all := make([]*stage, 0, len(b.stages))
	for _, s := range b.stages {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *stage) int { return int(a.order) - int(b.order) })
	return all
}

// endTask takes in the end of an attempt. What isn't known to run is ignored: it
// is of an executor that was lost, or a repetition.
func (k *Kernel) endTask(e TaskEnded) {
	x := k.executors[e.Executor]
	if x == nil {
		return
	}
	i := x.find(e.Task)
	if i < 0 {
		return
	}
	a := x.running[i]
	last := len(x.running) - 1
	x.running[i] = x.running[last]
	x.running[last] = attempt{}
	x.running = x.running[:last]
	if a.long {
		x.long--
	}
	k.offerSlot(x)
	switch {
	case a.disowned:
	case e.How == Succeeded:
		took := max(0, k.now-a.launched-e.Freed) // who waits behind it waited no longer
		a.stage.place.observe(a.stage.batch.seq, took)
		a.stage.observe(took, k.config.LocalityWait)
		k.succeed(a.stage, a.index)
	case e.How == FetchFailed:
		k.fetchFailed(a, x, e)
	case e.How == BlockMissing:
		k.blockMissing(a, x)
	default:
		if e.How == Hopeless && !a.stage.indeterminate {
			a.stage.tasks[a.index].failures = int32(k.config.MaxFailures) - 1 // this one is the last
		}
		k.retry(a, x, x.id, e.How == Failed || e.How == Hopeless)
		if a.stage.state != active {
			k.resubmit(slices.Clone(a.stage.jobs))
		}
	}
}

// find returns the index of a launched task of which no end has been heard, -1 if
// there is none.
func (x *executor) find(t Task) int {
	return slices.IndexFunc(x.running, func(a attempt) bool { return a.task == t })
}

// answerCommit lets an attempt commit its output if its success would count: it
// runs, and no other attempt has taken its place. There is no other one then, since
// a partition's next attempt is launched when the one before has ended or its
// executor is lost.
func (k *Kernel) answerCommit(e CommitAsked) {
	x := k.executors[e.Executor]
	if x == nil {
		return // nobody is there to hear it
	}
	i := x.find(e.Task)
	granted := i >= 0 && !x.running[i].disowned && x.running[i].stage.isResult()
	if granted {
		x.running[i].stage.tasks[x.running[i].index].granted = true
	}
	k.do(CommitAnswer{e.Executor, e.Task, granted})
}

// retry makes a task pending again after an attempt that wasn't a success. failed
// is the executor to avoid; where is the one it ran on. A stage that isn't active
// is the caller's to resubmit.
func (k *Kernel) retry(a attempt, failed *executor, where string, counts bool) {
	s, t := a.stage, &a.stage.tasks[a.index]
	t.state, t.executor = pending, failed
	s.running--
	why := JobFailed{Task: a.task, Executor: where, Tries: int(t.tries)}
	if counts {
		if t.failures++; int(t.failures) >= k.config.MaxFailures {
			why.Why = TaskFailures
			k.failAll(s, why)
			return
		}
	} else if t.setbacks++; int(t.setbacks) >= k.config.MaxSetbacks {
		why.Why = TaskSetbacks
		k.failAll(s, why)
		return
	} else {
		t.after = k.now + pauseAfter(t.setbacks)
	}
	if s.state == active {
		k.enqueue(s, a.index)
	}
}

// fetchFailed takes in that an attempt couldn't read a parent's output: that
// output is lost, unless it was replaced since the attempt's stage began. The
// first such failure of a stage attempt ends that stage attempt. All jobs that need
// the output go on, also if the attempt's own are given up. Output that the stage has
// no need of, as it was cut, stood in for a cached block, which is missing then.
func (k *Kernel) fetchFailed(a attempt, x *executor, e TaskEnded) {
	s, t := a.stage, &a.stage.tasks[a.index]
	needed := s
	if m := s.batch.stages[e.Fetch.Stage]; m != nil && !m.isResult() {
		k.loseFetched(m, e.Fetch, a.seen)
		if !slices.Contains(s.parents, m) {
			k.blockMissing(a, x)
			k.resubmit(slices.Clone(m.jobs))
			return
		}
		needed = m
	}
	t.state, t.executor = pending, nil
	s.running--
	switch {
	case a.stageAttempt == s.attempt && s.failed != s.attempt:
		s.failed = s.attempt
		if s.failures++; s.failures >= k.config.MaxStageFailures {
			k.failAll(s, JobFailed{Why: StageFailures, Task: e.Task, Executor: e.Executor, Tries: int(t.tries)})
		} else {
			k.park(s)
		}
	case s.state == active:
		k.enqueue(s, a.index)
	}
	k.resubmit(slices.Clone(needed.jobs))
}

// loseFetched takes back the outputs that a failed fetch names.
func (k *Kernel) loseFetched(m *stage, f Fetch, seen uint64) {
	from, until := f.Partition, f.Partition+1
	if f.Partition < 0 {
		from, until = 0, int32(len(m.tasks))
	}
	for p := from; p < min(until, int32(len(m.tasks))); p++ {
		t := &m.tasks[p]
		if t.state == done && t.executor.id == f.Executor && t.written <= seen {
			k.lose(m, p)
		}
	}
}

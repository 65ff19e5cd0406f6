package kernel

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var seeds = flag.Int("seeds", 300, "random runs of TestRandom")
var seed = flag.Uint64("seed", 0, "run only this seed")

// TestRandom runs random jobs on random executors that fail at random, and checks
// after each decision what the kernel promises.
func TestRandom(t *testing.T) {
	first, count := uint64(1), *seeds
	if *seed != 0 {
		first, count = *seed, 1
	}
	var total world
	for s := first; s < first+uint64(count); s++ {
		w := newWorld(s)
		if err := w.run(); err != nil {
			t.Fatalf("seed %d (repeat with -seed %d): %v", s, s, err)
		}
		total.launches += w.launches
		total.done += w.done
		total.failed += w.failed
		total.lost += w.lost
		total.missed += w.missed
	}
	t.Logf("seeds %d to %d: %d launches, %d jobs done, %d failed, %d outputs lost, %d cut again", first, first+uint64(count)-1, total.launches, total.done, total.failed, total.lost, total.missed)
	if *seed == 0 && (total.done == 0 || total.failed == 0 || total.lost == 0 || total.missed == 0) {
		t.Error("the runs don't show what they should: no job done, none failed, none cut again, or no output lost")
	}
}

// world is a model of what surrounds a kernel: executors that run what they are
// told to, and the rules.
type world struct {
	rng    *rand.Rand
	kernel *Kernel
	at     time.Duration
	wake   time.Duration

	executors map[string]*simulated
	jobs      map[Job][]Stage // that haven't ended
	stages    map[stageKey]Stage
	cached    map[edge]bool // parents that a stage was once said not to need
	cuts      []CutAgain    // that are to be answered
	launched  map[Task]bool // ever
	outputs   map[partKey]accepted
	ghosts    []TaskEnded // what tasks of lost executors have yet to say
	batch     uint64
	calm      bool // no more faults

	launches, done, failed, lost, missed int
}

type stageKey struct {
	batch uint64
	id    int32
}

// edge is a stage and a parent of it.
type edge struct {
	stageKey
	parent int32
}

type partKey struct {
	stageKey
	partition int32
}

// simulated is an executor and what it runs.
type simulated struct {
	slots   int
	running []*simTask
}

type simTask struct {
	task   Task
	killed bool
	read   map[int32]string // the attempts of the indeterminate outputs that it was given, by stage
}

// accepted is an output or a result that counts.
type accepted struct {
	executor string
	attempt  int32
	read     map[int32]string
}

func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{
		rng: rng, executors: make(map[string]*simulated), jobs: make(map[Job][]Stage),
		stages: make(map[stageKey]Stage), cached: make(map[edge]bool), launched: make(map[Task]bool), outputs: make(map[partKey]accepted),
	}
	w.kernel = New(Config{
		MaxFailures: 1 + rng.IntN(4), MaxSetbacks: 30, MaxStageFailures: 1 + rng.IntN(4),
		LocalityWait: time.Duration(rng.IntN(3)) * 5 * time.Millisecond,
	})
	return w
}

// run lets things happen, then lets all jobs end without further faults.
func (w *world) run() error {
	for range 400 {
		if err := w.event(); err != nil {
			return err
		}
	}
	w.calm = true
	for i := 0; len(w.jobs) > 0; i++ {
		if i > 100_000 {
			return fmt.Errorf("%d jobs never end: %v", len(w.jobs), w.kernel.Size())
		}
		if err := w.event(); err != nil {
			return err
		}
	}
	if err := w.step(BatchesForgotten{w.batch + 2}); err != nil {
		return err
	}
	for w.anyRunning() != nil {
		if err := w.endOne(); err != nil {
			return err
		}
	}
	if s := w.kernel.Size(); s.Batches+s.Jobs+s.TaskSets+s.Running != 0 || s.Executors != len(w.executors) {
		return fmt.Errorf("left over: %+v", s)
	}
	return nil
}

// event makes one thing happen.
func (w *world) event() error {
	w.at += time.Duration(w.rng.IntN(3)) * time.Millisecond
	if w.wake != 0 && w.at >= w.wake {
		w.wake = 0
		if err := w.step(Tick{}); err != nil {
			return err
		}
	}
	if len(w.executors) == 0 {
		return w.addExecutor()
	}
	if len(w.cuts) > 0 && w.rng.IntN(2) == 0 {
		return w.cutAgain()
	}
	if w.calm {
		return w.endOne()
	}
	switch n := w.rng.IntN(100); {
	case n < 4:
		return w.addExecutor()
	case n < 7:
		return w.loseExecutor()
	case n < 8:
		return w.blame()
	case n < 17:
		return w.submit()
	case n < 19:
		for _, j := range w.sortedJobs() {
			return w.step(JobCancelled{j})
		}
		return nil
	case n < 21 && w.batch > 6:
		return w.step(BatchesForgotten{w.batch - 6})
	case n < 24:
		return w.haunt()
	case n < 26:
		return w.resize()
	default:
		return w.endOne()
	}
}

func (w *world) sortedNames() []string {
	var names []string
	for x := range w.executors {
		names = append(names, x)
	}
	slices.Sort(names)
	return names
}

func (w *world) sortedJobs() []Job {
	var jobs []Job
	for j := range w.jobs {
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b Job) int {
		return int(a.Batch)*100 + int(a.Output) - int(b.Batch)*100 - int(b.Output)
	})
	return jobs
}

func (w *world) addExecutor() error {
	if len(w.executors) >= 6 {
		return nil
	}
	name := fmt.Sprintf("x%d", w.rng.IntN(8)) // a name may come back
	if w.executors[name] != nil {
		w.drop(name)
	}
	slots := 1 + w.rng.IntN(4)
	w.executors[name] = &simulated{slots: slots}
	return w.step(ExecutorAdded{name, slots})
}

func (w *world) loseExecutor() error {
	name := w.pick()
	w.drop(name)
	return w.step(ExecutorLost{name, w.rng.IntN(8) == 0})
}

// resize gives an executor more slots, or fewer than it runs tasks.
func (w *world) resize() error {
	name := w.pick()
	slots := 1 + w.rng.IntN(4)
	w.executors[name].slots = slots
	return w.step(ExecutorResized{name, slots})
}

// blame says of an executor that isn't there that a task made it die.
func (w *world) blame() error {
	name := fmt.Sprintf("x%d", w.rng.IntN(8))
	if w.executors[name] != nil {
		return nil
	}
	return w.step(ExecutorLost{name, true})
}

func (w *world) pick() string {
	names := w.sortedNames()
	return names[w.rng.IntN(len(names))]
}

// drop makes an executor go; its tasks may still be heard of.
func (w *world) drop(name string) {
	for _, t := range w.executors[name].running {
		w.ghosts = append(w.ghosts, TaskEnded{Executor: name, Task: t.task, How: Ending(w.rng.IntN(2))})
	}
	delete(w.executors, name)
}

// haunt reports the end of a task of a lost executor, which nothing may follow.
func (w *world) haunt() error {
	if len(w.ghosts) == 0 {
		return nil
	}
	e := w.ghosts[0]
	w.ghosts = w.ghosts[1:]
	return w.step(e)
}

// submit submits a job of random stages, or another output of a known batch.
func (w *world) submit() error {
	if w.batch == 0 || w.rng.IntN(3) > 0 {
		w.batch++
		var stages []Stage
		for id := range int32(w.rng.IntN(5)) {
			s := Stage{ID: id, Partitions: w.rng.IntN(6), Indeterminate: w.rng.IntN(6) == 0, Input: Input{Ordinal: id}}
			for p := range id {
				if w.rng.IntN(2) == 0 {
					s.Parents = append(s.Parents, p)
					s.Indeterminate = s.Indeterminate || stages[p].Indeterminate
				}
			}
			stages = append(stages, s)
			w.stages[stageKey{w.batch, id}] = s
		}
	}
	job := Job{w.batch, int32(w.rng.IntN(3))}
	if w.jobs[job] != nil {
		return nil
	}
	var stages []Stage
	for id := int32(0); ; id++ {
		s, ok := w.stages[stageKey{job.Batch, id}]
		if !ok {
			break
		}
		stages = append(stages, s)
	}
	result := Stage{ID: -1 - job.Output, Partitions: w.rng.IntN(6), Input: Input{DStream: 1, Ordinal: job.Output}}
	if old, ok := w.stages[stageKey{job.Batch, result.ID}]; ok {
		result = old
	} else if n := len(stages); n > 0 {
		result.Parents = []int32{int32(w.rng.IntN(n))}
	}
	result.Only = w.some(result.Partitions)
	key := stageKey{job.Batch, result.ID}
	w.stages[key] = result
	for p := range result.Partitions {
		delete(w.outputs, partKey{key, int32(p)})
	}
	stages = append(stages, result)
	w.jobs[job] = stages
	return w.step(JobSubmitted{job, w.cut(job, stages)})
}

// cut leaves out parents as if what is read of them were cached.
func (w *world) cut(job Job, stages []Stage) []Stage {
	stages = slices.Clone(stages)
	for i := range stages {
		s := &stages[i]
		s.Parents = slices.DeleteFunc(slices.Clone(s.Parents), func(p int32) bool {
			if w.rng.IntN(4) > 0 {
				return false
			}
			w.cached[edge{stageKey{job.Batch, s.ID}, p}] = true
			return true
		})
		for range s.Partitions {
			s.Holders = append(s.Holders, fmt.Sprintf("x%d", w.rng.IntN(8)))
		}
	}
	return stages
}

// cutAgain answers the oldest question for a job's stages.
func (w *world) cutAgain() error {
	c := w.cuts[0]
	w.cuts = w.cuts[1:]
	stages := w.jobs[c.Job]
	if stages == nil {
		return nil // it has ended
	}
	if w.rng.IntN(3) == 0 {
		stages = w.cut(c.Job, stages)
	}
	return w.step(JobCut{c.Job, stages})
}

// some returns some of n partitions, or nil for all.
func (w *world) some(n int) []int32 {
	if w.rng.IntN(2) == 0 {
		return nil
	}
	only := []int32{}
	for p := range n {
		if w.rng.IntN(2) == 0 {
			only = append(only, int32(p))
		}
	}
	return only
}

// needed returns the partitions that a stage is to compute.
func (w *world) needed(key stageKey) []int32 {
	spec := w.stages[key]
	if spec.Only != nil {
		return spec.Only
	}
	all := make([]int32, spec.Partitions)
	for p := range all {
		all[p] = int32(p)
	}
	return all
}

func (w *world) anyRunning() *simTask {
	for _, name := range w.sortedNames() {
		if r := w.executors[name].running; len(r) > 0 {
			return r[0]
		}
	}
	return nil
}

// endOne ends a task on a random executor, well or badly.
func (w *world) endOne() error {
	names := w.sortedNames()
	at := w.rng.IntN(len(names))
	for i := range names {
		name := names[(at+i)%len(names)]
		x := w.executors[name]
		if len(x.running) == 0 {
			continue
		}
		n := w.rng.IntN(len(x.running))
		t := x.running[n]
		e := TaskEnded{Executor: name, Task: t.task}
		spec := w.stages[stageKey{t.task.Batch, t.task.Stage}]
		if !w.calm {
			switch r := w.rng.IntN(40); {
			case r < 3:
				e.How = Failed
			case r < 5:
				e.How = Interrupted
			case r < 9 && len(spec.Parents) > 0:
				e.How = FetchFailed
				parent := spec.Parents[w.rng.IntN(len(spec.Parents))]
				e.Fetch = Fetch{parent, int32(w.rng.IntN(7)) - 1, w.pick()}
			case r < 11:
				e.How = BlockMissing
			}
		}
		x.running = slices.Delete(x.running, n, n+1)
		if w.rng.IntN(20) == 0 { // it will say so twice
			w.ghosts = append(w.ghosts, e)
		}
		return w.stepEnded(e, t)
	}
	return w.step(Tick{})
}

// stepEnded checks that a success is accepted exactly if it wasn't killed.
func (w *world) stepEnded(e TaskEnded, t *simTask) error {
	accepts := 0
	for _, a := range w.kernel.Step(w.at, e) {
		if a, ok := a.(Accept); ok {
			if accepts++; a.Task != t.task || a.Executor != e.Executor {
				return fmt.Errorf("%s ended, but %s was accepted", t.task, a.Task)
			}
			key := partKey{stageKey{t.task.Batch, t.task.Stage}, t.task.Partition}
			if _, ok := w.outputs[key]; ok {
				return fmt.Errorf("%s was accepted, after another attempt", t.task)
			}
			w.outputs[key] = accepted{a.Executor, t.task.Attempt, t.read}
			continue
		}
		if err := w.check(a); err != nil {
			return fmt.Errorf("after the end of %s: %w", t.task, err)
		}
	}
	if want := e.How == Succeeded && !t.killed; (accepts == 1) != want {
		return fmt.Errorf("%s ended with %d on %s (killed: %v) and was accepted %d times", t.task, e.How, e.Executor, t.killed, accepts)
	}
	return nil
}

func (w *world) step(e Event) error {
	for _, a := range w.kernel.Step(w.at, e) {
		if a, ok := a.(Accept); ok {
			return fmt.Errorf("%T: accepted %s, which didn't end now", e, a.Task)
		}
		if err := w.check(a); err != nil {
			return fmt.Errorf("after %T: %w", e, err)
		}
	}
	return nil
}

// check carries out a decision and reports whether it breaks a rule.
func (w *world) check(a Action) error {
	switch a := a.(type) {
	case Launch:
		return w.launch(a)
	case Kill:
		x := w.executors[a.Executor]
		for _, t := range x.running {
			if t.task == a.Task {
				t.killed = true
				return nil
			}
		}
		return fmt.Errorf("%s was killed on %s, where it doesn't run", a.Task, a.Executor)
	case OutputLost:
		key := partKey{stageKey{a.Batch, a.Stage}, a.Partition}
		if _, ok := w.outputs[key]; !ok {
			return fmt.Errorf("%v was lost twice, or never there", key)
		}
		delete(w.outputs, key)
		w.lost++
	case JobDone:
		stages, ok := w.jobs[a.Job]
		if !ok {
			return fmt.Errorf("job %v is done, but didn't run", a.Job)
		}
		delete(w.jobs, a.Job)
		w.done++
		return w.complete(stageKey{a.Job.Batch, stages[len(stages)-1].ID})
	case JobFailed:
		if _, ok := w.jobs[a.Job]; !ok {
			return fmt.Errorf("job %v failed, but didn't run", a.Job)
		}
		if a.Why == Malformed {
			return fmt.Errorf("job %v is said to be malformed", a.Job)
		}
		delete(w.jobs, a.Job)
		w.failed++
	case CutAgain:
		if w.jobs[a.Job] == nil {
			return fmt.Errorf("job %v is to be cut again, but doesn't run", a.Job)
		}
		w.cuts = append(w.cuts, a)
		w.missed++
	case Wake:
		w.wake = a.At
	}
	return nil
}

func (w *world) launch(l Launch) error {
	x := w.executors[l.Executor]
	switch {
	case x == nil:
		return fmt.Errorf("%s was launched on %s, which is gone", l.Task, l.Executor)
	case len(x.running) >= tasksPerSlot*x.slots:
		return fmt.Errorf("%s was launched on %s, which runs %d already", l.Task, l.Executor, len(x.running))
	case w.launched[l.Task]:
		return fmt.Errorf("%s was launched twice", l.Task)
	}
	for name, o := range w.executors {
		for _, t := range o.running {
			if other := t.task; !t.killed && other.Batch == l.Task.Batch && other.Stage == l.Task.Stage && other.Partition == l.Task.Partition {
				return fmt.Errorf("%s was launched while %s runs on %s", l.Task, other, name)
			}
		}
	}
	key := stageKey{l.Task.Batch, l.Task.Stage}
	if !slices.Contains(w.needed(key), l.Task.Partition) {
		return fmt.Errorf("%s was launched, of which only %v are needed", l.Task, w.needed(key))
	}
	if out, ok := w.outputs[partKey{key, l.Task.Partition}]; ok {
		return fmt.Errorf("%s was launched, but attempt %d was accepted", l.Task, out.attempt)
	}
	for _, p := range w.read(key) {
		if err := w.complete(stageKey{l.Task.Batch, p}); err != nil {
			return fmt.Errorf("launching %s: %w", l.Task, err)
		}
	}
	w.launched[l.Task] = true
	w.launches++
	x.running = append(x.running, &simTask{task: l.Task, read: w.given(key)})
	return nil
}

// read returns the parents that a stage reads for certain.
func (w *world) read(key stageKey) []int32 {
	return slices.DeleteFunc(slices.Clone(w.stages[key].Parents), func(p int32) bool { return w.cached[edge{key, p}] })
}

// given describes which attempts of indeterminate outputs a stage reads.
func (w *world) given(key stageKey) map[int32]string {
	s := make(map[int32]string)
	for _, id := range w.read(key) {
		parent := w.stages[stageKey{key.batch, id}]
		for p := range parent.Partitions {
			if parent.Indeterminate {
				s[id] += fmt.Sprintf("%d/%d#%d ", id, p, w.outputs[partKey{stageKey{key.batch, id}, int32(p)}].attempt)
			}
		}
	}
	return s
}

// complete checks that all of a stage's partitions count, that map output is where
// it can be read, and that all were computed from the same indeterminate output.
func (w *world) complete(key stageKey) error {
	needed := w.needed(key)
	for _, p := range needed {
		out, ok := w.outputs[partKey{key, p}]
		switch {
		case !ok:
			return fmt.Errorf("partition %d of stage %v is missing", p, key)
		case key.id >= 0 && w.executors[out.executor] == nil:
			return fmt.Errorf("the output of partition %d of stage %v was on %s, which is gone", p, key, out.executor)
		}
		first := w.outputs[partKey{key, needed[0]}]
		for _, id := range w.read(key) {
			if out.read[id] != first.read[id] {
				return fmt.Errorf("partitions %d and %d of stage %v were computed from different attempts: %s and %s", needed[0], p, key, first.read[id], out.read[id])
			}
		}
	}
	return nil
}

package replay

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// Copy is an executor's copy of a batch program, which follows the driver's. It begins
// with the first entry that it is told.
//
// THREADING: follow is the copy's goroutine, which runs the program; Stop ends it and
// Wait waits for it. Tell and Find are called by others. mu guards all below it.
type Copy struct {
	program  *plan.Program
	diverged func(error) // told once why the copy can't follow
	forget   func(Gone)
	patience time.Duration
	work     sync.WaitGroup

	lineage *lineage.Lineage // of follow
	steps   uint64           // of follow: that the copy has come to
	turn    turn

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when what follows has changed
	entries  []Entry       // told and not taken by follow
	queued   int           // bytes of entries
	filled   time.Time     // when they came to be too many; what it says only counts as long as they are
	told     bool          // the first entry has come
	open     uint64        // the step at which it is, found equal to the driver's; 0 if it isn't at one
	done     uint64        // the last step that is done
	action   lineage.Action
	shuffles map[int]*lineage.ShuffleDependency
	ended    bool
	err      error // why the program ended
	failure  error // why the copy can't follow
	stopped  bool
}

// taskPatience is how long a task waits for the copy to come to the step that it is of.
const taskPatience = 2 * time.Minute

// NewCopy returns a copy that has begun nothing. diverged is told why it can't follow;
// forget drops what is kept of what nobody needs any more. They don't block.
func NewCopy(p *plan.Program, diverged func(error), forget func(Gone)) *Copy {
	return &Copy{
		program: p, diverged: diverged, forget: forget, patience: taskPatience,
		changed: make(chan struct{}), shuffles: make(map[int]*lineage.ShuffleDependency),
	}
}

// maxQueued is how many bytes of entries a copy that is behind is told and hasn't taken.
const maxQueued = 16 << 20

// Room waits until the copy can be told more: one that is behind, since its process came
// late, keeps no more than maxQueued bytes and what is told last. A copy that has had no room
// for as long as tasks wait for it isn't waited for, whether it takes something meanwhile or
// not: behind what it is to be told there are tasks, and others that are to be killed. The
// error is why ctx ended.
func (c *Copy) Room(ctx context.Context) error {
	for {
		changed, patience := c.full()
		if patience <= 0 {
			return nil
		}
		late := time.NewTimer(patience)
		select {
		case <-changed:
		case <-late.C:
		case <-ctx.Done():
			late.Stop()
			return context.Cause(ctx)
		}
		late.Stop()
	}
}

// full returns for how long to wait for room, 0 or less if there is some or there never will
// be, and what is closed when that may have changed.
func (c *Copy) full() (changed <-chan struct{}, patience time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued <= maxQueued || c.stopped || c.ended || c.failure != nil {
		return nil, 0
	}
	return c.changed, c.patience - time.Since(c.filled)
}

// Tell hands an entry to the copy. It doesn't block; who has many asks for [Copy.Room].
func (c *Copy) Tell(e Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	if c.entries = append(c.entries, e); c.queued <= maxQueued {
		c.filled = time.Now() // if it is with this one
	}
	c.queued += e.size()
	c.wake()
	if !c.told {
		c.told = true
		c.work.Go(c.follow)
	}
	if c.ended && e.Begun != nil {
		c.fail(c.endedEarly(e))
	}
}

// Stop ends the copy at its next step, or where it waits. Tasks find nothing any more.
func (c *Copy) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.wake()
}

// Wait waits for the copy to end, which was stopped.
func (c *Copy) Wait() { c.work.Wait() }

// follow runs the program.
func (c *Copy) follow() {
	sc := c.program.NewContext(copyRunner{c})
	c.lineage = sc.Lineage()
	err := c.program.RunBody(sc)
	c.lineage.Freeze("the program has ended")
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = c.lineage.Err()
	}
	c.ended, c.err = true, err
	if len(c.entries) > 0 && c.entries[0].Begun != nil {
		c.fail(c.endedEarly(c.entries[0]))
	}
	c.wake()
}

// endedEarly is why a copy can't follow that has ended before the driver has.
func (c *Copy) endedEarly(e Entry) error {
	how := "it returned"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("%w: an executor's copy has ended before step %d (%s): %s", plan.ErrDiverged, e.Step, e.Begun.Lines[len(e.Begun.Lines)-1], how)
}

// fail notes why the copy can't follow. It is called with mu held.
func (c *Copy) fail(err error) {
	if c.failure == nil && !c.stopped {
		c.failure = err
		c.diverged(err)
		c.wake()
	}
}

// wake is called with mu held.
func (c *Copy) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Found is what a task's coordinates name; one of the two is set.
type Found struct {
	Action  *lineage.Action
	Shuffle *lineage.ShuffleDependency
}

// errLate is told to tasks that waited for too long for the copy.
var errLate = errors.New("the executor's copy of the program hasn't come to the task's step")

// ErrOver is told to tasks that nobody waits for.
var ErrOver = errors.New("the task's step is done, or its copy of the program has ended")

// Find returns what a task is to do. If the copy hasn't come to it yet, Find waits; if it
// can't follow, too, but for toldPatience at most: the driver was told once, and kills the
// tasks with the job. Each of them would only say it again, which helps if the driver didn't
// hear it.
func (c *Copy) Find(ctx context.Context, id scheduler.TaskID) (Found, error) {
	late := time.NewTimer(c.patience)
	defer late.Stop()
	told := false
	for {
		f, changed, err := c.look(id)
		if err != nil || f != (Found{}) {
			return f, err
		}
		if !told && c.failed() {
			told = true
			late.Reset(min(toldPatience, c.patience))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Found{}, context.Cause(ctx)
		case <-late.C:
			return Found{}, c.tooLate(id)
		}
	}
}

// toldPatience is for how long tasks of a copy that can't follow wait to be killed.
const toldPatience = 10 * time.Second

// failed reports whether the copy can't follow.
func (c *Copy) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure != nil
}

// tooLate is why a task has waited for too long.
func (c *Copy) tooLate(id scheduler.TaskID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return c.failure
	}
	return fmt.Errorf("%w within %s: %s; it is at: %s", errLate, c.patience, id, c.program.Calls)
}

// look returns what a task is to do, or nothing and what is closed when there may be
// more to see.
func (c *Copy) look(id scheduler.TaskID) (f Found, changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	step, isAction := id.Output()
	number, _ := id.Shuffle()
	switch shuffle := c.shuffles[number]; {
	case c.stopped:
		err = ErrOver
	case c.failure != nil: // the driver ends the job
	case !isAction && shuffle != nil:
		f.Shuffle = shuffle
	case isAction && c.open == uint64(step):
		action := c.action
		f.Action = &action
	case isAction && c.done >= uint64(step), c.ended:
		err = ErrOver
	}
	return f, c.changed, err
}

// step comes to the next step and waits for what the driver says of it.
func (c *Copy) step(op string, site lineage.Site, describe func(made *lineage.Lineage) *Step, a *lineage.Action) ([][]byte, []task.Update, error) {
	if err := c.turn.begin(c.lineage, op, site); err != nil {
		c.program.TooLate(err)
		return nil, nil, err
	}
	defer c.turn.end(c.lineage)
	made := c.lineage.Drain()
	step := describe(made)
	c.steps++
	begun := c.take()
	switch {
	case begun.Begun == nil || begun.Step != c.steps:
		c.quit(fmt.Errorf("%w: the driver told of step %d where step %d was to begin", plan.ErrDiverged, begun.Step, c.steps))
	case !step.equal(begun.Begun):
		c.quit(&plan.DivergedError{Step: c.steps, Driver: begun.Begun.Lines, Executor: step.Lines})
	}
	c.arrive(a, begun.Gone)
	done := c.take()
	c.depart()
	if done.Result == nil || done.Step != c.steps {
		c.quit(fmt.Errorf("%w: the driver told of step %d where step %d was to end", plan.ErrDiverged, done.Step, c.steps))
	}
	return done.Result.values()
}

// take waits for the next entry. A copy that was stopped, or can't follow, ends there.
func (c *Copy) take() Entry {
	for {
		c.mu.Lock()
		over, changed := c.stopped || c.failure != nil, c.changed
		if !over && len(c.entries) > 0 {
			defer c.mu.Unlock()
			return c.pop()
		}
		c.mu.Unlock()
		if over {
			runtime.Goexit()
		}
		<-changed
	}
}

// pop takes the first entry. It is called with mu held.
func (c *Copy) pop() Entry {
	e := c.entries[0]
	c.entries[0] = Entry{}
	c.entries = c.entries[1:]
	c.queued -= e.size()
	c.wake()
	return e
}

// quit ends the copy, which can't follow.
func (c *Copy) quit(err error) {
	c.mu.Lock()
	c.fail(err)
	c.mu.Unlock()
	runtime.Goexit()
}

// arrive lets tasks find what a step computes; a value, nil, computes nothing. What is
// gone is dropped.
func (c *Copy) arrive(a *lineage.Action, gone Gone) {
	if len(gone.Shuffles)+len(gone.Cached) > 0 {
		c.forget(gone)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range gone.Shuffles {
		delete(c.shuffles, id)
	}
	if a != nil {
		c.action = *a
		c.learn(a.Final)
	}
	c.open = c.steps
	c.wake()
}

// learn notes the shuffles that a node is computed from. It is called with mu held.
func (c *Copy) learn(n *lineage.Node) {
	seen := map[*lineage.Node]bool{n: true}
	for todo := []*lineage.Node{n}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, d := range n.Deps {
			if s, ok := d.(*lineage.ShuffleDependency); ok {
				if c.shuffles[s.ID] != nil {
					continue // and so are those before it
				}
				c.shuffles[s.ID] = s
			}
			if p := d.ParentNode(); !seen[p] {
				seen[p] = true
				todo = append(todo, p)
			}
		}
	}
}

// depart says that the step is done.
func (c *Copy) depart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open, c.done, c.action = 0, c.steps, lineage.Action{}
	c.wake()
}

// copyRunner is the copy as its program sees it. It implements rdd.Runner.
type copyRunner struct{ *Copy }

func (c copyRunner) MaxResultBytes() int { return c.program.Settings.MaxResultSize }

// Run waits for what came of an action.
func (c copyRunner) Run(a lineage.Action) ([][]byte, error) { return first(c.RunAccumulating(a)) }

// RunAccumulating implements rdd.AccumulatingRunner.
func (c copyRunner) RunAccumulating(a lineage.Action) ([][]byte, []task.Update, error) {
	return c.step(a.Op, a.Site, func(made *lineage.Lineage) *Step { return actionStep(made, a) }, &a)
}

// Value waits for a value.
func (c copyRunner) Value(site lineage.Site, _ func() ([]byte, error)) ([]byte, error) {
	return theValue(c.step("value", site, func(made *lineage.Lineage) *Step { return valueStep(made, site) }, nil))
}

// OnDriver does nothing: this isn't the driver.
func (c copyRunner) OnDriver(lineage.Site, func() error) error { return nil }

var (
	_ rdd.AccumulatingRunner = copyRunner{}
	_ rdd.AccumulatingRunner = driverRunner{}
)

package kernel

import (
	"cmp"
	"slices"
	"time"
)

// queue holds the tasks of an active stage that are to be launched. A task may
// be in several of its lists; entries of tasks that aren't pending any more are
// skipped when they come up.
type queue struct {
	size     int     // invariant: the number of pending and paused tasks of the stage
	fresh    []int32 // not yet put into the other lists
	anywhere fifo    // for whatever executor is free
	prefer   map[*executor]*fifo
	avoid    []int32 // for any executor but the one they failed on
	held     []held  // those of prefer and avoid, by time
	paused   []held  // for nobody yet, by time
}

// held is a task that is looked at again from some time on: any executor may have
// it then, or, if it is paused, the one that suits it.
type held struct {
	partition int32
	until     time.Duration
}

// fifo is a list of partitions, taken from its front.
type fifo struct {
	items []int32
	next  int
}

func (f *fifo) push(p int32) { f.items = append(f.items, p) }

// pop returns the next partition that is pending.
func (f *fifo) pop(s *stage) (int32, bool) {
	for f.next < len(f.items) {
		p := f.items[f.next]
		f.next++
		if s.tasks[p].state == pending {
			return p, true
		}
	}
	f.items, f.next = f.items[:0], 0
	return 0, false
}

// enqueue adds a pending task of an active stage.
func (k *Kernel) enqueue(s *stage, p int32) {
	s.queue.fresh = append(s.queue.fresh, p)
	k.fresh = true
	if s.queue.size++; s.queue.size == 1 {
		i, _ := slices.BinarySearchFunc(k.sets, s, func(a, b *stage) int { return int(a.order) - int(b.order) })
		k.sets = slices.Insert(k.sets, i, s)
	}
}

// withdraw empties a stage's queue.
func (k *Kernel) withdraw(s *stage) {
	if s.queue.size > 0 {
		k.sets = slices.DeleteFunc(k.sets, func(o *stage) bool { return o == s })
	}
	s.queue = queue{}
}

// dispatch launches what can be launched, older stages first.
func (k *Kernel) dispatch() {
	if len(k.sets) == 0 || len(k.free) == 0 && len(k.freed) == 0 && !k.fresh {
		return
	}
	k.fresh = false
	kept := k.sets[:0]
	for _, s := range k.sets {
		k.offer(s)
		if s.queue.size > 0 {
			kept = append(kept, s)
		} else {
			s.queue = queue{}
		}
	}
	clear(k.sets[len(kept):])
	k.sets = kept
	k.setWake()
}

// offer launches the tasks of one stage for which there is a slot.
func (k *Kernel) offer(s *stage) {
	for len(s.queue.paused) > 0 && s.queue.paused[0].until <= k.now {
		p := s.queue.paused[0].partition
		s.queue.paused = s.queue.paused[1:]
		s.tasks[p].state = pending
		k.settle(s, p)
	}
	for _, p := range s.queue.fresh {
		k.settle(s, p)
	}
	s.queue.fresh = s.queue.fresh[:0]
	for _, x := range k.freed {
		for k.takes(x, s) {
			p, ok := s.queue.popFor(s, x)
			if !ok {
				break
			}
			k.launch(s, p, x)
		}
	}
	for len(k.free) > 0 && s.queue.size > 0 {
		p, ok := s.queue.popAny(s, k.now)
		if !ok {
			return
		}
		k.launch(s, p, k.nextFree())
	}
	for _, x := range k.freed {
		for k.takes(x, s) && k.plenty(s, x) {
			p, ok := s.queue.anywhere.pop(s)
			if !ok {
				return
			}
			k.launch(s, p, x)
		}
	}
}

// settle launches a fresh task on the executor that suits it, or puts it into the
// list where it is looked for.
func (k *Kernel) settle(s *stage, p int32) {
	if t := &s.tasks[p]; t.after > k.now {
		t.state = paused // the other lists may name it still
		s.queue.pause(p, t.after)
		return
	}
	if x := s.holder(p); x != nil && s.bound {
		k.await(s, p, x, BoundWait)
		return
	}
	if k.config.LocalityWait <= 0 || len(k.executors) == 1 && !k.brief(s) {
		if x := s.holder(p); x != nil && x != s.tasks[p].executor && k.takes(x, s) {
			k.launch(s, p, x)
		} else {
			s.queue.anywhere.push(p)
		}
		return
	}
	if bad := s.tasks[p].executor; bad != nil && !bad.gone && len(k.executors) > 1 {
		if x := k.freeBut(bad); x != nil {
			k.launch(s, p, x)
			return
		}
		s.queue.avoid = append(s.queue.avoid, p)
		s.queue.hold(p, k.now+k.config.LocalityWait)
		return
	}
	x := s.holder(p)
	if x == nil {
		x = s.place.of(s.partition(p))
	}
	if x == nil {
		s.queue.anywhere.push(p)
		return
	}
	k.await(s, p, x, k.config.LocalityWait)
}

// BoundWait is how long a task of a bound stage waits for the executor that it is bound to.
const BoundWait = 10 * time.Second

// await launches a task on an executor, or has it wait so long for that one.
func (k *Kernel) await(s *stage, p int32, x *executor, wait time.Duration) {
	if k.takes(x, s) {
		k.launch(s, p, x)
		return
	}
	if s.queue.prefer == nil {
		s.queue.prefer = make(map[*executor]*fifo)
	}
	if s.queue.prefer[x] == nil {
		s.queue.prefer[x] = &fifo{}
	}
	s.queue.prefer[x].push(p)
	s.queue.hold(p, k.now+wait)
}

// tasksPerSlot bounds the tasks of an executor, those that wait there for a slot
// among them.
const tasksPerSlot = 4

// quickPerTask is how many quick tasks of a stage allow for one of it more at each slot.
const quickPerTask = 8

// takes reports whether an executor takes a task of a stage: it has a free slot, or
// one will be free before the task would go to another executor, as far as is known.
// So an executor goes on with the next brief task without asking for it.
func (k *Kernel) takes(x *executor, s *stage) bool {
	if x.index >= 0 {
		return true
	}
	brief := len(x.running) - x.long
	return !x.gone && brief < k.depth(s)*(x.slots-x.long) && k.brief(s)
}

// plenty reports whether a stage has so many tasks to launch that every executor could
// have as many as x may have: none idles since others have them.
func (k *Kernel) plenty(s *stage, x *executor) bool {
	return s.queue.size >= k.depth(s)*x.slots*len(k.executors)
}

// brief reports whether a stage's tasks are known to hold a slot no longer than they would
// wait for the executor that they prefer.
func (k *Kernel) brief(s *stage) bool { return k.depth(s) > 1 }

// depth returns how many tasks of a stage an executor may have for each slot.
func (k *Kernel) depth(s *stage) int {
	if s.place.brief(s.batch.seq, k.config.LocalityWait) {
		return tasksPerSlot
	}
	return min(max(1, s.quick/quickPerTask), tasksPerSlot)
}

// observe takes in how long after its launch a task of the stage held no slot any more. While
// that is well below the time that tasks wait for the executor that they prefer, more and more
// may be at an executor; when it is above, none waits there any more.
func (s *stage) observe(took, wait time.Duration) {
	switch {
	case took > wait:
		s.quick = 0
	case took <= wait/2:
		s.quick++
	}
}

// freeBut returns an executor with a free slot other than x, nil if there is none.
func (k *Kernel) freeBut(x *executor) *executor {
	for range min(2, len(k.free)) {
		if f := k.nextFree(); f != x {
			return f
		}
	}
	return nil
}

// nextFree returns executors with a free slot by turns.
func (k *Kernel) nextFree() *executor {
	x := k.free[k.turn%len(k.free)]
	k.turn++
	return x
}

func (q *queue) hold(p int32, until time.Duration) { q.held = append(q.held, held{p, until}) }

// pause keeps a task back until a time.
func (q *queue) pause(p int32, until time.Duration) {
	i, _ := slices.BinarySearchFunc(q.paused, until, func(h held, t time.Duration) int { return cmp.Compare(h.until, t) })
	q.paused = slices.Insert(q.paused, i, held{p, until})
}

// popFor returns a task that prefers x, or one that avoids another.
func (q *queue) popFor(s *stage, x *executor) (int32, bool) {
	if f := q.prefer[x]; f != nil {
		if p, ok := f.pop(s); ok {
			return p, true
		}
	}
	const looks = 8 // so that many failures on one executor don't make this slow
	for i := 0; i < min(looks, len(q.avoid)); {
		p := q.avoid[i]
		t := &s.tasks[p]
		if t.state == pending && t.executor == x {
			i++
			continue
		}
		q.avoid = slices.Delete(q.avoid, i, i+1)
		if t.state == pending {
			return p, true
		}
	}
	return 0, false
}

// popAny returns a task that any executor may have now.
func (q *queue) popAny(s *stage, now time.Duration) (int32, bool) {
	if p, ok := q.anywhere.pop(s); ok {
		return p, true
	}
	q.trim(s)
	if len(q.held) > 0 && q.held[0].until <= now {
		p := q.held[0].partition
		q.held = q.held[1:]
		return p, true
	}
	return 0, false
}

// trim drops the first held tasks that aren't pending any more.
func (q *queue) trim(s *stage) {
	for len(q.held) > 0 && s.tasks[q.held[0].partition].state != pending {
		q.held = q.held[1:]
	}
}

// launch runs a pending task on an executor that takes it.
func (k *Kernel) launch(s *stage, p int32, x *executor) {
	t := &s.tasks[p]
	number := t.tries
	t.tries++
	t.state, t.executor = running, x
	s.running++
	s.queue.size--
	s.place.set(s.partition(p), x)
	long := !k.brief(s)
	if long {
		x.long++
	}
	k.launches++
	x.running = append(x.running, attempt{number: k.launches, stage: s, index: p, task: s.task(p, number), stageAttempt: s.attempt, seen: s.seen, launched: k.now, long: long})
	if len(x.running) == x.slots {
		k.takeOff(x)
	}
	k.do(Launch{x.id, x.running[len(x.running)-1].task, s.attempt})
}

// setWake asks for a tick when the next held task may run anywhere, or the next
// paused one at all, if a slot is free for it.
func (k *Kernel) setWake() {
	if len(k.free) == 0 {
		return
	}
	var next time.Duration
	for _, s := range k.sets {
		s.queue.trim(s)
		for _, h := range [][]held{s.queue.held, s.queue.paused} {
			if len(h) > 0 && (next == 0 || h[0].until < next) {
				next = h[0].until
			}
		}
	}
	if next != 0 && (k.wake == 0 || next < k.wake) {
		k.wake = next
		k.do(Wake{next})
	}
}

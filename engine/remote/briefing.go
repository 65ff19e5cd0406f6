package remote

import (
	"slices"
	"sync"
)

// listener is told what every executor is told.
type listener interface {
	// open says what holds when the listener joins; hold is nil before the first.
	open(hold *Hold, f Forget, invocations []*Invoke)
	hold(h *Hold)
	invoke(i *Invoke)
	forget(f Forget)
	forgetShuffles(f *ForgetShuffles)
}

// briefing is what every executor must know: the batches that are in flight and the
// versions of models. Who joins is told what holds now and each change from then on.
//
// THREADING: mu guards it and is held while listeners are told, which doesn't block:
// so all of them hear the same in the same order.
type briefing struct {
	mu          sync.Mutex
	listeners   map[listener]struct{}
	invocations []*Invoke // not forgotten, ascending
	forgotten   Forget
	held        *Hold // nil before the first
}

func newBriefing() *briefing { return &briefing{listeners: make(map[listener]struct{})} }

func (b *briefing) join(l listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners[l] = struct{}{}
	l.open(b.held, b.forgotten, b.invocations)
}

func (b *briefing) leave(l listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.listeners, l)
}

// invoke tells of a batch, until it is forgotten.
func (b *briefing) invoke(i *Invoke) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.invocations = append(b.invocations, i)
	for l := range b.listeners {
		l.invoke(i)
	}
}

// forget drops batches. Who joins later is told of those that others reach back to, after
// it was told that they are complete.
func (b *briefing) forget(f Forget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgotten = f
	b.invocations = slices.DeleteFunc(b.invocations, func(i *Invoke) bool { return i.Seq < f.Keep })
	for l := range b.listeners {
		l.forget(f)
	}
}

// forgetShuffles drops where the outputs of shuffles are.
func (b *briefing) forgetShuffles(f *ForgetShuffles) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.listeners {
		l.forgetShuffles(f)
	}
}

// hold says which versions of models executors are to have.
func (b *briefing) hold(h *Hold) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = h
	for l := range b.listeners {
		l.hold(h)
	}
}

// holding returns what an executor that comes now is to have.
func (b *briefing) holding() *Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

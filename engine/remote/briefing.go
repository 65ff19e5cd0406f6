package remote

import "sync"

// listener is told what every executor is told.
type listener interface {
	// open says what holds when the listener joins; hold is nil before the first. So many
	// invocations are there to be read.
	open(hold *Hold, f Forget, invocations *recordReader, n int)
	hold(h *Hold)
	// invoke says that one more is there.
	invoke()
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
	invocations *record
	forgotten   Forget
	held        *Hold // nil before the first
}

func newBriefing(r *record) *briefing {
	return &briefing{listeners: make(map[listener]struct{}), invocations: r}
}

func (b *briefing) join(l listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners[l] = struct{}{}
	invocations, n := b.invocations.reader()
	l.open(b.held, b.forgotten, invocations, n)
}

func (b *briefing) leave(l listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.listeners, l)
}

// invoke tells of a batch, until it is forgotten.
func (b *briefing) invoke(i *Invoke) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.invocations.add(i); err != nil {
		return err
	}
	for l := range b.listeners {
		l.invoke()
	}
	return nil
}

// forget drops batches. Who joins later is told of those that others reach back to, after
// it was told that they are complete.
func (b *briefing) forget(f Forget) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgotten = f
	err := b.invocations.forget(f.Keep)
	for l := range b.listeners {
		l.forget(f)
	}
	return err
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

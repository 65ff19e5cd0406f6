package remote

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Reception is what executors receive for, beside their tasks. Told and Lost are called by
// several goroutines, don't block and call nothing here.
type Reception struct {
	Inputs []int32
	// Told takes a message of an input's receiver.
	Told func(input int32, message []byte)
	// Lost is told why nobody receives for an input any more, or yet. When somebody does
	// it hears nothing: receivers tell that themselves.
	Lost func(input int32, why string)
}

// reception says which executor receives for which input: one at a time for each, as far as
// the driver knows. An executor that is lost may go on for some seconds, until it has
// noticed.
//
// THREADING: mu guards it. Of other locks only an outbox's is taken meanwhile, and those that
// Lost takes.
type reception struct {
	mu      sync.Mutex
	wanted  Reception         // without inputs before Receive, and at its end
	ready   map[place][]int32 // for which inputs each executor that takes tasks receives
	changed chan struct{}     // closed and replaced when an executor receives for fewer
}

// place is an executor that takes tasks.
type place interface {
	String() string
	// receiveFor says for which inputs it receives, in place of what was said before. It
	// doesn't block.
	receiveFor(inputs []int32)
}

func newReception() *reception {
	return &reception{ready: make(map[place][]int32), changed: make(chan struct{})}
}

// receiveEnd is how long receivers may take to end.
const receiveEnd = 40 * time.Second

// Receive has executors receive for inputs until ctx ends: each is received for by one
// executor, and when that is lost by another one. Then it ends the receivers and waits for
// them, for 40 s at most.
func (b *Backend) Receive(ctx context.Context, r Reception) {
	b.reception.want(r)
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiveEnd)
	defer cancel()
	b.reception.end(end)
}

// want begins the reception.
func (r *reception) want(w Reception) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wanted = w; len(r.ready) == 0 {
		r.lose(w.Inputs, "no executor takes tasks")
	}
	r.assign()
}

// join takes in an executor that takes tasks.
func (r *reception) join(p place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready[p] = nil
	r.assign()
}

// leave takes off an executor. Others receive in its place.
func (r *reception) leave(p place, cause string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	inputs := r.ready[p]
	delete(r.ready, p)
	r.lose(inputs, fmt.Sprintf("executor %s, which received, is lost: %s", p, cause)) // before another one tells anything
	r.assign()
	r.wake()
}

// lose says why nobody receives for inputs. mu is held.
func (r *reception) lose(inputs []int32, why string) {
	for _, input := range inputs {
		r.wanted.Lost(input, why)
	}
}

// heard takes what an executor's receiver tells. One that has ended, since nothing more
// comes, isn't begun again.
func (r *reception) heard(p place, m *Received) {
	r.mu.Lock()
	told := r.wanted.Told
	if m.Ended {
		isIt := func(input int32) bool { return input == m.Input }
		r.wanted.Inputs = slices.DeleteFunc(slices.Clone(r.wanted.Inputs), isIt)
		r.ready[p] = slices.DeleteFunc(slices.Clone(r.ready[p]), isIt)
		r.wake()
	}
	r.mu.Unlock()
	if !m.Ended && told != nil {
		told(m.Input, m.Message)
	}
}

// assign has executors receive for the inputs that nobody receives for, each the one with the
// fewest. mu is held.
func (r *reception) assign() {
	taken := slices.Concat(slices.Collect(maps.Values(r.ready))...)
	for _, input := range r.wanted.Inputs {
		if best := r.idlest(); best != nil && !slices.Contains(taken, input) {
			r.ready[best] = append(slices.Clone(r.ready[best]), input) // the message keeps the one before
			best.receiveFor(r.ready[best])
		}
	}
}

// idlest returns the executor that receives for the fewest inputs, of several the first by
// name, nil if there is none. mu is held.
func (r *reception) idlest() (best place) {
	for p, inputs := range r.ready {
		if best == nil || len(inputs) < len(r.ready[best]) || len(inputs) == len(r.ready[best]) && p.String() < best.String() {
			best = p
		}
	}
	return best
}

// end ends all receivers, and waits for them until ctx ends.
func (r *reception) end(ctx context.Context) {
	r.mu.Lock()
	r.wanted.Inputs = nil
	for p, inputs := range r.ready {
		if len(inputs) > 0 {
			p.receiveFor(nil)
		}
	}
	r.mu.Unlock()
	for {
		changed := r.change()
		if r.left() == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// left returns how many receivers there are.
func (r *reception) left() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, inputs := range r.ready {
		n += len(inputs)
	}
	return n
}

// change returns what is closed when there are fewer. It is asked for before they are counted.
func (r *reception) change() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// wake closes what change has returned. mu is held.
func (r *reception) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Reception is of which inputs executors run the receivers, beside their tasks. Told, Lost and
// Failed are called by several goroutines, don't block and call nothing here. None is called
// after Receive has returned.
type Reception struct {
	Inputs []int32
	// Patience is how long receivers may take to end.
	Patience time.Duration
	// Told takes a message of an input's receiver.
	Told func(input int32, message []byte)
	// Lost is called when no executor runs the input's receiver, with the reason: any more,
	// or yet. When one does nothing is called: receivers tell that themselves.
	Lost func(input int32, why string)
	// Failed takes why an input's receiver has ended, if that isn't that nothing more comes.
	// It isn't begun again.
	Failed func(input int32, err error)
}

// reception says which executor runs which input's receiver: one at a time each, as far as
// the driver knows. An executor that is lost may go on for some seconds, until it has
// noticed.
//
// THREADING: mu guards all but changed. Of other locks only that one's and an outbox's are
// taken meanwhile, and those that Lost takes.
type reception struct {
	mu      sync.Mutex
	wanted  Reception         // the zero value before Receive and after it
	ready   map[place][]int32 // the inputs whose receivers each executor runs that takes tasks
	changed signal            // an executor runs fewer
	telling sync.WaitGroup    // calls of what is wanted without mu; they begin with mu held
}

// place is an executor that takes tasks.
type place interface {
	String() string
	// receiveFor says which inputs' receivers it runs, in place of what was said before. It
	// doesn't block.
	receiveFor(inputs []int32)
}

func newReception() *reception {
	return &reception{ready: make(map[place][]int32)}
}

// Receive has executors run inputs' receivers until ctx ends: each on one executor, and when
// that is lost on another one. Then it ends the receivers and waits for them, as long as
// r.Patience, and returns the inputs whose receivers go on.
func (b *Backend) Receive(ctx context.Context, r Reception) (left []int32) {
	b.reception.want(r)
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Patience)
	defer cancel()
	b.reception.end(end)
	return b.reception.close()
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

// leave takes off an executor. Others run its receivers.
func (r *reception) leave(p place, cause string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	inputs := r.ready[p]
	delete(r.ready, p)
	r.lose(inputs, fmt.Sprintf("executor %s, which ran the receiver, is lost: %s", p, cause)) // before another one tells anything
	r.assign()
	r.changed.wake()
}

// lose says why no executor runs inputs' receivers, if anybody wants to know. mu is held.
func (r *reception) lose(inputs []int32, why string) {
	if r.wanted.Lost == nil {
		return
	}
	for _, input := range inputs {
		r.wanted.Lost(input, why)
	}
}

// heard takes what an executor's receiver tells, if anybody wants to know. One that has ended
// isn't begun again.
func (r *reception) heard(p place, m *Received) {
	r.mu.Lock()
	wanted := r.wanted
	if wanted.Told != nil {
		r.telling.Add(1)
		defer r.telling.Done()
	}
	if m.Ended {
		isIt := func(input int32) bool { return input == m.Input }
		r.wanted.Inputs = slices.DeleteFunc(slices.Clone(r.wanted.Inputs), isIt)
		r.ready[p] = slices.DeleteFunc(slices.Clone(r.ready[p]), isIt)
		r.changed.wake()
	}
	r.mu.Unlock()
	switch {
	case wanted.Told == nil: // before Receive, or after it
	case m.Failure != "":
		wanted.Failed(m.Input, errors.New(m.Failure))
	case !m.Ended:
		wanted.Told(m.Input, m.Message)
	}
}

// assign has executors run the receivers that none runs, each the one with the fewest. mu is
// held.
func (r *reception) assign() {
	taken := slices.Concat(slices.Collect(maps.Values(r.ready))...)
	for _, input := range r.wanted.Inputs {
		if best := r.idlest(); best != nil && !slices.Contains(taken, input) {
			r.ready[best] = append(slices.Clone(r.ready[best]), input) // the message keeps the one before
			best.receiveFor(r.ready[best])
		}
	}
}

// idlest returns the executor that runs the fewest receivers, of several the first by name, nil
// if there is none. mu is held.
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
		changed := r.changed.next()
		if len(r.left()) == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// left returns the inputs whose receivers run, ascending.
func (r *reception) left() []int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Concat(slices.Collect(maps.Values(r.ready))...)
	slices.Sort(all)
	return all
}

// close ends the reception: nothing that was wanted is called any more. It returns the inputs
// whose receivers go on.
func (r *reception) close() (left []int32) {
	r.mu.Lock()
	r.wanted = Reception{}
	r.mu.Unlock()
	r.telling.Wait()
	return r.left()
}

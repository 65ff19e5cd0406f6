package remote

import (
	"context"
	"slices"
	"sync"
)

// Receivers are the inputs' receivers that run in a process.
//
// THREADING: mu guards running. Each receiver has a goroutine, for which Wait waits.
type Receivers struct {
	mu      sync.Mutex
	running []receiver // in the order in which they were begun
}

// receiver is one that runs.
type receiver struct {
	input int32
	ended chan struct{}
}

// Run runs an input's receiver on a goroutine of its own.
func (r *Receivers) Run(input int32, receive func()) {
	x := receiver{input, make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = append(r.running, x)
	go func() {
		receive()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.running = slices.DeleteFunc(r.running, func(other receiver) bool { return other == x })
		close(x.ended)
	}()
}

// Wait waits for all until ctx ends, and returns the inputs of those that go on.
func (r *Receivers) Wait(ctx context.Context) (left []int32) {
	for _, x := range r.those() {
		select {
		case <-x.ended:
		case <-ctx.Done():
		}
	}
	for _, x := range r.those() {
		left = append(left, x.input)
	}
	return left
}

// those returns the receivers that run.
func (r *Receivers) those() []receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.running)
}

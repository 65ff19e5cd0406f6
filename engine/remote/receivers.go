package remote

import (
	"context"
	"slices"
	"sync"
)

// receivers are the inputs' receivers that run in an executor process.
//
// THREADING: mu guards running. Each receiver has a goroutine, for which wait waits.
type receivers struct {
	mu      sync.Mutex
	running []receiver // in the order in which they were begun
}

// receiver is one that runs.
type receiver struct {
	input int32
	ended chan struct{}
}

// run runs an input's receiver on a goroutine of its own.
func (r *receivers) run(input int32, receive func()) {
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

// wait waits for all until ctx ends, and returns the inputs of those that go on.
func (r *receivers) wait(ctx context.Context) (left []int32) {
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
func (r *receivers) those() []receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.running)
}

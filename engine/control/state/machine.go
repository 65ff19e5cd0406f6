package state

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// errStopped says that the state machine met what it can't apply.
var errStopped = errors.New("this node has stopped")

// Machine applies commands to a state, and wakes who waits for news of it.
//
// THREADING: Raft calls Apply, Snapshot and Restore from one goroutine. Others
// read through View.
type Machine struct {
	mu      sync.RWMutex
	state   *State
	index   uint64        // of the last command applied
	changed chan struct{} // closed and replaced when there is news
	failure error         // why nothing more is applied

	failed chan struct{} // closed when failure is set
}

// New returns a machine before its first command.
func New() *Machine {
	return &Machine{state: newState(), changed: make(chan struct{}), failed: make(chan struct{})}
}

// Apply applies the command at an index of Raft's log. One that it doesn't know or
// can't read
// stops the machine for good: it is never skipped, and no snapshot is taken that
// would hide it. The node watches Stopped and ends.
func (f *Machine) Apply(index uint64, encoded []byte) (Result, error) {
	c, err := decodeCommand(encoded)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return Result{}, f.failure
	}
	if err != nil {
		f.failure = fmt.Errorf("%w at index %d of Raft's log: %w", errStopped, index, err)
		close(f.failed)
		return Result{}, f.failure
	}
	res, err := c.apply(f.state, index)
	f.index = index
	switch c.(type) {
	case *StartJob, *RecordValue, *AllocateBatch, *CompleteOutputs:
		// A job's own log is news to nobody, and it is what there is most of.
	default:
		f.state.divided.Store(nil)
		f.announce()
	}
	return res, err
}

// announce wakes who watches. mu is held.
func (f *Machine) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// View calls read with the state, which doesn't change meanwhile. read keeps
// nothing of it but payloads.
func (f *Machine) View(read func(s *State)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	read(f.state)
}

// Watch returns a channel that is closed after the next command that changes
// more than a job's log.
func (f *Machine) Watch() <-chan struct{} {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.changed
}

// Err returns why the machine has stopped, nil if it hasn't.
func (f *Machine) Err() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.failure
}

// Stopped returns a channel that is closed when nothing more is applied; Err says why.
func (f *Machine) Stopped() <-chan struct{} { return f.failed }

// Snapshot returns the state as it is now.
func (f *Machine) Snapshot() (*Snapshot, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.failure != nil {
		return nil, f.failure
	}
	return &Snapshot{f.state.clone(), f.index}, nil
}

// Restore replaces the state by a snapshot's.
func (f *Machine) Restore(r io.Reader) error {
	s, index, err := readSnapshot(r)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.index = s, index
	f.announce()
	return nil
}

// Snapshot is the state at one moment.
type Snapshot struct {
	state *State
	index uint64
}

// Write writes the snapshot.
func (s *Snapshot) Write(w io.Writer) error { return writeSnapshot(w, s.state, s.index) }

package control

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/wire"
)

// errStopped says that the state machine met what it can't apply.
var errStopped = errors.New("this node has stopped")

// fsm is Raft's state machine around a state.
//
// THREADING: Raft calls Apply, Snapshot and Restore from one goroutine. Others
// read through view.
type fsm struct {
	mu      sync.RWMutex
	state   *state
	index   uint64        // of the last command applied
	changed chan struct{} // closed and replaced when there is news
	failure error         // why nothing more is applied

	failed chan struct{} // closed when failure is set
}

func newFSM() *fsm {
	return &fsm{state: newState(), changed: make(chan struct{}), failed: make(chan struct{})}
}

// outcome is what Apply answers the proposer.
type outcome struct {
	result
	err error
}

// Apply applies a command of Raft's log. One that it doesn't know or can't read
// stops the machine for good: it is never skipped, and no snapshot is taken that
// would hide it. The node watches failed and ends.
func (f *fsm) Apply(l *raft.Log) any {
	c, err := decodeCommand(l.Data)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return outcome{err: f.failure}
	}
	if err != nil {
		f.failure = fmt.Errorf("%w at index %d of Raft's log: %w", errStopped, l.Index, err)
		close(f.failed)
		return outcome{err: f.failure}
	}
	res, err := c.apply(f.state, l.Index)
	f.index = l.Index
	switch c.(type) {
	case *startJob, *recordValue, *allocateBatch, *completeOutputs:
		// A job's own log is news to nobody, and it is what there is most of.
	default:
		f.announce()
	}
	return outcome{res, err}
}

// announce wakes who watches. mu is held.
func (f *fsm) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// view calls read with the state, which doesn't change meanwhile. read keeps
// nothing of it but payloads.
func (f *fsm) view(read func(s *state)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	read(f.state)
}

// viewAt is view with the index of the last command that was applied.
func (f *fsm) viewAt(read func(s *state, index uint64)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	read(f.state, f.index)
}

// watch returns a channel that is closed after the next command that changes
// more than a job's log.
func (f *fsm) watch() <-chan struct{} {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.changed
}

// err returns why the machine has stopped, nil if it hasn't.
func (f *fsm) err() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.failure
}

// Snapshot returns the state as it is now.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.failure != nil {
		return nil, f.failure
	}
	return &snapshot{f.state.clone(), f.index}, nil
}

// Restore replaces the state by a snapshot's.
func (f *fsm) Restore(r io.ReadCloser) error {
	s, index, err := readSnapshot(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("restoring a snapshot: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.index = s, index
	f.announce()
	return nil
}

// snapshot is the state at one moment.
type snapshot struct {
	state *state
	index uint64
}

// Persist writes the snapshot.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	if err := writeSnapshot(sink, s.state, s.index); err != nil {
		return errors.Join(fmt.Errorf("writing snapshot %s: %w", sink.ID(), err), sink.Cancel())
	}
	return sink.Close()
}

// Release does nothing.
func (*snapshot) Release() {}

// proposed turns the answer of Raft's Apply into the command's.
func proposed(response any) (result, error) {
	o, ok := response.(outcome)
	if !ok {
		return result{}, fmt.Errorf("%w: the state machine answered %T", wire.ErrMalformed, response)
	}
	return o.result, o.err
}

package raftgroup

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// fsm is Raft's state machine around a machine.
type fsm struct{ *state.Machine }

// outcome is what Apply answers the proposer.
type outcome struct {
	result state.Result
	err    error
}

// Apply applies a command of Raft's log.
func (f fsm) Apply(l *raft.Log) any {
	r, err := f.Machine.Apply(l.Index, l.Data)
	return outcome{r, err}
}

// Snapshot returns the state as it is now.
func (f fsm) Snapshot() (raft.FSMSnapshot, error) {
	s, err := f.Machine.Snapshot()
	if err != nil {
		return nil, err
	}
	return fsmSnapshot{s}, nil
}

// Restore replaces the state by a snapshot's.
func (f fsm) Restore(r io.ReadCloser) error {
	if err := errors.Join(f.Machine.Restore(r), r.Close()); err != nil {
		return fmt.Errorf("restoring a snapshot: %w", err)
	}
	return nil
}

// fsmSnapshot is the state at one moment.
type fsmSnapshot struct{ *state.Snapshot }

// Persist writes the snapshot.
func (s fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.Write(sink); err != nil {
		return errors.Join(fmt.Errorf("writing snapshot %s: %w", sink.ID(), err), sink.Cancel())
	}
	return sink.Close()
}

// Release does nothing.
func (fsmSnapshot) Release() {}

// proposed turns the answer of Raft's Apply into the command's.
func proposed(response any) (state.Result, error) {
	o, ok := response.(outcome)
	if !ok {
		return state.Result{}, fmt.Errorf("%w: the state machine answered %T", wire.ErrMalformed, response)
	}
	return o.result, o.err
}

package state

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Status returns how a job is, without its secrets.
func (s *State) Status(j *Job) wire.JobStatus {
	st := wire.JobStatus{
		Spec: j.Spec.Shown(), State: j.State, Kind: j.Kind, Reason: j.Reason, Node: j.Node, Epoch: j.Epoch, Crashes: j.Crashes, Restarts: j.Restarts,
		LastBatch: j.Last.Seq, Pending: len(j.Pending), Submitted: j.Submitted, Ended: j.Ended, MaxSlots: j.MaxSlots, Executors: s.processes(j),
		Resumed: j.Resumed, Left: j.left() && j.Resumed == 0,
	}
	for i := range st.Executors {
		st.Executors[i].Of = j.Processes[st.Executors[i].Executor].Slots
	}
	if !j.State.Final() && s.Members(j).Expected == 0 {
		st.Trouble = fmt.Sprintf("it waits for an engine-executor on %s", j.Spec.Platform)
		if why := s.Refusals(j); why != "" {
			st.Trouble += "; those that are there can't run it\n" + why
		}
	}
	return st
}

// ListExecutors lists the executors, sorted by id.
func (s *State) ListExecutors() []wire.ExecutorStatus {
	var all []wire.ExecutorStatus
	for _, id := range slices.Sorted(maps.Keys(s.Executors)) {
		e := s.Executors[id]
		all = append(all, wire.ExecutorStatus{ID: e.ID, Address: e.Address, Slots: e.Slots, Used: s.shares().used[id], Platform: e.Platform, Alive: e.Lost == 0, Drained: e.Drained})
	}
	return all
}

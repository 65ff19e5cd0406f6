package control

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

func (c *registerExecutor) apply(s *state, _ uint64) (result, error) {
	old := s.executors[c.ID]
	if old == nil && len(s.executors) >= maxExecutors {
		return result{}, fmt.Errorf("%w: there are %d executors, which is the limit", wire.ErrTooLarge, maxExecutors)
	}
	if old != nil && old.Start != c.Start {
		s.dropProcesses(c.ID)
	}
	s.executors[c.ID] = &executor{ID: c.ID, Start: c.Start, Address: c.Address, Slots: c.Slots, Platform: c.Platform}
	return result{existed: old != nil && old.Start == c.Start && old.Lost == 0}, nil
}

func (c *loseExecutor) apply(s *state, index uint64) (result, error) {
	e := s.executors[c.ID]
	if e == nil || e.Start != c.Start || e.Lost != 0 {
		return result{existed: true}, nil
	}
	e.Lost = index
	s.dropProcesses(c.ID)
	lost := slices.DeleteFunc(slices.Collect(maps.Values(s.executors)), func(e *executor) bool { return e.Lost == 0 })
	if len(lost) > maxLostExecutors {
		oldest := slices.MinFunc(lost, func(a, b *executor) int { return cmp.Compare(a.Lost, b.Lost) })
		delete(s.executors, oldest.ID)
	}
	return result{}, nil
}

func (c *processReady) apply(s *state, index uint64) (result, error) {
	e := s.executors[c.Executor]
	if e == nil || e.Start != c.Start || e.Lost != 0 {
		return result{}, fmt.Errorf("%w: executor %s isn't registered", wire.ErrNotReady, c.Executor)
	}
	j := s.jobs[c.Incarnation]
	if j == nil {
		return result{}, fmt.Errorf("%w: %d", wire.ErrNoJob, c.Incarnation)
	}
	if j.State.Final() {
		return result{}, fmt.Errorf("%w: job %d is %s", wire.ErrJobEnded, c.Incarnation, j.State)
	}
	if old, ok := j.Processes[c.Executor]; ok && old.Process == c.Process {
		return result{index: old.Instance, existed: true}, nil
	}
	if j.Processes == nil { // decoded from a snapshot
		j.Processes = make(map[string]jobProcess)
	}
	j.Processes[c.Executor] = jobProcess{Process: c.Process, Instance: index, Address: c.Address, Slots: c.Slots}
	return result{index: index}, nil
}

func (c *processExited) apply(s *state, _ uint64) (result, error) {
	j := s.jobs[c.Incarnation]
	if j == nil || j.Processes[c.Executor].Process != c.Process {
		return result{existed: true}, nil
	}
	delete(j.Processes, c.Executor)
	return result{}, nil
}

// dropProcesses removes an executor's processes from all jobs.
func (s *state) dropProcesses(executor string) {
	for _, j := range s.jobs {
		delete(j.Processes, executor)
	}
}

// processes lists a job's processes, sorted by executor.
func (j *job) processes() []wire.ExecutorProcess {
	var all []wire.ExecutorProcess
	for _, id := range slices.Sorted(maps.Keys(j.Processes)) {
		p := j.Processes[id]
		all = append(all, wire.ExecutorProcess{Executor: id, Instance: p.Instance, Address: p.Address, Slots: p.Slots})
	}
	return all
}

// status returns how the job is, without its secret.
func (j *job) status() wire.JobStatus {
	spec := j.Spec
	spec.Secret = ""
	return wire.JobStatus{
		Spec: spec, State: j.State, Reason: j.Reason, Node: j.Node, Epoch: j.Epoch, Crashes: j.Crashes,
		LastBatch: j.Last.Seq, Pending: len(j.Pending), Submitted: j.Submitted, Ended: j.Ended, Executors: j.processes(),
	}
}

// listExecutors lists the executors, sorted by id.
func (s *state) listExecutors() []wire.ExecutorStatus {
	var all []wire.ExecutorStatus
	for _, id := range slices.Sorted(maps.Keys(s.executors)) {
		e := s.executors[id]
		all = append(all, wire.ExecutorStatus{ID: e.ID, Address: e.Address, Slots: e.Slots, Platform: e.Platform, Alive: e.Lost == 0})
	}
	return all
}

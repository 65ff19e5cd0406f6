package control

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

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
	if !s.has(c.ID, c.Start) {
		return result{existed: true}, nil
	}
	s.executors[c.ID].Lost = index
	s.dropProcesses(c.ID)
	lost := slices.DeleteFunc(slices.Collect(maps.Values(s.executors)), func(e *executor) bool { return e.Lost == 0 })
	if len(lost) > maxLostExecutors {
		oldest := slices.MinFunc(lost, func(a, b *executor) int { return cmp.Compare(a.Lost, b.Lost) })
		delete(s.executors, oldest.ID)
	}
	return result{}, nil
}

func (c *processReady) apply(s *state, index uint64) (result, error) {
	if !s.has(c.Executor, c.Start) {
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
	j.Processes[c.Executor] = jobProcess{Process: c.Process, Instance: index, Address: c.Address, Slots: c.Slots}
	delete(j.Refused, c.Executor)
	return result{index: index}, nil
}

func (c *processExited) apply(s *state, _ uint64) (result, error) {
	j, e := s.jobs[c.Incarnation], s.executors[c.Executor]
	if j == nil || j.State.Final() || e == nil || e.Start != c.Start {
		return result{existed: true}, nil
	}
	// One that was never ready followed the one that was: the end of that may not
	// have been heard of.
	if c.Process == "" || j.Processes[c.Executor].Process == c.Process {
		delete(j.Processes, c.Executor)
	}
	if c.Fatal {
		j.Refused[c.Executor] = j.refusal(c.Reason)
	}
	return result{}, nil
}

// has reports whether a daemon is registered and not lost.
func (s *state) has(executor, start string) bool {
	e := s.executors[executor]
	return e != nil && e.Start == start && e.Lost == 0
}

// dropProcesses removes an executor's processes from all jobs. A daemon that
// comes back tries again what it refused.
func (s *state) dropProcesses(executor string) {
	for _, j := range s.jobs {
		delete(j.Processes, executor)
		delete(j.Refused, executor)
	}
}

// members lists a job's executor processes and counts what to expect of the
// executors that can run it.
func (s *state) members(j *job) wire.Members {
	m := wire.Members{Processes: j.processes()}
	for id, e := range s.executors {
		if _, refused := j.Refused[id]; e.Lost == 0 && !refused && e.Platform == j.Spec.Platform {
			m.Expected++
			m.Slots += e.Slots
		}
	}
	return m
}

// refusals says why no executor can run a job, "" while one is left or none
// has tried.
func (s *state) refusals(j *job) string {
	if len(j.Refused) == 0 || len(j.Processes) > 0 || s.members(j).Expected > 0 {
		return ""
	}
	var all []string
	for _, id := range slices.Sorted(maps.Keys(j.Refused)) {
		all = append(all, fmt.Sprintf("executor %s: %s", id, j.Refused[id]))
	}
	return strings.Join(all, "\n")
}

// away reports whether an executor that could run a job is lost. Lost ones have
// refused nothing.
func (s *state) away(j *job) bool {
	for _, e := range s.executors {
		if e.Lost != 0 && e.Platform == j.Spec.Platform {
			return true
		}
	}
	return false
}

// assignments lists the jobs for an executor, the oldest first.
func (s *state) assignments(executor string) []wire.Assignment {
	e := s.executors[executor]
	if e == nil || e.Lost != 0 {
		return nil
	}
	var all []wire.Assignment
	for _, inc := range slices.Sorted(maps.Keys(s.jobs)) {
		if j := s.jobs[inc]; !j.State.Final() && j.Spec.Platform == e.Platform {
			all = append(all, wire.Assignment{Spec: j.Spec, Slots: e.Slots})
		}
	}
	return all
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

// status returns how a job is, without its secret.
func (s *state) status(j *job) wire.JobStatus {
	spec := j.Spec
	spec.Secret = ""
	st := wire.JobStatus{
		Spec: spec, State: j.State, Reason: j.Reason, Node: j.Node, Epoch: j.Epoch, Crashes: j.Crashes,
		LastBatch: j.Last.Seq, Pending: len(j.Pending), Submitted: j.Submitted, Ended: j.Ended, Executors: j.processes(),
	}
	if !j.State.Final() && s.members(j).Expected == 0 {
		st.Reason = fmt.Sprintf("it waits for an engine-executor on %s", spec.Platform)
		if why := s.refusals(j); why != "" {
			st.Reason += "; those that are there can't run it\n" + why
		}
	}
	return st
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

package state

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/engine/wire"
)

func (c *RegisterExecutor) apply(s *State, _ uint64) (Result, error) {
	old := s.Executors[c.ID]
	if old == nil && len(s.Executors) >= maxExecutors {
		return Result{}, fmt.Errorf("%w: there are %d executors, which is the limit", wire.ErrTooLarge, maxExecutors)
	}
	if old != nil && old.Start != c.Start {
		s.dropProcesses(c.ID)
	}
	s.Executors[c.ID] = &executor{
		ID: c.ID, Start: c.Start, Address: c.Address, Slots: c.Slots, Platform: c.Platform, Drained: old != nil && old.Start == c.Start && old.Drained,
	}
	return Result{existed: old != nil && old.Start == c.Start && old.Lost == 0}, nil
}

func (c *LoseExecutor) apply(s *State, index uint64) (Result, error) {
	if !s.Has(c.ID, c.Start) {
		return Result{existed: true}, nil
	}
	s.Executors[c.ID].Lost = index
	s.dropProcesses(c.ID)
	lost := slices.DeleteFunc(slices.Collect(maps.Values(s.Executors)), func(e *executor) bool { return e.Lost == 0 })
	if len(lost) > maxLostExecutors {
		oldest := slices.MinFunc(lost, func(a, b *executor) int { return cmp.Compare(a.Lost, b.Lost) })
		delete(s.Executors, oldest.ID)
	}
	return Result{}, nil
}

func (c *DrainExecutor) apply(s *State, _ uint64) (Result, error) {
	if !s.Has(c.ID, c.Start) {
		return Result{}, fmt.Errorf("%w: executor %q isn't there", wire.ErrInvalid, c.ID)
	}
	e := s.Executors[c.ID]
	if e.Drained {
		return Result{existed: true}, nil
	}
	e.Drained = true
	s.dropProcesses(c.ID)
	return Result{}, nil
}

func (c *ForgetExecutor) apply(s *State, _ uint64) (Result, error) {
	e := s.Executors[c.ID]
	if e == nil {
		return Result{existed: true}, nil
	}
	if e.Lost == 0 {
		return Result{}, fmt.Errorf("%w: executor %q is there; stop it first, or drain it", wire.ErrInvalid, c.ID)
	}
	delete(s.Executors, c.ID)
	return Result{}, nil
}

func (c *ProcessReady) apply(s *State, index uint64) (Result, error) {
	if !s.Has(c.Executor, c.Start) {
		return Result{}, fmt.Errorf("%w: executor %s isn't registered", wire.ErrNotReady, c.Executor)
	}
	if s.Executors[c.Executor].Drained {
		return Result{existed: true}, nil // it began before the daemon knew
	}
	j := s.Jobs[c.Incarnation]
	if j == nil {
		return Result{}, fmt.Errorf("%w: %d", wire.ErrNoJob, c.Incarnation)
	}
	if j.State.Final() {
		return Result{}, fmt.Errorf("%w: job %d is %s", wire.ErrJobEnded, c.Incarnation, j.State)
	}
	if old, ok := j.Processes[c.Executor]; ok && old.Process == c.Process {
		return Result{Index: old.Instance, existed: true}, nil
	}
	j.Processes[c.Executor] = jobProcess{Process: c.Process, Instance: index, Address: c.Address, Slots: c.Slots}
	delete(j.Refused, c.Executor)
	return Result{Index: index}, nil
}

func (c *ProcessExited) apply(s *State, _ uint64) (Result, error) {
	j, e := s.Jobs[c.Incarnation], s.Executors[c.Executor]
	if j == nil || j.State.Final() || e == nil || e.Start != c.Start {
		return Result{existed: true}, nil
	}
	// One that was never ready followed the one that was: the end of that may not
	// have been heard of.
	if c.Process == "" || j.Processes[c.Executor].Process == c.Process {
		delete(j.Processes, c.Executor)
	}
	if c.Fatal {
		j.Refused[c.Executor] = j.refusal(c.Reason)
	}
	return Result{}, nil
}

// Has reports whether a daemon is registered and not lost.
func (s *State) Has(executor, start string) bool {
	e := s.Executors[executor]
	return e != nil && e.Start == start && e.Lost == 0
}

// takes reports whether the executor takes jobs.
func (e *executor) takes() bool { return e.Lost == 0 && !e.Drained }

// LastFor lists the jobs that only this executor could run, of those that take jobs.
func (s *State) LastFor(executor string) (jobs []uint64) {
	e := s.Executors[executor]
	if e == nil || !e.takes() {
		return nil
	}
	for id, other := range s.Executors {
		if id != executor && other.takes() && other.Platform == e.Platform {
			return nil
		}
	}
	for _, inc := range slices.Sorted(maps.Keys(s.Jobs)) {
		if j := s.Jobs[inc]; !j.State.Final() && j.Spec.Platform == e.Platform {
			jobs = append(jobs, inc)
		}
	}
	return jobs
}

// dropProcesses removes an executor's processes from all jobs. A daemon that
// comes back tries again what it refused.
func (s *State) dropProcesses(executor string) {
	for _, j := range s.Jobs {
		delete(j.Processes, executor)
		delete(j.Refused, executor)
	}
}

// Members lists the executor processes where a job has slots, and counts what to expect of
// the executors that can run it.
func (s *State) Members(j *Job) wire.Members {
	m := wire.Members{Processes: slices.DeleteFunc(s.processes(j), func(p wire.ExecutorProcess) bool { return p.Slots == 0 })}
	for id, e := range s.Executors {
		if _, refused := j.Refused[id]; e.takes() && !refused && e.Platform == j.Spec.Platform {
			m.Expected++
			m.Slots += e.Slots
		}
	}
	if j.MaxSlots > 0 {
		m.Slots = min(m.Slots, j.MaxSlots)
	}
	return m
}

// Refusals says why no executor can run a job, "" while one is left or none
// has tried.
func (s *State) Refusals(j *Job) string {
	if len(j.Refused) == 0 || len(j.Processes) > 0 || s.Members(j).Expected > 0 {
		return ""
	}
	var all []string
	for _, id := range slices.Sorted(maps.Keys(j.Refused)) {
		all = append(all, fmt.Sprintf("executor %s: %s", id, j.Refused[id]))
	}
	return strings.Join(all, "\n")
}

// Away reports whether an executor that could run a job is lost. Lost ones have
// refused nothing.
func (s *State) Away(j *Job) bool {
	for _, e := range s.Executors {
		if e.Lost != 0 && e.Platform == j.Spec.Platform {
			return true
		}
	}
	return false
}

// Assignments lists the jobs for an executor, the oldest first.
func (s *State) Assignments(executor string) []wire.Assignment {
	e := s.Executors[executor]
	if e == nil || !e.takes() {
		return nil
	}
	var all []wire.Assignment
	for _, inc := range slices.Sorted(maps.Keys(s.Jobs)) {
		if j := s.Jobs[inc]; !j.State.Final() && j.Spec.Platform == e.Platform {
			all = append(all, wire.Assignment{Spec: j.Spec, Slots: e.Slots})
		}
	}
	return all
}

package kernel

import "slices"

// layOut makes a stage's tasks, for some of its partitions or, with nil, for all.
func (s *stage) layOut(only []int32) {
	if s.only, s.done = only, 0; only == nil {
		s.tasks = make([]task, s.partitions)
	} else {
		s.tasks = make([]task, len(only))
	}
	for p, n := range s.tried {
		if i := s.index(p); i >= 0 {
			s.tasks[i].tries = n
		}
	}
}

// partition returns which partition a task computes.
func (s *stage) partition(i int32) int32 {
	if s.only == nil {
		return i
	}
	return s.only[i]
}

// index returns the task that computes a partition, -1 if none does.
func (s *stage) index(partition int32) int32 {
	if s.only == nil {
		return partition
	}
	i, ok := slices.BinarySearch(s.only, partition)
	if !ok {
		return -1
	}
	return int32(i)
}

// renew gives a stage that no job needed what another job says of it. A result stage
// begins anew, with the partitions that are asked for now and attempts that were
// never used. What an indeterminate map stage did was made from the parents that it
// had, which it keeps then.
func (s *stage) renew(spec Stage) {
	if s.isResult() || s.done == 0 || !s.indeterminate {
		s.unlink(spec.Parents)
	}
	if s.isResult() {
		s.unsteady = nil
		s.remember()
		s.layOut(spec.Only)
	}
}

// remember keeps how often the tasks of a result stage were launched, so that another
// try of the output has attempts that were never used.
func (s *stage) remember() {
	if s.tried == nil {
		s.tried = make(map[int32]int32)
	}
	for i, t := range s.tasks {
		if t.tries > 0 {
			s.tried[s.partition(int32(i))] = t.tries
		}
	}
	if s.once {
		for i := range s.done {
			s.tried[s.partition(int32(i))] = 1
		}
	}
	s.once = false
}

// shelve drops the tasks of a result stage whose job is done, since most outputs aren't
// tried again, and a batch may have very many.
func (s *stage) shelve() {
	if len(s.tried) == 0 && !slices.ContainsFunc(s.tasks, func(t task) bool { return t.tries != 1 }) {
		s.tasks, s.once = nil, true
	}
}

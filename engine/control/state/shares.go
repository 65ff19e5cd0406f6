package state

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

// shares says how many slots each job has where. An executor's slots are dealt out to the
// jobs that have a process there, as even as that goes, and at least one to each, so that
// more jobs than slots have more together than there are.
type shares struct {
	of   map[uint64]map[string]int // by job and executor
	used map[string]int            // by executor
}

// shares returns who has which slots. They follow from jobs and their processes: no command
// changes them, and every node says the same.
func (s *State) shares() *shares {
	if d := s.divided.Load(); d != nil {
		return d
	}
	d := s.divide()
	s.divided.Store(d)
	return d
}

// claim is how many slots of an executor a job may have at most.
type claim struct {
	job  uint64
	most int
}

// divide deals out the slots of all executors.
func (s *State) divide() *shares {
	claims := make(map[string][]claim) // by executor, the oldest job first
	d := &shares{of: make(map[uint64]map[string]int), used: make(map[string]int)}
	for _, inc := range slices.Sorted(maps.Keys(s.Jobs)) {
		if j := s.Jobs[inc]; len(j.Processes) > 0 {
			d.of[inc] = make(map[string]int, len(j.Processes))
			for id, most := range j.limits() {
				claims[id] = append(claims[id], claim{inc, most})
			}
		}
	}
	// What is left over goes to another job on each executor.
	for first, id := range slices.Sorted(maps.Keys(claims)) {
		total := len(claims[id])
		if e := s.Executors[id]; e != nil {
			total = max(total, e.Slots)
		}
		most := make([]int, len(claims[id]))
		for i, c := range claims[id] {
			most[i] = c.most
		}
		for i, n := range deal(total, most, first) {
			d.of[claims[id][i].job][id] = n
			d.used[id] += n
		}
	}
	return d
}

// limits says how many slots the job may have at most on the executors that have a process
// of it. One with --max-slots has them where its oldest processes are, so that these keep
// theirs when others come; where nothing is left the process stands by.
func (j *Job) limits() map[string]int {
	ids := slices.SortedFunc(maps.Keys(j.Processes), func(a, b string) int {
		return cmp.Or(cmp.Compare(j.Processes[a].Instance, j.Processes[b].Instance), cmp.Compare(a, b))
	})
	most := make([]int, len(ids))
	for i, id := range ids {
		most[i] = j.Processes[id].Slots
	}
	if j.MaxSlots > 0 {
		most = deal(j.MaxSlots, most, 0)
	}
	limits := make(map[string]int, len(ids))
	for i, id := range ids {
		if most[i] > 0 {
			limits[id] = most[i]
		}
	}
	return limits
}

// deal hands out n slots one by one, in turns that begin with the place first. A place takes
// no more than most says.
func deal(n int, most []int, first int) []int {
	got := make([]int, len(most))
	for gave := true; n > 0 && gave; {
		gave = false
		for i := range most {
			if at := (first + i) % len(most); n > 0 && got[at] < most[at] {
				got[at]++
				n--
				gave = true
			}
		}
	}
	return got
}

// processes lists a job's processes with the slots that it has there, sorted by executor.
func (s *State) processes(j *Job) []wire.ExecutorProcess {
	var all []wire.ExecutorProcess
	has := s.shares().of[j.Spec.Incarnation]
	for _, id := range slices.Sorted(maps.Keys(j.Processes)) {
		p := j.Processes[id]
		all = append(all, wire.ExecutorProcess{Executor: id, Instance: p.Instance, Address: p.Address, Slots: has[id]})
	}
	return all
}

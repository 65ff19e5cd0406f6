package state

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// shared is a machine with executors of some slots, and jobs that come and go.
type shared struct {
	*testing.T
	*Machine
	index uint64
}

func newShared(t *testing.T, slots ...int) *shared {
	s := &shared{T: t, Machine: New()}
	for i, n := range slots {
		s.do(&RegisterExecutor{ID: executorID(i + 1), Start: "x", Slots: n, Address: "h:1", Platform: "p"})
	}
	return s
}

func executorID(n int) string { return fmt.Sprintf("e%d", n) }

func (s *shared) do(c Command) {
	s.Helper()
	s.index++
	mustApply(s.T, s.Machine, s.index, c)
}

// job submits a job that has most slots at most.
func (s *shared) job(most int) (number uint64) {
	s.Helper()
	s.do(&TakeJob{Spec: wire.JobSpec{Submission: fmt.Sprint("s", s.index), Platform: "p"}, MaxSlots: most})
	return s.state.Newest
}

// ready says that a job has a process on executors.
func (s *shared) ready(job uint64, executors ...int) {
	s.Helper()
	for _, n := range executors {
		id := executorID(n)
		s.do(&ProcessReady{Executor: id, Start: "x", Incarnation: job, Process: "p", Address: "h:2", Slots: s.state.Executors[id].Slots})
	}
}

// expect compares what each job's driver is told: executor and slots, and what it is to
// await.
func (s *shared) expect(when string, want ...string) {
	s.Helper()
	var got []string
	s.View(func(st *State) {
		for _, inc := range slices.Sorted(maps.Keys(st.Jobs)) {
			j := st.Jobs[inc]
			if j.State.Final() {
				continue
			}
			m := st.Members(j)
			line := fmt.Sprintf("%d:", inc)
			for _, p := range m.Processes {
				line += fmt.Sprintf(" %s*%d", p.Executor, p.Slots)
			}
			got = append(got, fmt.Sprintf("%s of %d on %d", line, m.Slots, m.Awaited()))
		}
	})
	if !slices.Equal(got, want) {
		s.Errorf("%s:\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// An executor's slots are dealt out to the jobs that have a process there; shares follow
// as jobs come and go, and nothing is left over.
func TestSlotsAreShared(t *testing.T) {
	s := newShared(t, 4, 4)
	first := s.job(0)
	s.ready(first, 1, 2)
	s.expect("one job has all", "1: e1*4 e2*4 of 8 on 2")
	second := s.job(0)
	s.expect("a job without a process takes none", "1: e1*4 e2*4 of 8 on 2", "2: of 8 on 2")
	s.ready(second, 2)
	s.expect("they share where both are", "1: e1*4 e2*2 of 8 on 2", "2: e2*2 of 8 on 2")
	s.ready(second, 1)
	third := s.job(0)
	s.ready(third, 1, 2)
	s.expect("what is left over goes round", "1: e1*2 e2*1 of 8 on 2", "2: e1*1 e2*2 of 8 on 2", "3: e1*1 e2*1 of 8 on 2")
	s.do(&ProcessExited{Executor: "e1", Start: "x", Incarnation: second, Process: "p"})
	s.expect("a process dies", "1: e1*2 e2*1 of 8 on 2", "2: e2*2 of 8 on 2", "3: e1*2 e2*1 of 8 on 2")
	s.do(&EndJob{Incarnation: first, State: wire.JobKilled})
	s.expect("a job ends", "2: e2*2 of 8 on 2", "3: e1*4 e2*2 of 8 on 2")
	s.do(&LoseExecutor{ID: "e2", Start: "x"})
	s.expect("an executor is lost", "2: of 4 on 1", "3: e1*4 of 4 on 1")
	s.do(&DrainExecutor{ID: "e1", Start: "x"})
	s.expect("the other is drained", "2: of 0 on 0", "3: of 0 on 0")
}

// More jobs than slots have one slot each: more together than there are, which is told.
func TestMoreJobsThanSlots(t *testing.T) {
	s := newShared(t, 2)
	for range 3 {
		s.ready(s.job(0), 1)
	}
	s.expect("three jobs", "1: e1*1 of 2 on 1", "2: e1*1 of 2 on 1", "3: e1*1 of 2 on 1")
	s.View(func(st *State) {
		if e := st.ListExecutors()[0]; e.Used != 3 || e.Slots != 2 {
			t.Errorf("%d of %d slots are used", e.Used, e.Slots)
		}
	})
}

// A job with a limit has no more slots than that in the whole cluster, where its oldest
// processes are; what it leaves others have. Another process stands by.
func TestMaxSlots(t *testing.T) {
	s := newShared(t, 2, 2, 2)
	small := s.job(2)
	s.ready(small, 3, 2, 1)
	s.expect("alone", "1: e2*1 e3*1 of 2 on 2")
	s.View(func(st *State) {
		if m := st.Members(st.Jobs[small]); m.Expected != 3 {
			t.Errorf("%d executors could run it", m.Expected)
		}
	})
	large := s.job(0)
	s.ready(large, 1, 2, 3)
	s.expect("beside another", "1: e2*1 e3*1 of 2 on 2", "2: e1*2 e2*1 e3*1 of 6 on 3")
	s.View(func(st *State) {
		status := st.Status(st.Jobs[small])
		for i, want := range []int{0, 1, 1} { // e1 stands by
			if p := status.Executors[i]; p.Slots != want || p.Of != 2 {
				t.Errorf("the status says %+v", p)
			}
		}
		if status.MaxSlots != 2 {
			t.Errorf("the limit is %d", status.MaxSlots)
		}
	})
	s.do(&ProcessExited{Executor: "e3", Start: "x", Incarnation: small, Process: "p"})
	s.expect("the one that stood by takes over", "1: e1*1 e2*1 of 2 on 2", "2: e1*1 e2*1 e3*2 of 6 on 3")
	most := s.job(5)
	s.ready(most, 1, 2, 3)
	s.expect("a limit above what there is", "1: e1*1 e2*1 of 2 on 2", "2: e1*1 e2*1 e3*1 of 6 on 3", "3: e1*1 e2*1 e3*1 of 5 on 3")
}

// A limit and shares are the same after a snapshot.
func TestSharesAfterSnapshot(t *testing.T) {
	s := newShared(t, 4, 1)
	s.ready(s.job(3), 1, 2)
	s.ready(s.job(0), 1, 2)
	want := []string{"1: e1*2 e2*1 of 3 on 2", "2: e1*2 e2*1 of 5 on 2"}
	s.expect("before", want...)
	s.Machine = restored(t, s.Machine)
	s.expect("after", want...)
}

func TestDeal(t *testing.T) {
	for _, x := range []struct {
		n, first int
		most     []int
		want     string
	}{
		{5, 0, []int{9, 9}, "[3 2]"},
		{5, 3, []int{9, 9}, "[2 3]"},
		{5, 0, []int{1, 9}, "[1 4]"},
		{5, 0, []int{1, 2}, "[1 2]"}, // two are left
		{2, 1, []int{9, 9, 9}, "[0 1 1]"},
		{0, 0, []int{9}, "[0]"},
		{5, 0, []int{0, 0}, "[0 0]"},
		{5, 0, nil, "[]"},
		{math.MaxInt, 0, []int{2, 1}, "[2 1]"},
	} {
		if got := fmt.Sprint(deal(x.n, x.most, x.first)); got != x.want {
			t.Errorf("%d to %v from %d on: %s, want %s", x.n, x.most, x.first, got, x.want)
		}
	}
}

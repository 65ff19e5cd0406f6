package state

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// randomCommand returns a command about a few jobs and executors of a state, so
// that many are refused and many repeat.
func randomCommand(r *rand.Rand, s *State) Command {
	inc := uint64(r.IntN(3))
	if jobs := slices.Sorted(maps.Keys(s.Jobs)); len(jobs) > 0 && r.IntN(10) > 0 {
		inc = jobs[r.IntN(len(jobs))]
	}
	var epoch, last uint64
	var values int
	if j := s.Jobs[inc]; j != nil {
		epoch, last, values = j.Epoch, j.Last.Seq, len(j.Values)
	}
	if r.IntN(8) == 0 {
		epoch = uint64(r.IntN(1000))
	}
	id, start := fmt.Sprint("e", r.IntN(3)), fmt.Sprint(r.IntN(2))
	done := []wire.Completion{
		{Seq: uint64(r.IntN(int(last) + 1)), Output: int32(r.IntN(4) - 1)}, {Seq: last, Output: int32(r.IntN(260))},
	}
	switch r.IntN(31) {
	case 24:
		return &DrainExecutor{ID: id, Start: start}
	case 25:
		return &ForgetExecutor{ID: id}
	case 27:
		inc = pick(s, inc, func(j *Job) bool { return j.State == wire.JobRunning && j.Kind == wire.KindUnknown })
		if j := s.Jobs[inc]; j != nil {
			epoch = j.Epoch
		}
		return &StartJob{Incarnation: inc, Epoch: epoch, Header: []byte("h"), Kind: wire.KindStream}
	case 26:
		inc = pick(s, 0, func(j *Job) bool { return !j.State.Final() && j.Kind == wire.KindStream && j.Last.Seq > 0 })
		return &LeaveJob{Incarnation: inc, Epoch: epoch * uint64(r.IntN(2)), State: wire.JobState(3 + r.IntN(5)), Reason: "r", At: r.Int64()}
	case 28:
		return &ResumeJob{Spec: wire.JobSpec{Submission: fmt.Sprint("r", r.IntN(200)), Platform: "p", Resume: pick(s, inc, func(j *Job) bool { return j.left() && j.Resumed == 0 })}}
	case 29, 30:
		return &DropLog{Incarnation: pick(s, inc, func(j *Job) bool { return j.left() && j.Resumed == 0 })}
	case 0:
		return &TakeJob{Spec: wire.JobSpec{Submission: fmt.Sprint("t", r.IntN(200)), Platform: "p", Secrets: []wire.Secret{{Name: "S", Value: "v"}}, Restart: wire.Restart(r.IntN(4) - 1)}}
	case 1:
		return &SubmitJob{Spec: wire.JobSpec{Submission: fmt.Sprint(r.IntN(9)), Binary: fmt.Sprint(r.IntN(12) / 11), Platform: "p", Secret: "s"}, At: r.Int64()}
	case 2, 3, 4:
		return &AssignDriver{Incarnation: inc, After: epoch, Node: fmt.Sprint(r.IntN(3)), Crashed: r.IntN(2) == 0}
	case 5:
		return &StartJob{Incarnation: inc, Epoch: epoch, Header: make([]byte, r.IntN(3)), Kind: wire.JobKind(r.IntN(3))}
	case 6, 7:
		return &RecordValue{Incarnation: inc, Epoch: epoch, Index: values - r.IntN(2), Value: wire.Value{Name: "v", Data: make([]byte, r.IntN(4))}}
	case 8, 9:
		return &CompleteOutputs{Incarnation: inc, Epoch: epoch, Completions: done}
	case 10:
		return &StopJob{Incarnation: inc}
	case 11:
		return &EndJob{Incarnation: inc, Epoch: epoch * uint64(r.IntN(2)), State: wire.JobState(r.IntN(8)), Reason: "r", At: r.Int64()}
	case 12, 13:
		return &RegisterExecutor{ID: id, Start: start, Slots: 2, Platform: "p"}
	case 14:
		return &LoseExecutor{ID: id, Start: start}
	case 15, 16:
		return &ProcessReady{Executor: id, Start: start, Incarnation: inc, Process: fmt.Sprint(r.IntN(3))}
	case 17:
		return &ProcessExited{Executor: id, Start: start, Incarnation: inc, Process: fmt.Sprint(r.IntN(3)), Fatal: r.IntN(3) == 0, Reason: "x"}
	case 18:
		return &FoundCluster{ClusterID: fmt.Sprint(r.IntN(3))}
	case 19:
		node := fmt.Sprint("d", r.IntN(3))
		return &AdmitDriver{Node: node, Copy: fmt.Sprint(r.Uint64()), Instead: []string{"", s.Drivers[node].Copy}[r.IntN(2)]}
	}
	return &AllocateBatch{Incarnation: inc, Epoch: epoch, Seq: last + uint64(r.IntN(3)), Data: make([]byte, r.IntN(9)), Keep: last - min(last, uint64(r.IntN(5))), Completions: done}
}

// pick returns a job of a kind that random ones seldom are, otherwise if there is none.
func pick(s *State, otherwise uint64, is func(*Job) bool) uint64 {
	for _, inc := range slices.Sorted(maps.Keys(s.Jobs)) {
		if is(s.Jobs[inc]) {
			return inc
		}
	}
	return otherwise
}

// step is a command at its place in Raft's log, and what it answered.
type step struct {
	index  uint64
	c      Command
	answer string
	done   bool // it wasn't refused
	news   bool // it hadn't been done before
}

// randomSteps applies random commands to a new machine.
func randomSteps(t *testing.T, seed uint64) ([]step, *Machine) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	f := New()
	var steps []step
	for i := range uint64(200) {
		s := step{index: 10 * (i + 1), c: randomCommand(r, f.state)} // there is room for repetitions
		result, err := applyAt(t, f, s.index, s.c)
		s.answer, s.done, s.news = told(result, err), err == nil, err == nil && !result.existed
		steps = append(steps, s)
	}
	return steps, f
}

func told(r Result, err error) string { return fmt.Sprint(r, err) }

// repeatable reports whether a command that was carried out does nothing when it
// comes again at any later time. The others are about executors' daemons, of which
// the newest word counts; they are repeated at once or not at all.
func repeatable(c Command) bool {
	switch c.(type) {
	case *RegisterExecutor, *LoseExecutor, *ProcessReady, *ProcessExited, *DrainExecutor, *ForgetExecutor:
		return false
	}
	return true
}

// Machines that are given the same commands are in the same state, byte for byte,
// and answer the same: also if commands come again, as after an outcome that
// wasn't known, and if one is restored from a snapshot in between.
func TestSameCommandsSameState(t *testing.T) {
	accepted := make(map[kind]int)
	for seed := range uint64(150) {
		steps, straight := randomSteps(t, seed)
		want := saved(t, straight)
		r := rand.New(rand.NewPCG(seed, 2))
		repeated, restarted := New(), New()
		for i, s := range steps {
			if got := told(applyAt(t, repeated, s.index, s.c)); got != s.answer {
				t.Fatalf("seed %d, command %d (%T) among repetitions: %s, want %s", seed, i, s.c, got, s.answer)
			}
			if got := told(applyAt(t, restarted, s.index, s.c)); got != s.answer {
				t.Fatalf("seed %d, command %d (%T) after a restart: %s, want %s", seed, i, s.c, got, s.answer)
			}
			if s.news {
				accepted[s.c.kind()]++
			}
			for k := range uint64(r.IntN(3)) { // at once, and an older one
				_, _ = applyAt(t, repeated, s.index+1+k, s.c)
				if old := steps[r.IntN(i+1)]; repeatable(old.c) && old.done {
					_, _ = applyAt(t, repeated, s.index+4+k, old.c)
				}
			}
			if r.IntN(20) == 0 {
				restarted = restored(t, restarted)
			}
		}
		last := steps[len(steps)-1].index
		repeated.index, restarted.index = last, last
		if !bytes.Equal(saved(t, repeated), want) {
			t.Fatalf("seed %d: with repetitions the state is another one", seed)
		}
		if !bytes.Equal(saved(t, restarted), want) {
			t.Fatalf("seed %d: restored in between the state is another one", seed)
		}
		if !bytes.Equal(saved(t, restored(t, straight)), want) {
			t.Fatalf("seed %d: a restored state is saved as another one", seed)
		}
		checkSizes(t, straight.state)
	}
	for k := range kind(255) {
		if newCommand(k) != nil && accepted[k] < 20 {
			t.Errorf("command %d did something %d times only", k, accepted[k])
		}
	}
}

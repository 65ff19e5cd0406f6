package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// applyAt applies a command through its encoding, as Raft does.
func applyAt(t testing.TB, f *Machine, index uint64, c Command) (Result, error) {
	t.Helper()
	b, err := EncodeCommand(c)
	if err != nil {
		t.Fatal(err)
	}
	return f.Apply(index, b)
}

// running returns a machine with job 10 under epoch 11.
func running(t testing.TB) *Machine {
	t.Helper()
	f := New()
	mustApply(t, f, 10, &SubmitJob{Spec: wire.JobSpec{Submission: "s", Name: "n", Binary: "b", Args: []string{"-x"}, Secret: "q"}})
	mustApply(t, f, 11, &AssignDriver{Incarnation: 10, Node: "a"})
	return f
}

func mustApply(t testing.TB, f *Machine, index uint64, c Command) Result {
	t.Helper()
	r, err := applyAt(t, f, index, c)
	if err != nil {
		t.Fatalf("command %d (%T): %v", index, c, err)
	}
	return r
}

// A job's secrets are the state's alone, and only as long as the job runs.
func TestSecretsAreForgotten(t *testing.T) {
	f := New()
	mustApply(t, f, 10, &SubmitJob{Spec: wire.JobSpec{Submission: "s", Secret: "hunter1", Secrets: []wire.Secret{{Name: "PASSWORD", Value: "hunter2"}}}})
	holds := func(s *State) (shown, kept bool) {
		status, err := wire.Encode(new(s.Status(s.Jobs[10])))
		if err != nil {
			t.Fatal(err)
		}
		var snapshot bytes.Buffer
		if err := writeSnapshot(&snapshot, s, 10); err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(status, []byte("hunter")), bytes.Contains(snapshot.Bytes(), []byte("hunter2"))
	}
	if shown, kept := holds(f.state); shown || !kept {
		t.Errorf("while the job runs its secrets are shown: %t, kept: %t", shown, kept)
	}
	mustApply(t, f, 11, &EndJob{Incarnation: 10, State: wire.JobFinished})
	if shown, kept := holds(f.state); shown || kept {
		t.Errorf("when the job has ended its secrets are shown: %t, kept: %t", shown, kept)
	}
}

// A number isn't used again when its job is forgotten, nor after a snapshot.
func TestNumbersAreNotUsedAgain(t *testing.T) {
	f := New()
	for i := range uint64(maxEndedJobs + 10) {
		if got := mustApply(t, f, 3*i+1, &TakeJob{Spec: wire.JobSpec{Submission: fmt.Sprint(i)}}).Index; got != i+1 {
			t.Fatalf("job %d has number %d", i+1, got)
		}
		mustApply(t, f, 3*i+2, &EndJob{Incarnation: i + 1, State: wire.JobFinished})
	}
	f = restored(t, f)
	clear(f.state.Jobs) // as if the newest were forgotten too
	f = restored(t, f)
	if got := mustApply(t, f, 1<<20, &TakeJob{Spec: wire.JobSpec{Submission: "next"}}).Index; got != maxEndedJobs+11 {
		t.Errorf("the next job has number %d", got)
	}
}

func TestCommandsAreConditional(t *testing.T) {
	batch := func(seq uint64, data string) *AllocateBatch {
		return &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: seq, Data: []byte(data)}
	}
	tests := []struct {
		name   string
		before []Command
		c      Command
		want   error // nil: it is done
	}{
		{"first batch", nil, batch(1, "a"), nil},
		{"batch twice", []Command{batch(1, "a")}, batch(1, "a"), nil},
		{"batch twice with another content", []Command{batch(1, "a")}, batch(1, "b"), wire.ErrSequence},
		{"batch left out", []Command{batch(1, "a")}, batch(3, "c"), wire.ErrSequence},
		{"batch zero", nil, batch(0, ""), wire.ErrSequence},
		{"older batch", []Command{batch(1, "a"), batch(2, "b")}, batch(1, "a"), wire.ErrSequence},
		{"stale epoch", []Command{&AssignDriver{Incarnation: 10, After: 11, Node: "b"}}, batch(1, "a"), wire.ErrStaleEpoch},
		{"epoch of nobody", nil, &AllocateBatch{Incarnation: 10, Seq: 1}, wire.ErrStaleEpoch},
		{"another job", nil, &AllocateBatch{Incarnation: 9, Epoch: 11, Seq: 1}, wire.ErrNoJob},
		{"after the end", []Command{&EndJob{Incarnation: 10, State: wire.JobKilled}}, batch(1, "a"), wire.ErrJobEnded},
		{"first value", nil, &RecordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x"}}, nil},
		{"value left out", nil, &RecordValue{Incarnation: 10, Epoch: 11, Index: 1}, wire.ErrSequence},
		{"negative value", nil, &RecordValue{Incarnation: 10, Epoch: 11, Index: -1}, wire.ErrSequence},
		{"value twice", []Command{&RecordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x"}}},
			&RecordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x"}}, nil},
		{"value twice with another content", []Command{&RecordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x"}}},
			&RecordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x", Data: []byte("!")}}, wire.ErrSequence},
		{"value too large", nil, &RecordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Data: make([]byte, wire.MaxPayload)}}, nil},
		{"header twice", []Command{&StartJob{Incarnation: 10, Epoch: 11, Header: []byte("h")}}, &StartJob{Incarnation: 10, Epoch: 11, Header: []byte("h")}, nil},
		{"another header", []Command{&StartJob{Incarnation: 10, Epoch: 11, Header: []byte("h")}}, &StartJob{Incarnation: 10, Epoch: 11, Header: []byte("i")}, wire.ErrInvalid},
		{"of a kind that isn't known", nil, &StartJob{Incarnation: 10, Epoch: 11, Header: []byte("h"), Kind: 3}, wire.ErrInvalid},
		{"empty header", nil, &StartJob{Incarnation: 10, Epoch: 11}, wire.ErrInvalid},
		{"assigned after another epoch", nil, &AssignDriver{Incarnation: 10, After: 7, Node: "b"}, wire.ErrSequence},
		{"assigned after the end", []Command{&EndJob{Incarnation: 10, State: wire.JobFailed}}, &AssignDriver{Incarnation: 10, After: 11}, wire.ErrJobEnded},
		{"submitted twice", nil, &SubmitJob{Spec: wire.JobSpec{Submission: "s", Name: "n", Binary: "b", Args: []string{"-x"}, Secret: "other"}}, nil},
		{"submission id used for another", nil, &SubmitJob{Spec: wire.JobSpec{Submission: "s", Name: "n", Binary: "c"}}, wire.ErrSubmissionTaken},
		{"finished by a deposed driver", []Command{&AssignDriver{Incarnation: 10, After: 11, Node: "b"}}, &EndJob{Incarnation: 10, Epoch: 11, State: wire.JobFinished}, wire.ErrStaleEpoch},
		{"ended in a state that is no end", nil, &EndJob{Incarnation: 10, State: wire.JobRunning}, wire.ErrInvalid},
		{"a driver's directory", nil, &AdmitDriver{Node: "d", Copy: "1"}, nil},
		{"another one", []Command{&AdmitDriver{Node: "d", Copy: "1"}}, &AdmitDriver{Node: "d", Copy: "2"}, wire.ErrSequence},
		{"another one in its place", []Command{&AdmitDriver{Node: "d", Copy: "1"}}, &AdmitDriver{Node: "d", Copy: "2", Instead: "1"}, nil},
		{"one in the place of none", nil, &AdmitDriver{Node: "d", Copy: "2", Instead: "1"}, wire.ErrSequence},
		{"a lost one again", []Command{&AdmitDriver{Node: "d", Copy: "1"}, &AdmitDriver{Node: "d", Copy: "2", Instead: "1"}}, &AdmitDriver{Node: "d", Copy: "1"}, wire.ErrSequence},
		{"a directory of nobody", nil, &AdmitDriver{Copy: "1"}, wire.ErrInvalid},
		{"killed twice", []Command{&EndJob{Incarnation: 10, State: wire.JobKilled}}, &EndJob{Incarnation: 10, State: wire.JobKilled}, nil},
		{"process of an unknown executor", nil, &ProcessReady{Executor: "e", Incarnation: 10}, wire.ErrNotReady},
		{"process of another daemon", []Command{&RegisterExecutor{ID: "e", Start: "1"}}, &ProcessReady{Executor: "e", Start: "2", Incarnation: 10}, wire.ErrNotReady},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := running(t)
			index := uint64(20)
			for _, c := range tt.before {
				mustApply(t, f, index, c)
				index++
			}
			before := f.state.clone()
			_, err := applyAt(t, f, index, tt.c)
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil && !reflect.DeepEqual(before, f.state) {
				t.Error("a refused command has changed the state")
			}
			again := f.state.clone()
			if _, err2 := applyAt(t, f, index+1, tt.c); err == nil && err2 != nil {
				t.Errorf("applied again: %v", err2)
			}
			if !reflect.DeepEqual(again, f.state) {
				t.Error("applied again it has changed the state")
			}
		})
	}
}

func TestCompletionsRideAlong(t *testing.T) {
	f := running(t)
	for seq := range uint64(3) {
		mustApply(t, f, 20+seq, &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: seq + 1, Data: []byte{byte(seq)}})
	}
	mustApply(t, f, 30, &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: 4, Completions: []wire.Completion{
		{Seq: 1, Output: 1}, {Seq: 1, Output: 0}, {Seq: 2, Output: wire.AllOutputs}, {Seq: 77, Output: 0}}})
	j := f.state.Jobs[10]
	var got []string
	for _, p := range j.Pending {
		got = append(got, fmt.Sprint(p.Seq, p.Done))
	}
	if want := "1 [0 1], 3 [], 4 []"; strings.Join(got, ", ") != want {
		t.Errorf("pending %q, want %q", got, want)
	}
	if j.Last.Seq != 4 {
		t.Errorf("last batch %d", j.Last.Seq)
	}
}

func TestLogIsBounded(t *testing.T) {
	f := running(t)
	for seq := range uint64(maxPending) {
		mustApply(t, f, 20+seq, &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: seq + 1})
	}
	over := &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: maxPending + 1}
	if _, err := applyAt(t, f, 5000, over); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("batch %d: %v", over.Seq, err)
	}
	over.Completions = []wire.Completion{{Seq: 1, Output: wire.AllOutputs}}
	mustApply(t, f, 5001, over)

	f = running(t)
	var err error
	for i := 0; err == nil; i++ {
		_, err = applyAt(t, f, uint64(20+i), &RecordValue{Incarnation: 10, Epoch: 11, Index: i, Value: wire.Value{Data: make([]byte, wire.MaxPayload)}})
	}
	if !errors.Is(err, wire.ErrTooLarge) || f.state.Jobs[10].Bytes > maxJobBytes {
		t.Errorf("%d bytes of values, then %v", f.state.Jobs[10].Bytes, err)
	}
}

func TestEndedJobsAreForgotten(t *testing.T) {
	f := New()
	for i := range uint64(maxEndedJobs + 5) {
		mustApply(t, f, 2*i+1, &SubmitJob{Spec: wire.JobSpec{Submission: fmt.Sprint(i)}})
		mustApply(t, f, 2*i+2, &EndJob{Incarnation: 2*i + 1, State: wire.JobFinished})
	}
	if n := len(f.state.Jobs); n > maxEndedJobs || n != len(f.state.submissions) {
		t.Errorf("%d jobs, %d submissions", n, len(f.state.submissions))
	}
	if f.state.Jobs[1] != nil {
		t.Error("the oldest is still there")
	}
}

// A driver of a version that knows no limit of slots takes jobs without one, and stops at
// one that has it rather than run it without.
func TestLimitStopsEarlierVersions(t *testing.T) {
	type earlier struct {
		Spec wire.JobSpec `msgpack:"spec"`
		At   int64        `msgpack:"at"`
	}
	for most, want := range []error{nil, wire.ErrMalformed} {
		b, err := EncodeCommand(&TakeJob{Spec: wire.JobSpec{Submission: "s"}, At: 1, MaxSlots: most})
		if err != nil {
			t.Fatal(err)
		}
		if err := wire.Decode(b[2:], new(earlier)); !errors.Is(err, want) {
			t.Errorf("with a limit of %d: %v, want %v", most, err, want)
		}
	}
}

func TestUnknownCommandStops(t *testing.T) {
	for name, b := range map[string][]byte{
		"format": {9, 1, wire.Format, 0x80}, "kind": {commandFormat, 200, wire.Format, 0x80}, "empty": {},
		"payload": {commandFormat, byte(kindEnd), wire.Format, 0x81}, "field": {commandFormat, byte(kindStop), wire.Format, 0x81, 0xa1, 'z', 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := running(t)
			_, err := f.Apply(20, b)
			if !errors.Is(err, errStopped) {
				t.Fatal(err)
			}
			select {
			case <-f.failed:
			default:
				t.Error("the node isn't told")
			}
			if _, err := applyAt(t, f, 21, &StopJob{Incarnation: 10}); !errors.Is(err, errStopped) {
				t.Errorf("the next command: %v", err)
			}
			if _, err := f.Snapshot(); !errors.Is(err, errStopped) {
				t.Errorf("a snapshot: %v", err)
			}
		})
	}
}

func saved(t testing.TB, f *Machine) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := writeSnapshot(&buf, f.state, f.index); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func restored(t testing.TB, f *Machine) *Machine {
	t.Helper()
	g := New()
	if err := g.Restore(bytes.NewReader(saved(t, f))); err != nil {
		t.Fatal(err)
	}
	return g
}

// A snapshot is read back, however much a job may record.
func TestLargeSnapshotIsRead(t *testing.T) {
	f := New()
	const jobs, values = 45, 50_000 // together more than a message may hold
	for job := range uint64(jobs) {
		mustApply(t, f, job+1, &SubmitJob{Spec: wire.JobSpec{Submission: fmt.Sprint(job), Args: slices.Repeat([]string{"x"}, values)}})
	}
	g := restored(t, f)
	for job := range uint64(jobs) {
		if got := g.state.Jobs[job+1]; got == nil || len(got.Spec.Args) != values {
			t.Errorf("job %d is %+v", job+1, got)
		}
	}
}

// What couldn't be read again isn't written.
func TestUnreadableIsNotWritten(t *testing.T) {
	many := make([]string, 2<<20)
	if _, err := EncodeCommand(&SubmitJob{Spec: wire.JobSpec{Args: many}}); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a command of %d values: %v", len(many), err)
	}
	done := slices.Repeat([]wire.Completion{{Seq: 1, Output: 1}}, 2*MaxCompletions)
	if _, err := EncodeCommand(&CompleteOutputs{Incarnation: 10, Epoch: 11, Completions: done}); err != nil {
		t.Errorf("as many as may be recorded at once: %v", err)
	}
	f := running(t)
	f.state.Jobs[10].Spec.Args = many
	if err := writeSnapshot(io.Discard, f.state, f.index); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a snapshot of a job with millions of arguments: %v", err)
	}
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	whole := saved(t, running(t))
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1
		if _, _, err := readSnapshot(bytes.NewReader(b)); err == nil {
			t.Errorf("a flipped bit in byte %d of %d goes unnoticed", i, len(b))
		}
		if _, _, err := readSnapshot(bytes.NewReader(whole[:i])); err == nil {
			t.Errorf("cut after %d bytes it is read", i)
		}
	}
}

// What a daemon says of the end of a process, and what processes the job has then.
func TestProcessExited(t *testing.T) {
	tests := []struct {
		name    string
		process string // that ended, "" for one that was never ready
		fatal   bool
		left    int
		refused bool
	}{
		{"the process", "p", false, 0, false},
		{"an older one", "o", false, 1, false},
		{"one after it that was never ready", "", false, 0, false},
		{"the last one that is tried", "", true, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := running(t)
			mustApply(t, f, 12, &RegisterExecutor{ID: "e1", Start: "x", Slots: 1})
			mustApply(t, f, 13, &ProcessReady{Executor: "e1", Start: "x", Incarnation: 10, Process: "p", Address: "h:1", Slots: 1})
			mustApply(t, f, 14, &ProcessExited{Executor: "e1", Start: "x", Incarnation: 10, Process: tt.process, Fatal: tt.fatal, Reason: "why"})
			j := f.state.Jobs[10]
			if n, refused := len(f.state.processes(j)), f.state.Refusals(j) != ""; n != tt.left || refused != tt.refused {
				t.Errorf("there are %d processes, and it is refused: %v", n, refused)
			}
		})
	}
}

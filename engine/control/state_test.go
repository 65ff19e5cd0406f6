package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/wire"
)

// applyAt applies a command through its encoding, as Raft does.
func applyAt(t testing.TB, f *fsm, index uint64, c command) (result, error) {
	t.Helper()
	b, err := encodeCommand(c)
	if err != nil {
		t.Fatal(err)
	}
	return proposed(f.Apply(&raft.Log{Index: index, Data: b}))
}

// running returns a machine with job 10 under epoch 11.
func running(t testing.TB) *fsm {
	t.Helper()
	f := newFSM()
	mustApply(t, f, 10, &submitJob{Spec: wire.JobSpec{Submission: "s", Name: "n", Binary: "b", Args: []string{"-x"}, Secret: "q"}})
	mustApply(t, f, 11, &assignDriver{Incarnation: 10, Node: "a"})
	return f
}

func mustApply(t testing.TB, f *fsm, index uint64, c command) result {
	t.Helper()
	r, err := applyAt(t, f, index, c)
	if err != nil {
		t.Fatalf("command %d (%T): %v", index, c, err)
	}
	return r
}

func TestCommandsAreConditional(t *testing.T) {
	batch := func(seq uint64, data string) *allocateBatch {
		return &allocateBatch{Incarnation: 10, Epoch: 11, Seq: seq, Data: []byte(data)}
	}
	tests := []struct {
		name   string
		before []command
		c      command
		want   error // nil: it is done
	}{
		{"first batch", nil, batch(1, "a"), nil},
		{"batch twice", []command{batch(1, "a")}, batch(1, "a"), nil},
		{"batch twice with another content", []command{batch(1, "a")}, batch(1, "b"), wire.ErrSequence},
		{"batch left out", []command{batch(1, "a")}, batch(3, "c"), wire.ErrSequence},
		{"batch zero", nil, batch(0, ""), wire.ErrSequence},
		{"older batch", []command{batch(1, "a"), batch(2, "b")}, batch(1, "a"), wire.ErrSequence},
		{"stale epoch", []command{&assignDriver{Incarnation: 10, After: 11, Node: "b"}}, batch(1, "a"), wire.ErrStaleEpoch},
		{"epoch of nobody", nil, &allocateBatch{Incarnation: 10, Seq: 1}, wire.ErrStaleEpoch},
		{"another job", nil, &allocateBatch{Incarnation: 9, Epoch: 11, Seq: 1}, wire.ErrNoJob},
		{"after the end", []command{&endJob{Incarnation: 10, State: wire.JobKilled}}, batch(1, "a"), wire.ErrJobEnded},
		{"first value", nil, &recordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x"}}, nil},
		{"value left out", nil, &recordValue{Incarnation: 10, Epoch: 11, Index: 1}, wire.ErrSequence},
		{"negative value", nil, &recordValue{Incarnation: 10, Epoch: 11, Index: -1}, wire.ErrSequence},
		{"value twice", []command{&recordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x"}}},
			&recordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x"}}, nil},
		{"value twice with another content", []command{&recordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x"}}},
			&recordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "x", Data: []byte("!")}}, wire.ErrSequence},
		{"value too large", nil, &recordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Data: make([]byte, wire.MaxPayload)}}, nil},
		{"header twice", []command{&startJob{Incarnation: 10, Epoch: 11, Header: []byte("h")}}, &startJob{Incarnation: 10, Epoch: 11, Header: []byte("h")}, nil},
		{"another header", []command{&startJob{Incarnation: 10, Epoch: 11, Header: []byte("h")}}, &startJob{Incarnation: 10, Epoch: 11, Header: []byte("i")}, wire.ErrInvalid},
		{"empty header", nil, &startJob{Incarnation: 10, Epoch: 11}, wire.ErrInvalid},
		{"assigned after another epoch", nil, &assignDriver{Incarnation: 10, After: 7, Node: "b"}, wire.ErrSequence},
		{"assigned after the end", []command{&endJob{Incarnation: 10, State: wire.JobFailed}}, &assignDriver{Incarnation: 10, After: 11}, wire.ErrJobEnded},
		{"submitted twice", nil, &submitJob{Spec: wire.JobSpec{Submission: "s", Name: "n", Binary: "b", Args: []string{"-x"}, Secret: "other"}}, nil},
		{"submission id used for another", nil, &submitJob{Spec: wire.JobSpec{Submission: "s", Name: "n", Binary: "c"}}, wire.ErrSubmissionTaken},
		{"finished by a deposed driver", []command{&assignDriver{Incarnation: 10, After: 11, Node: "b"}}, &endJob{Incarnation: 10, Epoch: 11, State: wire.JobFinished}, wire.ErrStaleEpoch},
		{"ended in a state that is no end", nil, &endJob{Incarnation: 10, State: wire.JobRunning}, wire.ErrInvalid},
		{"a driver's directory", nil, &admitDriver{Node: "d", Copy: "1"}, nil},
		{"another one", []command{&admitDriver{Node: "d", Copy: "1"}}, &admitDriver{Node: "d", Copy: "2"}, wire.ErrSequence},
		{"another one in its place", []command{&admitDriver{Node: "d", Copy: "1"}}, &admitDriver{Node: "d", Copy: "2", Instead: "1"}, nil},
		{"one in the place of none", nil, &admitDriver{Node: "d", Copy: "2", Instead: "1"}, wire.ErrSequence},
		{"a lost one again", []command{&admitDriver{Node: "d", Copy: "1"}, &admitDriver{Node: "d", Copy: "2", Instead: "1"}}, &admitDriver{Node: "d", Copy: "1"}, wire.ErrSequence},
		{"a directory of nobody", nil, &admitDriver{Copy: "1"}, wire.ErrInvalid},
		{"killed twice", []command{&endJob{Incarnation: 10, State: wire.JobKilled}}, &endJob{Incarnation: 10, State: wire.JobKilled}, nil},
		{"process of an unknown executor", nil, &processReady{Executor: "e", Incarnation: 10}, wire.ErrNotReady},
		{"process of another daemon", []command{&registerExecutor{ID: "e", Start: "1"}}, &processReady{Executor: "e", Start: "2", Incarnation: 10}, wire.ErrNotReady},
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
		mustApply(t, f, 20+seq, &allocateBatch{Incarnation: 10, Epoch: 11, Seq: seq + 1, Data: []byte{byte(seq)}})
	}
	mustApply(t, f, 30, &allocateBatch{Incarnation: 10, Epoch: 11, Seq: 4, Completions: []wire.Completion{
		{Seq: 1, Output: 1}, {Seq: 1, Output: 0}, {Seq: 2, Output: wire.AllOutputs}, {Seq: 77, Output: 0}}})
	j := f.state.jobs[10]
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
		mustApply(t, f, 20+seq, &allocateBatch{Incarnation: 10, Epoch: 11, Seq: seq + 1})
	}
	over := &allocateBatch{Incarnation: 10, Epoch: 11, Seq: maxPending + 1}
	if _, err := applyAt(t, f, 5000, over); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("batch %d: %v", over.Seq, err)
	}
	over.Completions = []wire.Completion{{Seq: 1, Output: wire.AllOutputs}}
	mustApply(t, f, 5001, over)

	f = running(t)
	var err error
	for i := 0; err == nil; i++ {
		_, err = applyAt(t, f, uint64(20+i), &recordValue{Incarnation: 10, Epoch: 11, Index: i, Value: wire.Value{Data: make([]byte, wire.MaxPayload)}})
	}
	if !errors.Is(err, wire.ErrTooLarge) || f.state.jobs[10].Bytes > maxJobBytes {
		t.Errorf("%d bytes of values, then %v", f.state.jobs[10].Bytes, err)
	}
}

func TestEndedJobsAreForgotten(t *testing.T) {
	f := newFSM()
	for i := range uint64(maxEndedJobs + 5) {
		mustApply(t, f, 2*i+1, &submitJob{Spec: wire.JobSpec{Submission: fmt.Sprint(i)}})
		mustApply(t, f, 2*i+2, &endJob{Incarnation: 2*i + 1, State: wire.JobFinished})
	}
	if n := len(f.state.jobs); n > maxEndedJobs || n != len(f.state.submissions) {
		t.Errorf("%d jobs, %d submissions", n, len(f.state.submissions))
	}
	if f.state.jobs[1] != nil {
		t.Error("the oldest is still there")
	}
}

func TestUnknownCommandStops(t *testing.T) {
	for name, b := range map[string][]byte{
		"format": {9, 1, wire.Format, 0x80}, "kind": {commandFormat, 200, wire.Format, 0x80}, "empty": {},
		"payload": {commandFormat, byte(kindEnd), wire.Format, 0x81}, "field": {commandFormat, byte(kindStop), wire.Format, 0x81, 0xa1, 'z', 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := running(t)
			_, err := proposed(f.Apply(&raft.Log{Index: 20, Data: b}))
			if !errors.Is(err, errStopped) {
				t.Fatal(err)
			}
			select {
			case <-f.failed:
			default:
				t.Error("the node isn't told")
			}
			if _, err := applyAt(t, f, 21, &stopJob{Incarnation: 10}); !errors.Is(err, errStopped) {
				t.Errorf("the next command: %v", err)
			}
			if _, err := f.Snapshot(); !errors.Is(err, errStopped) {
				t.Errorf("a snapshot: %v", err)
			}
		})
	}
}

func saved(t testing.TB, f *fsm) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := writeSnapshot(&buf, f.state, f.index); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func restored(t testing.TB, f *fsm) *fsm {
	t.Helper()
	g := newFSM()
	if err := g.Restore(io.NopCloser(bytes.NewReader(saved(t, f)))); err != nil {
		t.Fatal(err)
	}
	return g
}

// A snapshot is read back, however much a job may record.
func TestLargeSnapshotIsRead(t *testing.T) {
	f := newFSM()
	const jobs, values = 45, 50_000 // together more than a message may hold
	for job := range uint64(jobs) {
		mustApply(t, f, job+1, &submitJob{Spec: wire.JobSpec{Submission: fmt.Sprint(job), Args: slices.Repeat([]string{"x"}, values)}})
	}
	g := restored(t, f)
	for job := range uint64(jobs) {
		if got := g.state.jobs[job+1]; got == nil || len(got.Spec.Args) != values {
			t.Errorf("job %d is %+v", job+1, got)
		}
	}
}

// What couldn't be read again isn't written.
func TestUnreadableIsNotWritten(t *testing.T) {
	many := make([]string, 2<<20)
	if _, err := encodeCommand(&submitJob{Spec: wire.JobSpec{Args: many}}); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("a command of %d values: %v", len(many), err)
	}
	done := slices.Repeat([]wire.Completion{{Seq: 1, Output: 1}}, 2*maxWaiting)
	if _, err := encodeCommand(&completeOutputs{Incarnation: 10, Epoch: 11, Completions: done}); err != nil {
		t.Errorf("as many as may be recorded at once: %v", err)
	}
	f := running(t)
	f.state.jobs[10].Spec.Args = many
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

func mustPropose(t testing.TB, n *node, c command) result {
	t.Helper()
	r, err := n.propose(c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	return r
}

func isErr(err, want error) bool { return errors.Is(err, want) }

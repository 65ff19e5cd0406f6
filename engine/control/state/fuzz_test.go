package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// busy returns a machine that knows something of everything.
func busy(t testing.TB) *Machine {
	t.Helper()
	f := running(t)
	for i, c := range []Command{
		&FoundCluster{ClusterID: "c"},
		&AdmitDriver{Node: "d", Copy: "1"},
		&StartJob{Incarnation: 10, Epoch: 11, Header: []byte("h")},
		&RecordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "v", Data: []byte("x")}},
		&AllocateBatch{Incarnation: 10, Epoch: 11, Seq: 1, Data: []byte("one")},
		&AllocateBatch{Incarnation: 10, Epoch: 11, Seq: 2, Data: []byte("two"), Completions: []wire.Completion{{Seq: 1, Output: 0}}},
		&RegisterExecutor{ID: "e", Start: "1", Address: "h:1", Slots: 2, Platform: "p"},
		&RegisterExecutor{ID: "f", Start: "1", Address: "h:2", Slots: 2, Platform: "p"},
		&LoseExecutor{ID: "f", Start: "1"},
		&ProcessReady{Executor: "e", Start: "1", Incarnation: 10, Process: "p", Address: "h:3", Slots: 2},
		&SubmitJob{Spec: wire.JobSpec{Submission: "t", Name: "m", Binary: "b"}},
		&EndJob{Incarnation: 30, State: wire.JobFailed, Reason: "r"},
		&SubmitJob{Spec: wire.JobSpec{Submission: "u"}},
	} {
		mustApply(t, f, 20+uint64(i), c)
	}
	return f
}

// Whatever stands in Raft's log, the machine doesn't panic. A command that it
// refuses changes nothing, nor does one that comes again; what it can't read stops
// it. Whatever state that makes, it can be saved and restored.
func FuzzCommand(f *testing.F) {
	for _, c := range []Command{
		&FoundCluster{ClusterID: "x"}, &AdmitDriver{Node: "d", Copy: "2", Instead: "1"},
		&SubmitJob{Spec: wire.JobSpec{Submission: "v", Name: "n", Args: []string{"a"}, Binary: "b", Size: 1, Platform: "p", Secret: "s"}, At: 1},
		&DrainExecutor{ID: "e", Start: "1"}, &ForgetExecutor{ID: "f"},
		&TakeJob{Spec: wire.JobSpec{Submission: "w", Name: "n", Secrets: []wire.Secret{{Name: "S", Value: "v"}}}},
		&AssignDriver{Incarnation: 10, After: 11, Node: "b", Crashed: true}, &StartJob{Incarnation: 32, Epoch: 1, Header: []byte("h")}, &StartJob{Incarnation: 10, Epoch: 11, Header: []byte("h"), Kind: wire.KindBatch},
		&RecordValue{Incarnation: 10, Epoch: 11, Index: 1, Value: wire.Value{Name: "w", Data: []byte("y")}},
		&AllocateBatch{Incarnation: 10, Epoch: 11, Seq: 3, Data: []byte("three"), Completions: []wire.Completion{{Seq: 1, Output: 1}, {Seq: 2, Output: wire.AllOutputs}}},
		&CompleteOutputs{Incarnation: 10, Epoch: 11, Completions: []wire.Completion{{Seq: 2, Output: 7}}},
		&StopJob{Incarnation: 10}, &StopJob{Incarnation: 32}, &EndJob{Incarnation: 10, Epoch: 11, State: wire.JobFinished, Reason: "r", At: 2},
		&RegisterExecutor{ID: "f", Start: "2", Address: "h:4", Slots: 1, Platform: "p"}, &LoseExecutor{ID: "e", Start: "1"},
		&ProcessReady{Executor: "e", Start: "1", Incarnation: 10, Process: "q", Address: "h:5", Slots: 2},
		&ProcessExited{Executor: "e", Start: "1", Incarnation: 10, Process: "p", Fatal: true, Reason: "r"},
	} {
		b, err := EncodeCommand(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := busy(t)
		before := saved(t, m)
		_, err := m.Apply(40, b)
		after := savedAt(t, m, 32)
		if errors.Is(err, errStopped) {
			if m.Err() == nil || !bytes.Equal(before, after) {
				t.Fatalf("it stopped and changed: %v", err)
			}
			return
		}
		if err != nil && !bytes.Equal(before, after) {
			t.Fatalf("refused with %v, it has changed the state", err)
		}
		_, again := m.Apply(41, b)
		if !bytes.Equal(after, savedAt(t, m, 32)) {
			t.Fatalf("applied again (%v, then %v) it has changed the state", err, again)
		}
		if n := restored(t, m); !bytes.Equal(savedAt(t, n, 32), after) {
			t.Fatal("saved and restored the state is another one")
		}
		c, err := decodeCommand(b)
		if err != nil {
			t.Fatal(err)
		}
		e, err := EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := decodeCommand(e); err != nil || !reflect.DeepEqual(c, d) {
			t.Fatalf("%+v became %+v, %v", c, d, err)
		}
	})
}

// savedAt is saved for comparing states after different commands.
func savedAt(t testing.TB, f *Machine, index uint64) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := writeSnapshot(&buf, f.state, index); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// snapshotRecords cuts a snapshot into what its records hold.
func snapshotRecords(t testing.TB, snapshot []byte) (all [][]byte) {
	t.Helper()
	b := snapshot[len(snapshotMagic) : len(snapshot)-4]
	for len(b) > 0 {
		n := binary.BigEndian.Uint32(b)
		all = append(all, b[4:4+n])
		b = b[4+n:]
	}
	return all
}

// Whatever stands where a snapshot should be, restoring fails and changes nothing,
// or makes a state that is saved and restored as the same one and takes commands.
func FuzzSnapshot(f *testing.F) {
	whole := saved(f, busy(f))
	p := snapshotRecords(f, whole)
	f.Add([]byte(nil), p[0], p[1], p[2], p[3], p[4])
	f.Add(whole, []byte(nil), []byte(nil), []byte(nil), []byte(nil), []byte(nil))
	f.Add(whole[:40], p[0], p[1], p[1], p[3], p[3])
	f.Fuzz(func(t *testing.T, raw, image, first, second, third, fourth []byte) {
		if len(raw) == 0 { // only what has the right form and checksum comes any further
			raw = snapshotOf(image, first, second, third, fourth)
		}
		restoreAnything(t, raw)
	})
}

// Each byte of a snapshot's records is altered in some ways; the checksum is right.
func TestAlteredSnapshot(t *testing.T) {
	p := snapshotRecords(t, saved(t, busy(t)))
	for i, part := range p {
		for at := range part {
			for _, mask := range []byte{0x01, 0x02, 0x10, 0x40, 0x80, 0xff} {
				altered := slices.Clone(p)
				altered[i] = bytes.Clone(part)
				altered[i][at] ^= mask
				restoreAnything(t, snapshotOf(altered...))
			}
		}
	}
}

// snapshotOf puts records together; empty ones are left out.
func snapshotOf(records ...[]byte) []byte {
	var b []byte
	for _, r := range records {
		if len(r) > 0 {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(r))), r...)
		}
	}
	sum := newSum()
	sum.Write(b)
	return binary.BigEndian.AppendUint32(append([]byte(snapshotMagic), b...), sum.Sum32())
}

// restoreAnything restores bytes and checks what comes of it.
func restoreAnything(t *testing.T, raw []byte) {
	t.Helper()
	m := busy(t)
	before := saved(t, m)
	if err := m.Restore(bytes.NewReader(raw)); err != nil {
		if !errors.Is(err, errSnapshot) && !errors.Is(err, wire.ErrFormat) {
			t.Fatal(err)
		}
		if !bytes.Equal(before, saved(t, m)) {
			t.Fatalf("it failed with %v and has changed the state", err)
		}
		return
	}
	if n := restored(t, m); !bytes.Equal(saved(t, n), saved(t, m)) {
		t.Fatal("restored once more the state is another one")
	}
	for i, c := range []Command{
		&SubmitJob{Spec: wire.JobSpec{Submission: "s"}}, &AssignDriver{Incarnation: 10, After: 11, Node: "b"},
		&AllocateBatch{Incarnation: 10, Epoch: 101, Seq: 3, Completions: []wire.Completion{{Seq: 1, Output: wire.AllOutputs}}},
		&RegisterExecutor{ID: "e", Start: "2"}, &ProcessReady{Executor: "e", Start: "2", Incarnation: 10}, &LoseExecutor{ID: "e", Start: "2"},
		&EndJob{Incarnation: 10, State: wire.JobKilled},
	} {
		_, _ = applyAt(t, m, 100+uint64(i), c) // doesn't panic
	}
	m.View(func(s *State) {
		for _, j := range s.Jobs {
			_, _ = s.Status(j), s.Members(j)
		}
		_, _ = s.Assignments("e"), s.ListExecutors()
		checkCount(t, s)
	})
}

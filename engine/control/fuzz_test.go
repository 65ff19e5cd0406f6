package control

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/wire"
)

// busy returns a machine that knows something of everything.
func busy(t testing.TB) *fsm {
	t.Helper()
	f := running(t)
	for i, c := range []command{
		&foundCluster{ClusterID: "c"},
		&admitDriver{Node: "d", Copy: "1"},
		&startJob{Incarnation: 10, Epoch: 11, Header: []byte("h")},
		&recordValue{Incarnation: 10, Epoch: 11, Value: wire.Value{Name: "v", Data: []byte("x")}},
		&allocateBatch{Incarnation: 10, Epoch: 11, Seq: 1, Data: []byte("one")},
		&allocateBatch{Incarnation: 10, Epoch: 11, Seq: 2, Data: []byte("two"), Completions: []wire.Completion{{Seq: 1, Output: 0}}},
		&registerExecutor{ID: "e", Start: "1", Address: "h:1", Slots: 2, Platform: "p"},
		&registerExecutor{ID: "f", Start: "1", Address: "h:2", Slots: 2, Platform: "p"},
		&loseExecutor{ID: "f", Start: "1"},
		&processReady{Executor: "e", Start: "1", Incarnation: 10, Process: "p", Address: "h:3", Slots: 2},
		&submitJob{Spec: wire.JobSpec{Submission: "t", Name: "m", Binary: "b"}},
		&endJob{Incarnation: 30, State: wire.JobFailed, Reason: "r"},
		&submitJob{Spec: wire.JobSpec{Submission: "u"}},
	} {
		mustApply(t, f, 20+uint64(i), c)
	}
	return f
}

// Whatever stands in Raft's log, the machine doesn't panic. A command that it
// refuses changes nothing, nor does one that comes again; what it can't read stops
// it. Whatever state that makes, it can be saved and restored.
func FuzzCommand(f *testing.F) {
	for _, c := range []command{
		&foundCluster{ClusterID: "x"}, &admitDriver{Node: "d", Copy: "2", Instead: "1"},
		&submitJob{Spec: wire.JobSpec{Submission: "v", Name: "n", Args: []string{"a"}, Binary: "b", Size: 1, Platform: "p", Secret: "s"}, At: 1},
		&assignDriver{Incarnation: 10, After: 11, Node: "b", Crashed: true}, &startJob{Incarnation: 32, Epoch: 1, Header: []byte("h")},
		&recordValue{Incarnation: 10, Epoch: 11, Index: 1, Value: wire.Value{Name: "w", Data: []byte("y")}},
		&allocateBatch{Incarnation: 10, Epoch: 11, Seq: 3, Data: []byte("three"), Completions: []wire.Completion{{Seq: 1, Output: 1}, {Seq: 2, Output: wire.AllOutputs}}},
		&completeOutputs{Incarnation: 10, Epoch: 11, Completions: []wire.Completion{{Seq: 2, Output: 7}}},
		&stopJob{Incarnation: 10}, &stopJob{Incarnation: 32}, &endJob{Incarnation: 10, Epoch: 11, State: wire.JobFinished, Reason: "r", At: 2},
		&registerExecutor{ID: "f", Start: "2", Address: "h:4", Slots: 1, Platform: "p"}, &loseExecutor{ID: "e", Start: "1"},
		&processReady{Executor: "e", Start: "1", Incarnation: 10, Process: "q", Address: "h:5", Slots: 2},
		&processExited{Executor: "e", Start: "1", Incarnation: 10, Process: "p", Fatal: true, Reason: "r"},
	} {
		b, err := encodeCommand(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := busy(t)
		before := saved(t, m)
		_, err := proposed(m.Apply(&raft.Log{Index: 40, Data: b}))
		after := savedAt(t, m, 32)
		if errors.Is(err, errStopped) {
			if m.err() == nil || !bytes.Equal(before, after) {
				t.Fatalf("it stopped and changed: %v", err)
			}
			return
		}
		if err != nil && !bytes.Equal(before, after) {
			t.Fatalf("refused with %v, it has changed the state", err)
		}
		_, again := proposed(m.Apply(&raft.Log{Index: 41, Data: b}))
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
		e, err := encodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := decodeCommand(e); err != nil || !reflect.DeepEqual(c, d) {
			t.Fatalf("%+v became %+v, %v", c, d, err)
		}
	})
}

// savedAt is saved for comparing states after different commands.
func savedAt(t testing.TB, f *fsm, index uint64) []byte {
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
	if err := m.Restore(io.NopCloser(bytes.NewReader(raw))); err != nil {
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
	for i, c := range []command{
		&submitJob{Spec: wire.JobSpec{Submission: "s"}}, &assignDriver{Incarnation: 10, After: 11, Node: "b"},
		&allocateBatch{Incarnation: 10, Epoch: 101, Seq: 3, Completions: []wire.Completion{{Seq: 1, Output: wire.AllOutputs}}},
		&registerExecutor{ID: "e", Start: "2"}, &processReady{Executor: "e", Start: "2", Incarnation: 10}, &loseExecutor{ID: "e", Start: "2"},
		&endJob{Incarnation: 10, State: wire.JobKilled},
	} {
		_, _ = applyAt(t, m, 100+uint64(i), c) // doesn't panic
	}
	m.view(func(s *state) {
		for _, j := range s.jobs {
			_, _ = s.status(j), s.members(j)
		}
		_, _ = s.assignments("e"), s.listExecutors()
		checkCount(t, s)
	})
}

// A greeting is read in one way only; nothing that comes makes the door panic or
// hang, and what is no greeting of a peer isn't let in.
func FuzzGreeting(f *testing.F) {
	p := peers{"a": "127.0.0.1:1", "b": "127.0.0.1:2"}
	a := newRoster(p, introduction{copy: "copy-a", start: "1", node: "a"})
	a.learn("one", map[string]admission{"a": {"copy-a", 3}, "b": {"copy-b", 4}})
	good := greeting{purpose: forName, introduction: introduction{cluster: "one", copy: "copy-b", start: "s", node: "b", admitted: 4}}
	f.Add(good.append(nil))
	good.purpose = forRaft
	f.Add(good.append(nil))
	good.copy = "copy-x"
	f.Add(good.append(nil))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		may := false
		if len(b) >= greetingLen {
			g, err := parseGreeting(b[:greetingLen])
			if err == nil && !bytes.Equal(g.append(nil), b[:greetingLen]) {
				t.Fatalf("%q is read as %+v", b[:greetingLen], g)
			}
			may = err == nil && a.judge(g.introduction) == welcome
		}
		if len(b) >= answerLen {
			if a, err := parseAnswer(b[:answerLen]); err == nil && !bytes.Equal(a.append(nil), b[:answerLen]) {
				t.Fatalf("%q is read as %+v", b[:answerLen], a)
			}
		}
		d := newDoor(nowhere{}, token(), a, slog.New(slog.DiscardHandler))
		d.raft.Close() // nobody takes the connection
		here, there := net.Pipe()
		var talking sync.WaitGroup
		talking.Go(func() { _, _ = io.Copy(io.Discard, there) })
		talking.Go(func() {
			_, _ = there.Write(b)
			if len(b) < greetingLen {
				_ = there.Close()
			}
		})
		if d.admitRaft(here) == nil && !may {
			t.Errorf("%q is let in", b)
		}
		_, _ = here.Close(), there.Close()
		talking.Wait()
	})
}

// nowhere is the listener of a door that takes no connections.
type nowhere struct{ net.Listener }

func (nowhere) Addr() net.Addr { return &net.TCPAddr{} }

// What is read as an identity is one, and stays the same when it is saved.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format":1,"node":"a","cluster":"","copy":"c"}`))
	f.Add([]byte(`{"format":1,"node":"a","cluster":"x","copy":"c","replaces":true,"drivers":{"a":{"copy":"c","index":7}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := parseIdentity(b)
		if err != nil {
			return
		}
		saved, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseIdentity(saved); err != nil || !reflect.DeepEqual(normal(again), normal(id)) {
			t.Fatalf("%+v became %+v, %v", id, again, err)
		}
		r := newRoster(peers{id.Node: "127.0.0.1:1"}, introduction{copy: id.Copy, start: "s", node: id.Node})
		r.learn(id.Cluster, id.Drivers)
		i := r.introduce()
		if got, err := parseIntroduction(i.append(nil)); err != nil || got != i {
			t.Fatalf("it introduces itself as %+v, read as %+v, %v", i, got, err)
		}
	})
}

// normal returns an identity in which no drivers are nil.
func normal(id identity) identity {
	if len(id.Drivers) == 0 {
		id.Drivers = nil
	}
	return id
}

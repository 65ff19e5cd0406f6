package state

import (
	"bytes"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// What kind of program a job runs outlives its end, a snapshot and its restoration.
func TestKindIsRemembered(t *testing.T) {
	m := running(t)
	mustApply(t, m, 20, &StartJob{Incarnation: 10, Epoch: 11, Header: []byte("h"), Kind: wire.KindBatch})
	mustApply(t, m, 21, &EndJob{Incarnation: 10, Epoch: 11, State: wire.JobFinished, At: 5})
	snapshot, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	if err := snapshot.Write(&written); err != nil {
		t.Fatal(err)
	}
	restored := New()
	if err := restored.Restore(&written); err != nil {
		t.Fatal(err)
	}
	restored.View(func(s *State) {
		if st := s.Status(s.Jobs[10]); st.Kind != wire.KindBatch || st.State != wire.JobFinished || st.Ended != 5 {
			t.Errorf("%+v", st)
		}
	})
}

// A job that leaves nothing ends with a command that earlier versions know.
func TestEnding(t *testing.T) {
	const next = 12
	for _, x := range []struct {
		name   string
		kind   wire.JobKind // of a job that was started
		begins bool         // and has planned a batch
		epoch  uint64       // of the driver that says so
		want   kind
	}{
		{"not started, by a user", wire.KindUnknown, false, 0, kindEnd},
		{"a batch program", wire.KindBatch, false, 11, kindEnd},
		{"a batch program, by a user", wire.KindBatch, false, 0, kindEnd},
		{"a stream before its first batch", wire.KindStream, false, 11, kindEnd},
		{"such a stream, by a user", wire.KindStream, false, 0, kindLeave},
		{"a stream", wire.KindStream, true, 11, kindLeave},
		{"a stream, by a user", wire.KindStream, true, 0, kindLeave},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := running(t)
			if x.kind != wire.KindUnknown {
				mustApply(t, m, next, &StartJob{Incarnation: 10, Epoch: 11, Header: []byte("h"), Kind: x.kind})
			}
			if x.begins {
				mustApply(t, m, next+1, &AllocateBatch{Incarnation: 10, Epoch: 11, Seq: 1})
			}
			c := m.state.Ending(EndJob{Incarnation: 10, Epoch: x.epoch, State: wire.JobKilled, At: 5})
			if c.kind() != x.want {
				t.Errorf("it ends with a command of kind %d, want %d", c.kind(), x.want)
			}
			mustApply(t, m, next+2, c)
			if got := m.state.Jobs[10]; got.State != wire.JobKilled || got.Ended != 5 || got.left() != x.begins {
				t.Errorf("it is %s since %d; a log is left: %t", got.State, got.Ended, got.left())
			}
		})
	}
	if c := New().state.Ending(EndJob{Incarnation: 10}); c.kind() != kindEnd {
		t.Errorf("a job that isn't there ends with a command of kind %d", c.kind())
	}
}

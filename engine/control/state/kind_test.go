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

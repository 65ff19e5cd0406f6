package raftgroup_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// A leader that is cut off is replaced, whatever it answered is
// there, and what it takes afterwards isn't acknowledged.
func TestAcknowledgedSurvivesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := grouptest.NewMemory(t)
		defer g.Close()
		first := g.Leader()
		job := grouptest.MustPropose(t, g.Nodes[first], &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
		epoch := grouptest.MustPropose(t, g.Nodes[first], &state.AssignDriver{Incarnation: job, Node: "a"}).Index
		const batches = 50
		for seq := uint64(1); seq <= batches; seq++ {
			grouptest.MustPropose(t, g.Nodes[first], &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq, Data: fmt.Append(nil, seq)})
		}
		g.Cut(first)
		began := time.Now()
		if _, err := g.Nodes[first].Propose(&state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: batches + 1}); err == nil {
			t.Error("a leader without a majority acknowledged a batch")
		}
		second := g.Leader(first)
		t.Logf("another leads after %v", time.Since(began))
		if d := time.Since(began); d > 3*time.Second { // several split votes in a row
			t.Errorf("another leads after %v", d)
		}
		g.Nodes[second].View(func(s *state.State) {
			if j := s.Jobs[job]; j == nil || j.Last.Seq != batches || len(j.Pending) != batches {
				t.Errorf("the new leader has %+v", j)
			}
		})
		next := grouptest.MustPropose(t, g.Nodes[second], &state.AssignDriver{Incarnation: job, After: epoch, Node: "b", Crashed: true}).Index
		if next <= epoch {
			t.Errorf("epoch %d follows %d", next, epoch)
		}
		_, err := g.Nodes[second].Propose(&state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: batches + 1})
		if !errors.Is(err, wire.ErrStaleEpoch) {
			t.Errorf("the deposed driver's batch: %v", err)
		}
	})
}

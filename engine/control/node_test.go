package control

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// group is three nodes in memory.
type group struct {
	t          testing.TB
	nodes      []*node
	transports []*raft.InmemTransport
}

func newGroup(t testing.TB) *group {
	return newGroupOn(t, func(int) store { return raft.NewInmemStore() })
}

// newGroupOn returns a group on given disks.
func newGroupOn(t testing.TB, disk func(i int) store) *group {
	t.Helper()
	g := &group{t: t}
	ids := []string{"a", "b", "c"}
	for _, id := range ids {
		_, tr := raft.NewInmemTransport(raft.ServerAddress(id))
		g.transports = append(g.transports, tr)
	}
	for i, tr := range g.transports {
		for j, other := range g.transports {
			if i != j {
				tr.Connect(other.LocalAddr(), other)
			}
		}
	}
	for i, id := range ids {
		logs := disk(i)
		n, err := startNode(raftParts{
			id: id, servers: ids, logs: logs, stable: logs, snapshots: raft.NewInmemSnapshotStore(),
			transport: g.transports[i], timing: DefaultTiming(), log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		g.nodes = append(g.nodes, n)
	}
	return g
}

// leader waits for a leader other than the nodes in skip.
func (g *group) leader(skip ...int) int {
	g.t.Helper()
	nodes := slices.Clone(g.nodes)
	for _, i := range skip {
		nodes[i] = nil
	}
	return awaitLeader(g.t, nodes)
}

// awaitLeader waits until one of up to three nodes leads and has applied
// everything. Nodes that aren't there are nil.
func awaitLeader(t testing.TB, nodes []*node) int {
	t.Helper()
	var changes [3]<-chan bool
	for i, n := range nodes {
		if n != nil {
			changes[i] = n.leading
		}
	}
	for deadline := time.After(20 * time.Second); ; {
		var again <-chan time.Time
		for i, n := range nodes {
			switch {
			case n == nil || !n.isLeader():
			case n.barrier() == nil:
				return i
			default: // it is about to hand the lead over, or to lose it
				again = time.After(10 * time.Millisecond)
			}
		}
		select {
		case <-changes[0]:
		case <-changes[1]:
		case <-changes[2]:
		case <-again:
		case <-deadline:
			t.Fatal("no leader")
		}
	}
}

// cut separates a node from the others.
func (g *group) cut(i int) {
	g.transports[i].DisconnectAll()
	for j, tr := range g.transports {
		if j != i {
			tr.Disconnect(g.transports[i].LocalAddr())
		}
	}
}

// mend undoes cut.
func (g *group) mend(i int) {
	for j, tr := range g.transports {
		if j != i {
			tr.Connect(g.transports[i].LocalAddr(), g.transports[i])
			g.transports[i].Connect(tr.LocalAddr(), tr)
		}
	}
}

func (g *group) close() {
	for _, n := range g.nodes {
		_ = n.raft.Shutdown().Error()
	}
}

// A leader that is cut off is replaced, whatever it answered is
// there, and what it takes afterwards isn't acknowledged.
func TestAcknowledgedSurvivesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t)
		defer g.close()
		first := g.leader()
		job := mustPropose(t, g.nodes[first], &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
		epoch := mustPropose(t, g.nodes[first], &state.AssignDriver{Incarnation: job, Node: "a"}).Index
		const batches = 50
		for seq := uint64(1); seq <= batches; seq++ {
			mustPropose(t, g.nodes[first], &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq, Data: fmt.Append(nil, seq)})
		}
		g.cut(first)
		began := time.Now()
		if _, err := g.nodes[first].propose(&state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: batches + 1}); err == nil {
			t.Error("a leader without a majority acknowledged a batch")
		}
		second := g.leader(first)
		t.Logf("another leads after %v", time.Since(began))
		if d := time.Since(began); d > 3*time.Second { // several split votes in a row
			t.Errorf("another leads after %v", d)
		}
		g.nodes[second].fsm.View(func(s *state.State) {
			if j := s.Jobs[job]; j == nil || j.Last.Seq != batches || len(j.Pending) != batches {
				t.Errorf("the new leader has %+v", j)
			}
		})
		next := mustPropose(t, g.nodes[second], &state.AssignDriver{Incarnation: job, After: epoch, Node: "b", Crashed: true}).Index
		if next <= epoch {
			t.Errorf("epoch %d follows %d", next, epoch)
		}
		_, err := g.nodes[second].propose(&state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: batches + 1})
		if !isErr(err, wire.ErrStaleEpoch) {
			t.Errorf("the deposed driver's batch: %v", err)
		}
	})
}

// A leader that can't do what it is asked at this moment says so: no job ends
// because of it.
func TestRaftErrorsAreTransient(t *testing.T) {
	for _, tt := range []struct {
		err               error
		proposed, barrier error
	}{
		{raft.ErrNotLeader, wire.ErrNotLeader, wire.ErrNotLeader},
		{raft.ErrLeadershipTransferInProgress, wire.ErrNotLeader, wire.ErrNotLeader},
		{raft.ErrLeadershipLost, wire.ErrUnknownOutcome, wire.ErrNotLeader},
		{raft.ErrEnqueueTimeout, wire.ErrNotReady, wire.ErrNotReady},
		{raft.ErrRaftShutdown, wire.ErrUnknownOutcome, wire.ErrNotReady},
		{raft.ErrAbortedByRestore, wire.ErrUnknownOutcome, wire.ErrNotReady},
		{errBroken, wire.ErrUnknownOutcome, wire.ErrNotReady},
	} {
		if got := proposeError(tt.err); !errors.Is(got, tt.proposed) || !wire.Transient(got) {
			t.Errorf("a command, %v: %v", tt.err, got)
		}
		if got := barrierError(tt.err); !errors.Is(got, tt.barrier) || !wire.Transient(got) {
			t.Errorf("a barrier, %v: %v", tt.err, got)
		}
	}
}

func mustPropose(t testing.TB, n *node, c state.Command) state.Result {
	t.Helper()
	r, err := n.propose(c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	return r
}

func isErr(err, want error) bool { return errors.Is(err, want) }

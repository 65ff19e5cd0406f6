package grouptest

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
)

// Memory is a group in memory, of up to three nodes. It goes into virtual time.
type Memory struct {
	T          testing.TB
	Nodes      []*raftgroup.Replica
	transports []*raft.InmemTransport
}

// NewMemory returns three nodes whose logs are in memory.
func NewMemory(t testing.TB) *Memory {
	return NewMemoryOn(t, func(int) raftgroup.Store { return raft.NewInmemStore() }, "a", "b", "c")
}

// NewMemoryOn returns a group on given disks.
func NewMemoryOn(t testing.TB, disk func(i int) raftgroup.Store, ids ...string) *Memory {
	t.Helper()
	g := &Memory{T: t}
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
		n, err := raftgroup.Start(raftgroup.Parts{
			ID: id, Servers: ids, Logs: logs, Stable: logs, Snapshots: raft.NewInmemSnapshotStore(),
			Transport: g.transports[i], Timing: raftgroup.DefaultTiming(), Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g
}

// Leader waits for a leader other than the nodes in skip.
func (g *Memory) Leader(skip ...int) int {
	g.T.Helper()
	nodes := slices.Clone(g.Nodes)
	for _, i := range skip {
		nodes[i] = nil
	}
	return AwaitLeader(g.T, nodes)
}

// AwaitLeader waits until one of up to three nodes leads and has applied
// everything. Nodes that aren't there are nil.
func AwaitLeader(t testing.TB, nodes []*raftgroup.Replica) int {
	t.Helper()
	var changes [3]<-chan bool
	for i, n := range nodes {
		if n != nil {
			changes[i] = n.Leading()
		}
	}
	for deadline := time.After(20 * time.Second); ; {
		var again <-chan time.Time
		for i, n := range nodes {
			switch {
			case n == nil || !n.IsLeader():
			case n.Barrier() == nil:
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

// Cut separates a node from the others.
func (g *Memory) Cut(i int) {
	g.transports[i].DisconnectAll()
	for j, tr := range g.transports {
		if j != i {
			tr.Disconnect(g.transports[i].LocalAddr())
		}
	}
}

// Mend undoes cut.
func (g *Memory) Mend(i int) {
	for j, tr := range g.transports {
		if j != i {
			tr.Connect(g.transports[i].LocalAddr(), g.transports[i])
			g.transports[i].Connect(tr.LocalAddr(), tr)
		}
	}
}

// Close ends the nodes.
func (g *Memory) Close() {
	for _, n := range g.Nodes {
		_ = n.Close()
	}
}

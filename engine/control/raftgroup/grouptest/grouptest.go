// Package grouptest starts groups of nodes in this process for tests, of raftgroup and of
// control: on disks and loopback (Group), or in memory and virtual time (Memory). A
// HungStore is a disk that hangs.
package grouptest

import (
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security"
)

// Group are nodes with disks on loopback.
type Group struct {
	T     testing.TB
	Conf  []raftgroup.Config
	Nodes []*raftgroup.Node // nil: closed
	Disks []*HungStore
}

// NewThree returns three nodes.
func NewThree(t testing.TB, security security.Security) *Group {
	t.Helper()
	return New(t, security, "a", "b", "c")
}

// New returns a group of the nodes with the ids given.
func New(t testing.TB, security security.Security, ids ...string) *Group {
	t.Helper()
	m := Prepare(t, security, ids...)
	m.OpenAll()
	return m
}

// Prepare is New for tests that change the configuration first.
func Prepare(t testing.TB, security security.Security, ids ...string) *Group {
	t.Helper()
	p := make(raftgroup.Peers)
	var listeners []net.Listener
	for _, id := range ids {
		l := rpctest.Listen(t)
		listeners = append(listeners, l)
		p[id] = l.Addr().String()
	}
	m := &Group{T: t, Nodes: make([]*raftgroup.Node, len(ids)), Disks: make([]*HungStore, len(ids))}
	for i, id := range ids {
		m.Conf = append(m.Conf, raftgroup.Config{
			ID: id, Peers: p, DataDir: filepath.Join(t.TempDir(), id), Listener: listeners[i],
			Security: security, Timing: raftgroup.DefaultTiming(), Log: slog.New(slog.DiscardHandler),
			WrapLog: func(log raftgroup.Store) raftgroup.Store {
				m.Disks[i] = NewHungStore(log)
				return m.Disks[i]
			},
		})
	}
	t.Cleanup(func() {
		for i := range m.Nodes {
			m.Stop(i)
		}
	})
	return m
}

// OpenAll opens all nodes at once: each asks the others whether they let it in.
func (m *Group) OpenAll() {
	var opening sync.WaitGroup
	for i := range m.Nodes {
		opening.Go(func() { m.Open(i) })
	}
	opening.Wait()
	if m.T.Failed() {
		m.T.FailNow()
	}
}

// Open opens a node.
func (m *Group) Open(i int) {
	n, err := raftgroup.Open(m.T.Context(), m.Conf[i])
	if err != nil {
		m.T.Error(err)
		return
	}
	m.Conf[i].Listener = nil // from now on it is opened by its address
	m.Nodes[i] = n
}

// Stop closes a node, if it is open.
func (m *Group) Stop(i int) {
	if m.Nodes[i] == nil {
		return
	}
	if err := m.Nodes[i].Close(); err != nil {
		m.T.Error(err)
	}
	m.Nodes[i] = nil
}

// Leader waits until a node leads and has applied everything.
func (m *Group) Leader() int {
	m.T.Helper()
	nodes := make([]*raftgroup.Replica, len(m.Nodes))
	for i, n := range m.Nodes {
		if n != nil {
			nodes[i] = n.Replica
		}
	}
	return AwaitLeader(m.T, nodes)
}

// Lead makes a node the leader.
func (m *Group) Lead(i int) {
	m.T.Helper()
	id := m.Conf[i].ID
	for range 20 {
		l := m.Leader()
		if l == i {
			return
		}
		_ = m.Nodes[l].HandOverTo(id) // it fails while the node is behind
	}
	m.T.Fatalf("%s doesn't take the lead", id)
}

// MustPropose has a node's group apply a command.
func MustPropose(t testing.TB, n *raftgroup.Replica, c state.Command) state.Result {
	t.Helper()
	r, err := n.Propose(c)
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
	return r
}

package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
)

// A driver whose data directory is lost has forgotten what it voted for and what
// it has acknowledged. Raft counts on both: if it just went on with an empty
// directory, it could make a majority with a node that is behind, and what an
// older majority had committed would be gone. So Raft must never take the new
// directory for the old one. The leader takes the driver's vote away (which takes
// a majority of the others, who then have everything), records the new directory,
// from when on the listeners turn the old one away, and gives the vote back to it:
// for Raft a member was removed and another one added, one after the other.

// Times of a node that asks to be admitted.
const (
	replaceRetry  = 500 * time.Millisecond
	replaceRemind = 10 * time.Second // between two words of what goes wrong
)

// AdmitDrivers records whose data directory is which, of drivers that are new, and
// gives their votes back to those that were replaced.
func (m *Node) AdmitDrivers() {
	var known map[string]string
	m.View(func(s *state.State) {
		known = make(map[string]string, len(s.Drivers))
		for node, a := range s.Drivers {
			known[node] = a.Copy
		}
	})
	present := m.roster.present()
	for node, copy := range present {
		if known[node] != "" {
			continue
		}
		m.log.Info("a driver is here for the first time", "driver", node)
		if err := m.Record(&state.AdmitDriver{Node: node, Copy: copy}, Never); err != nil {
			m.log.Warn("admitting a driver", "driver", node, "err", err)
			return // the leadership is about to end, or tries again
		}
	}
	for _, node := range m.nonvoters() {
		if known[node] == "" || present[node] != known[node] {
			continue
		}
		if err := m.await(m.raft.AddVoter(raft.ServerID(node), raft.ServerAddress(node), 0, ProposeTimeout)); err != nil {
			m.log.Warn("giving a driver its vote back", "driver", node, "err", err)
			return
		}
		m.log.Info("a driver that was replaced has a vote again", "driver", node)
	}
}

// nonvoters lists the nodes whose vote was taken away.
func (n *Replica) nonvoters() (all []string) {
	f := n.raft.GetConfiguration()
	if f.Error() != nil {
		return nil // it is shut down
	}
	for _, s := range f.Configuration().Servers {
		if s.Suffrage != raft.Voter {
			all = append(all, string(s.ID))
		}
	}
	return all
}

// demote takes a node's vote away. It returns when a majority of the others has
// agreed.
func (n *Replica) demote(id string) error {
	if slices.Contains(n.nonvoters(), id) {
		return nil // an earlier try got as far
	}
	switch err := n.await(n.raft.DemoteVoter(raft.ServerID(id), 0, ProposeTimeout)); {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost):
		return &wire.NotLeaderError{}
	default:
		return fmt.Errorf("%w: taking the vote of driver %s away: %w", wire.ErrNotReady, id, err)
	}
}

// ReplaceDirectory makes another data directory a driver's, on the leader. The
// driver must answer at its address with that directory.
func (m *Node) ReplaceDirectory(node, copy string) error {
	if m.peers[node] == "" || node == m.id || !state.ValidMark(copy) {
		return fmt.Errorf("%w: driver %q with directory %q; the drivers are %v, and %s leads",
			wire.ErrInvalid, node, copy, m.peers.IDs(), m.id)
	}
	// Whoever answers at the driver's address is the one that is meant.
	there, err := m.listener.ask(node)
	if err != nil {
		return fmt.Errorf("%w: driver %s, which is to be replaced, can't be reached: %w", wire.ErrNotReady, node, err)
	}
	if there.node != node || there.copy != copy {
		return fmt.Errorf("%w: at %s, the address of driver %s, another engine-driver answers: %s with directory %s",
			wire.ErrInvalid, m.peers[node], node, there.node, there.copy)
	}
	return m.replace(node, copy)
}

// replace makes another data directory a driver's.
func (m *Node) replace(node, copy string) error {
	m.replacing.Lock()
	defer m.replacing.Unlock()
	var old string
	m.View(func(s *state.State) { old = s.Drivers[node].Copy })
	if old == copy {
		return nil
	}
	if err := m.demote(node); err != nil {
		return err
	}
	m.log.Warn("a driver's data directory is replaced", "driver", node, "lost", old, "new", copy)
	return m.Record(&state.AdmitDriver{Node: node, Copy: copy, Instead: old}, Never)
}

// AskToReplace asks the leader to be admitted in place of a lost data directory, until the group
// says that this one counts or ctx ends.
func (m *Node) AskToReplace(ctx context.Context, drivers *rpc.Cluster) {
	m.log.Info("waiting to be admitted in place of the data directory that is lost", "driver", m.id)
	var logged time.Time
	for {
		err := drivers.Do(ctx, replaceRetry, func(ctx context.Context, leader grpc.ClientConnInterface) error {
			_, err := wire.DriversClient{CC: leader}.Replace(ctx, &wire.ReplaceRequest{Node: m.id, Copy: m.roster.self.copy})
			return err
		})
		switch {
		case err == nil:
			m.log.Info("the cluster knows the new data directory", "driver", m.id)
			return
		case errors.Is(err, wire.ErrInvalid), errors.Is(err, wire.ErrUnauthenticated):
			m.Fail(fmt.Errorf("replacing the data directory of driver %s: %w", m.id, err))
			return
		case ctx.Err() == nil && time.Since(logged) > replaceRemind:
			logged = time.Now()
			m.log.Warn("not admitted yet", "driver", m.id, "err", err)
		}
		select {
		case <-time.After(replaceRetry):
		case <-ctx.Done():
			return
		}
	}
}

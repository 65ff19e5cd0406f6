package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// A driver whose data directory is lost has forgotten what it voted for and what
// it has acknowledged. Raft counts on both: if it just went on with an empty
// directory, it could make a majority with a node that is behind, and what an
// older majority had committed would be gone. So Raft must never take the new
// directory for the old one. The leader takes the driver's vote away (which takes
// a majority of the others, who then have everything), records the new directory,
// from when on the doors turn the old one away, and gives the vote back to it:
// for Raft a member was removed and another one added, one after the other.

// Times of a node that asks to be admitted.
const (
	replaceRetry  = 500 * time.Millisecond
	replaceRemind = 10 * time.Second // between two words of what goes wrong
)

// admitDrivers records whose data directory is which, of drivers that are new, and
// gives their votes back to those that were replaced.
func (r *reign) admitDrivers() {
	var known map[string]string
	r.s.fsm.View(func(s *state.State) {
		known = make(map[string]string, len(s.Drivers))
		for node, a := range s.Drivers {
			known[node] = a.Copy
		}
	})
	present := r.s.roster.present()
	for node, copy := range present {
		if known[node] != "" {
			continue
		}
		r.s.log.Info("a driver is here for the first time", "driver", node)
		if err := r.s.record(&state.AdmitDriver{Node: node, Copy: copy}, never); err != nil {
			r.s.log.Warn("admitting a driver", "driver", node, "err", err)
			return // the reign is about to end, or tries again
		}
	}
	for _, node := range r.s.nonvoters() {
		if known[node] == "" || present[node] != known[node] {
			continue
		}
		if err := r.s.await(r.s.raft.AddVoter(raft.ServerID(node), raft.ServerAddress(node), 0, proposeTimeout)); err != nil {
			r.s.log.Warn("giving a driver its vote back", "driver", node, "err", err)
			return
		}
		r.s.log.Info("a driver that was replaced has a vote again", "driver", node)
	}
}

// nonvoters lists the nodes whose vote was taken away.
func (n *node) nonvoters() (all []string) {
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
func (n *node) demote(id string) error {
	if slices.Contains(n.nonvoters(), id) {
		return nil // an earlier try got as far
	}
	switch err := n.await(n.raft.DemoteVoter(raft.ServerID(id), 0, proposeTimeout)); {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost):
		return &wire.NotLeaderError{}
	default:
		return fmt.Errorf("%w: taking the vote of driver %s away: %w", wire.ErrNotReady, id, err)
	}
}

// driverService is what the other drivers ask.
type driverService struct{ s *server }

var _ wire.DriversServer = (*driverService)(nil)

// Replace implements wire.DriversServer.
func (d *driverService) Replace(_ context.Context, req *wire.ReplaceRequest) (*wire.ReplaceAnswer, error) {
	r, err := d.s.current()
	if err != nil {
		return nil, err
	}
	if d.s.peers[req.Node] == "" || req.Node == d.s.id || !state.ValidMark(req.Copy) {
		return nil, fmt.Errorf("%w: driver %q with directory %q; the drivers are %v, and %s leads", wire.ErrInvalid, req.Node, req.Copy, d.s.peers.ids(), d.s.id)
	}
	// Whoever answers at the driver's address is the one that is meant.
	there, err := d.s.door.ask(req.Node)
	if err != nil {
		return nil, fmt.Errorf("%w: driver %s, which is to be replaced, can't be reached: %w", wire.ErrNotReady, req.Node, err)
	}
	if there.node != req.Node || there.copy != req.Copy {
		return nil, fmt.Errorf("%w: at %s, the address of driver %s, another engine-driver answers: %s with directory %s", wire.ErrInvalid, d.s.peers[req.Node], req.Node, there.node, there.copy)
	}
	return &wire.ReplaceAnswer{}, r.replace(req.Node, req.Copy)
}

// replace makes another data directory a driver's.
func (r *reign) replace(node, copy string) error {
	r.replacing.Lock()
	defer r.replacing.Unlock()
	var old string
	r.s.fsm.View(func(s *state.State) { old = s.Drivers[node].Copy })
	if old == copy {
		return nil
	}
	if err := r.s.demote(node); err != nil {
		return err
	}
	r.s.log.Warn("a driver's data directory is replaced", "driver", node, "lost", old, "new", copy)
	return r.s.record(&state.AdmitDriver{Node: node, Copy: copy, Instead: old}, never)
}

// replace asks to be admitted in place of a lost data directory, until the group
// says that this one counts or ctx ends.
func (s *server) replace(ctx context.Context) {
	s.log.Info("waiting to be admitted in place of the data directory that is lost", "driver", s.id)
	var told time.Time
	for {
		err := s.drivers.Do(ctx, replaceRetry, func(ctx context.Context, leader grpc.ClientConnInterface) error {
			_, err := wire.DriversClient{CC: leader}.Replace(ctx, &wire.ReplaceRequest{Node: s.id, Copy: s.roster.self.copy})
			return err
		})
		switch {
		case err == nil:
			s.log.Info("the cluster knows the new data directory", "driver", s.id)
			return
		case errors.Is(err, wire.ErrInvalid), errors.Is(err, wire.ErrUnauthenticated):
			s.fail(fmt.Errorf("replacing the data directory of driver %s: %w", s.id, err))
			return
		case ctx.Err() == nil && time.Since(told) > replaceRemind:
			told = time.Now()
			s.log.Warn("not admitted yet", "driver", s.id, "err", err)
		}
		select {
		case <-time.After(replaceRetry):
		case <-ctx.Done():
			return
		}
	}
}

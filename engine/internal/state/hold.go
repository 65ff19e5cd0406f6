package state

import (
	"context"
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// held is a checkpoint that is read: its files stay.
type held struct {
	checkpoint plan.Checkpoint
	manifest   *Manifest
}

// newest returns the batch of the newest checkpoint, 0 for none. mu is held.
func (s *kept) newest() uint64 {
	if n := len(s.checkpoints); n > 0 {
		return s.checkpoints[n-1].Seq
	}
	return 0
}

// Hold has a state saved with the next batch that is planned, and returns the checkpoint
// when it is there. Its files stay until release is called. When ctx ends before that it
// is the newest one that there is, which is stale, or an error if there is none.
func (k *Keeper) Hold(ctx context.Context, name string) (m *Manifest, stale bool, release func(), err error) {
	select {
	case <-k.opened:
	case <-ctx.Done():
		return nil, false, nil, fmt.Errorf("%w: the job's driver hasn't read them yet; try again", ErrNoCheckpoint)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.states[name]
	if s == nil {
		return nil, false, nil, fmt.Errorf("%w %q: the job has %s", ErrNoState, name, listed(k.names))
	}
	wanted := k.planned + 1
	s.asked = max(s.asked, wanted)
	for s.newest() < wanted && ctx.Err() == nil {
		news := k.news
		k.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
		}
		k.mu.Lock()
	}
	n := len(s.checkpoints)
	if n == 0 {
		return nil, false, nil, fmt.Errorf("%w %q yet, and no batch is complete that could be saved", ErrNoCheckpoint, name)
	}
	h := &held{s.checkpoints[n-1], s.manifests[n-1]}
	s.held = append(s.held, h)
	return h.manifest, h.checkpoint.Seq < wanted, func() { k.letGo(s, h) }, nil
}

// letGo has the files of a checkpoint removed as soon as nobody else needs them.
func (k *Keeper) letGo(s *kept, h *held) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.held = slices.DeleteFunc(s.held, func(o *held) bool { return o == h })
	s.sweep = true
	k.stir()
}

// listed lists names of states for people.
func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprintf("%q", names)
}

package state

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// takeOverLast takes over the checkpoint of the last batch, which no batch names, if the
// driver before ended with one.
func (k *Keeper) takeOverLast(ctx context.Context, s *kept, before *plan.LogState) error {
	if len(before.Incomplete) > 0 || s.newest() >= before.Last.Seq {
		return nil
	}
	c, m, err := k.Store.Of(ctx, s.Name, before.Last)
	if err != nil || m == nil {
		return err
	}
	return s.add(c, m)
}

// SaveLast saves the versions of a stream's last batch, which is complete, when Run has
// ended: state by state, so that one that takes too long doesn't cost the others theirs.
// run runs the action that saves those of a state, in the graph's order, and has the reports
// heard; made is false if the batch has none. The error says what is missing.
func (k *Keeper) SaveLast(ctx context.Context, a *plan.Allocation, run func(state int, kind plan.SaveKind) (made bool, err error)) (err error) {
	k.mu.Lock()
	k.ending = true
	k.mu.Unlock()
	for i, name := range k.names {
		if failed := k.saveLast(ctx, k.states[name], a, func(kind plan.SaveKind) (bool, error) { return run(i, kind) }); failed != nil {
			err = errors.Join(err, fmt.Errorf("state %s: %w", name, failed))
		}
	}
	return err
}

// saveLast is SaveLast for one state.
func (k *Keeper) saveLast(ctx context.Context, s *kept, a *plan.Allocation, run func(plan.SaveKind) (made bool, err error)) error {
	err := k.write(ctx, s) // what was whole when Run ended
	if ctx.Err() != nil {
		return err
	}
	k.mu.Lock()
	kind := k.last(s, a)
	k.mu.Unlock()
	if kind == plan.NoSave {
		return err
	}
	made, err := run(kind)
	if err != nil || !made {
		return err
	}
	k.mu.Lock()
	switch {
	case s.failure != "":
		err = errors.New(s.failure)
	case !s.whole:
		err = fmt.Errorf("%d of %d partitions are missing", s.missing, s.Partitions)
	}
	k.mu.Unlock()
	if err != nil {
		return err
	}
	return k.write(ctx, s)
}

// last begins to save a state's version of the last batch, and says how: NoSave if it is
// saved, or if the batch has none. mu is held.
func (k *Keeper) last(s *kept, a *plan.Allocation) plan.SaveKind {
	s.saving, s.failure = nil, "" // of a save that came to nothing
	if s.newest() == a.Seq || !plan.OnSlide(a.Time(), k.Slides(s.Stream)) {
		return plan.NoSave
	}
	s.begin(a)
	if c := a.State(s.Name).Newest(a.Seq); c != nil { // a version knows what was removed since then
		if i := slices.Index(s.checkpoints, *c); i >= 0 && !s.wantsBase(s.manifests[i]) {
			return plan.SaveDelta
		}
	}
	return plan.SaveBase
}

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

// SaveLast begins to save the versions of a stream's last batch, which is complete, when Run
// has ended. It says how those of each state are to be saved, in the graph's order: NoSave
// if they are saved, or if the batch has none.
func (k *Keeper) SaveLast(a *plan.Allocation) (kinds []plan.SaveKind) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ending = true
	for _, name := range k.names {
		kinds = append(kinds, k.last(k.states[name], a))
	}
	return kinds
}

// last begins to save a state's version of the last batch. mu is held.
func (k *Keeper) last(s *kept, a *plan.Allocation) plan.SaveKind {
	if s.newest() == a.Seq || s.whole && s.saving.Seq == a.Seq || !plan.OnSlide(a.Time(), k.Slides(s.Stream)) {
		return plan.NoSave
	}
	s.begin(a)
	s.whole, s.failure = false, ""
	if c := a.State(s.Name).Newest(a.Seq); c != nil { // a version knows what was removed since then
		if i := slices.Index(s.checkpoints, *c); i >= 0 && !s.wantsBase(s.manifests[i]) {
			return plan.SaveDelta
		}
	}
	return plan.SaveBase
}

// EndLast completes the checkpoints that SaveLast has begun, after the reports were heard.
// Its error says which are missing.
func (k *Keeper) EndLast(ctx context.Context, a *plan.Allocation) (err error) {
	for _, name := range k.names {
		s := k.states[name]
		failed := k.write(ctx, s)
		k.mu.Lock()
		switch {
		case failed != nil:
		case s.failure != "":
			failed = errors.New(s.failure)
		case s.saving != nil:
			failed = fmt.Errorf("%d of %d partitions are missing", s.missing, s.Partitions)
		}
		k.mu.Unlock()
		if failed != nil && s.newest() != a.Seq {
			err = errors.Join(err, fmt.Errorf("state %s: %w", name, failed))
		}
	}
	return err
}

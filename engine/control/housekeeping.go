package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Intervals and limits of what a node does beside.
const (
	houseInterval = 30 * time.Second
	unusedAge     = 10 * time.Minute // of a binary that no job uses
	keptOutputs   = 50               // newest jobs that have ended whose output stays
)

// keepHouse remembers what the state says of the cluster's drivers, fetches the binaries
// of jobs that run and removes what no job needs, until ctx ends.
func (s *server) keepHouse(ctx context.Context) {
	tick := time.NewTicker(houseInterval)
	defer tick.Stop()
	for {
		changed := s.Watch()
		if err := s.Learn(); err != nil {
			s.Fail(err)
			return
		}
		select {
		case <-changed:
		case <-tick.C:
			s.fetchMissing(ctx)
			if err := s.sweep(); err != nil {
				s.log.Warn("removing what no job needs", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// fetchMissing gets the binaries of jobs that run, so that this node can take
// over.
func (s *server) fetchMissing(ctx context.Context) {
	var live []wire.JobSpec
	s.View(func(st *state.State) {
		for _, j := range st.Jobs {
			if !j.State.Final() {
				live = append(live, j.Spec)
			}
		}
	})
	for _, spec := range live {
		if err := s.fetch(ctx, spec); err != nil && ctx.Err() == nil {
			s.log.Warn("a binary can't be kept here", "job", spec.Incarnation, "err", err)
		}
	}
}

// sweep removes binaries, working directories and output that no job needs. A
// job that the state doesn't know yet, because this node is behind, is none of
// those.
func (s *server) sweep() error {
	used := make(map[string]bool)
	live := make(map[uint64]bool)
	var endings []uint64
	var index uint64
	s.ViewAt(func(st *state.State, at uint64) {
		index = at
		for inc, j := range st.Jobs {
			if j.State.Final() {
				endings = append(endings, inc)
			} else {
				live[inc], used[j.Spec.Binary] = true, true
			}
		}
	})
	slices.Sort(endings)
	kept := make(map[uint64]bool)
	for _, inc := range endings[max(0, len(endings)-keptOutputs):] {
		kept[inc] = true
	}
	ended := func(inc uint64) bool { return inc <= index && !live[inc] }
	over := func(inc uint64) bool { return ended(inc) && !kept[inc] }
	return errors.Join(s.files.programs.Sweep(used, unusedAge), s.files.prune(ended, over))
}

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
func keepHouse(ctx context.Context, n *node) {
	tick := time.NewTicker(houseInterval)
	defer tick.Stop()
	for {
		changed := n.Watch()
		if err := n.Learn(); err != nil {
			n.Fail(err)
			return
		}
		select {
		case <-changed:
		case <-tick.C:
			fetchMissing(ctx, n)
			if err := sweep(n); err != nil {
				n.log.Warn("removing what no job needs", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// fetchMissing gets the binaries of jobs that run, so that this node can take
// over.
func fetchMissing(ctx context.Context, n *node) {
	var live []wire.JobSpec
	n.View(func(st *state.State) {
		for _, j := range st.Jobs {
			if !j.State.Final() {
				live = append(live, j.Spec)
			}
		}
	})
	for _, spec := range live {
		if err := n.programs.fetch(ctx, spec); err != nil && ctx.Err() == nil {
			n.log.Warn("a binary can't be kept here", "job", spec.Incarnation, "err", err)
		}
	}
}

// sweep removes binaries, working directories and output that no job needs. A
// job that the state doesn't know yet, because this node is behind, is none of
// those.
func sweep(n *node) error {
	used := make(map[string]bool)
	live := make(map[uint64]bool)
	var endings []uint64
	var newest uint64
	n.View(func(st *state.State) {
		newest = st.Newest
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
	ended := func(inc uint64) bool { return inc <= newest && !live[inc] }
	over := func(inc uint64) bool { return ended(inc) && !kept[inc] }
	return errors.Join(n.programs.Sweep(used, unusedAge), n.files.prune(ended, over))
}

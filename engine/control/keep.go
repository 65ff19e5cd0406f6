package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Intervals and limits of what a node does beside.
const (
	keepInterval  = 30 * time.Second
	keepAge       = 10 * time.Minute // of a binary that no job uses
	keptOutputs   = 50               // newest jobs that have ended whose output stays
	quorumTick    = 500 * time.Millisecond
	quorumAlarm   = 3 * time.Second  // without a leader before it is told
	quorumRemind  = 30 * time.Second // and told again
	refusedToJoin = 10 * time.Second // without a leader, refused by the others: the node ends
)

// keep remembers what the state says of the cluster's drivers, fetches the binaries
// of jobs that run and removes what no job needs, until ctx ends.
func (s *server) keep(ctx context.Context) {
	tick := time.NewTicker(keepInterval)
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
	return errors.Join(s.files.programs.Sweep(used, keepAge), s.files.prune(ended, over))
}

// watchQuorum tells when there is no leader and what the other drivers say, until
// ctx ends. A node that the others refuse ends.
func (s *server) watchQuorum(ctx context.Context) {
	tick := time.NewTicker(quorumTick)
	defer tick.Stop()
	seen := time.Now() // when there was a leader
	var told time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if s.Leader() != "" {
			if !told.IsZero() {
				s.log.Info("there is a leader again", "leader", s.Leader())
			}
			seen, told = time.Now(), time.Time{}
			continue
		}
		missing := time.Since(seen)
		if why := s.Refused(); missing > refusedToJoin && why != nil {
			s.Fail(fmt.Errorf("the other drivers refuse this one: %w", why))
			return
		}
		if missing > quorumAlarm && time.Since(told) > quorumRemind {
			told = time.Now()
			s.log.Error("no driver leads, so that no job goes on",
				"for", missing.Round(time.Second), "drivers", len(s.Peers()), "needed", len(s.Peers())/2+1, "others", strings.Join(s.Heard(), "; "))
		}
	}
}

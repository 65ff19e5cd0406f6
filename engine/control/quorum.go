package control

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Times of a node without a leader.
const (
	quorumTick    = 500 * time.Millisecond
	quorumAlarm   = 3 * time.Second  // without a leader before it is logged
	quorumRemind  = 30 * time.Second // and logged again
	refusedToJoin = 10 * time.Second // without a leader, refused by the others: the node ends
)

// watchQuorum logs when there is no leader and what the other drivers say, until
// ctx ends. A node that the others refuse ends.
func watchQuorum(ctx context.Context, n *node) {
	tick := time.NewTicker(quorumTick)
	defer tick.Stop()
	seen := time.Now() // when there was a leader
	var logged time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if n.Leader() != "" {
			if !logged.IsZero() {
				n.log.Info("there is a leader again", "leader", n.Leader())
			}
			seen, logged = time.Now(), time.Time{}
			continue
		}
		missing := time.Since(seen)
		if why := n.Refused(); missing > refusedToJoin && why != nil {
			n.Fail(fmt.Errorf("the other drivers refuse this one: %w", why))
			return
		}
		if missing > quorumAlarm && time.Since(logged) > quorumRemind {
			logged = time.Now()
			n.log.Error("no driver leads, so that no job goes on",
				"for", missing.Round(time.Second), "drivers", len(n.Peers()), "needed", len(n.Peers())/2+1, "others", strings.Join(n.Heard(), "; "))
		}
	}
}

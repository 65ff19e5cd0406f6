package raftgroup

import (
	"maps"
	"sync"

	"github.com/hibana-engine/hibana/engine/control/state"
)

// roster is what a node knows of the drivers: which data directory each of them
// has. A driver whose directory is gone has forgotten its votes and what it has
// acknowledged, so that another directory under its id counts for nothing until
// the group has admitted it (replace.go).
type roster struct {
	peers Peers
	self  introduction // its cluster and admitted are in the fields below

	mu       sync.Mutex
	cluster  string                     // "" until it is known
	known    map[string]state.Admission // by node; never an older admission after a newer one
	met      map[string]introduction    // by node: who answered at its address the last time
	verified map[string]string          // by node: the process that answers at its address
}

func newRoster(p Peers, self introduction) *roster {
	return &roster{
		peers: p, self: self, known: make(map[string]state.Admission),
		met: make(map[string]introduction), verified: make(map[string]string),
	}
}

// learn adds what the data directory remembers.
func (r *roster) learn(cluster string, drivers map[string]state.Admission) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cluster = cluster
	maps.Copy(r.known, drivers)
}

func (r *roster) clusterID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cluster
}

// introduce returns what this node says of itself.
func (r *roster) introduce() introduction {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.self
	i.cluster = r.cluster
	if a := r.known[i.node]; a.Copy == i.copy {
		i.admitted = a.Index
	}
	return i
}

// judge decides on a node that introduces itself. Of two data directories the one
// counts that was admitted later: this node may be behind.
func (r *roster) judge(i introduction) (verdict byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch known := r.known[i.node]; {
	case i.cluster != "" && r.cluster != "" && i.cluster != r.cluster:
		return otherCluster
	case r.peers[i.node] == "":
		return stranger
	case known.Copy != "" && known.Copy != i.copy && i.admitted <= known.Index:
		return otherCopy
	case i.node != r.self.node:
		return welcome
	case i.copy != r.self.copy:
		return otherCopy
	}
	return twice
}

// meet records who answers at a driver's address.
func (r *roster) meet(i introduction) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.met[i.node] = i
}

// present returns the data directories of this node and of those that answered,
// by node.
func (r *roster) present() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]string{r.self.node: r.self.copy}
	for node, i := range r.met {
		all[node] = i.copy
	}
	return all
}

// isVerified reports whether a process is known to be the one at its driver's
// address.
func (r *roster) isVerified(i introduction) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.verified[i.node] == i.start
}

// verify records that it is.
func (r *roster) verify(i introduction) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verified[i.node] = i.start
}

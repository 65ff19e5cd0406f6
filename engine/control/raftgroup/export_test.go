package raftgroup

import "github.com/hashicorp/raft"

// age makes the write that is under way older than the watchdog allows.
func (w *watchedStore) age() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.writes {
		one.began = one.began.Add(-stallTimeout)
	}
}

// Age makes the write that is under way older than the watchdog allows.
func (m *Node) Age() { m.disk.store.age() }

// Raft returns the node's Raft.
func (n *Replica) Raft() *raft.Raft { return n.raft }

// NewWatchedStore returns a watchedStore.
func NewWatchedStore(s Store, path string, fail func(error)) Store {
	return &watchedStore{Store: s, path: path, fail: fail}
}

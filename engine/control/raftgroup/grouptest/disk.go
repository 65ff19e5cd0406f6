package grouptest

import (
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
)

// HungStore is a log of which one write hangs, when hangs is set, until release
// is closed.
type HungStore struct {
	raftgroup.Store
	Hangs   atomic.Bool
	Hung    chan struct{} // closed when one hangs
	Release chan struct{}
}

// NewHungStore returns a store that passes on to s.
func NewHungStore(s raftgroup.Store) *HungStore {
	return &HungStore{Store: s, Hung: make(chan struct{}), Release: make(chan struct{})}
}

func (h *HungStore) wait() {
	if h.Hangs.CompareAndSwap(true, false) {
		close(h.Hung)
		<-h.Release
	}
}

// StoreLog implements raft.LogStore.
func (h *HungStore) StoreLog(l *raft.Log) error { h.wait(); return h.Store.StoreLog(l) }

// StoreLogs implements raft.LogStore.
func (h *HungStore) StoreLogs(l []*raft.Log) error { h.wait(); return h.Store.StoreLogs(l) }

// IsMonotonic implements raft.MonotonicLogStore.
func (h *HungStore) IsMonotonic() bool {
	m, ok := h.Store.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

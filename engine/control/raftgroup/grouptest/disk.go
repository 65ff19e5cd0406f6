package grouptest

import (
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
)

// hungStore is a log of which one write hangs, when hangs is set, until release
// is closed.
type hungStore struct {
	raftgroup.Store
	Hangs   atomic.Bool
	Hung    chan struct{} // closed when one hangs
	Release chan struct{}
}

func NewHungStore(s raftgroup.Store) *hungStore {
	return &hungStore{Store: s, Hung: make(chan struct{}), Release: make(chan struct{})}
}

func (h *hungStore) wait() {
	if h.Hangs.CompareAndSwap(true, false) {
		close(h.Hung)
		<-h.Release
	}
}

func (h *hungStore) StoreLog(l *raft.Log) error    { h.wait(); return h.Store.StoreLog(l) }
func (h *hungStore) StoreLogs(l []*raft.Log) error { h.wait(); return h.Store.StoreLogs(l) }

// IsMonotonic implements raft.MonotonicLogStore.
func (h *hungStore) IsMonotonic() bool {
	m, ok := h.Store.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

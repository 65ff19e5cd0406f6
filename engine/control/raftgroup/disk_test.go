package raftgroup_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// breakingStore is a store whose writes fail from some moment on.
type breakingStore struct {
	*raft.InmemStore
	logs, terms atomic.Bool // which of them fail
}

func (b *breakingStore) StoreLogs(l []*raft.Log) error {
	if b.logs.Load() {
		return syscall.ENOSPC
	}
	return b.InmemStore.StoreLogs(l)
}

func (b *breakingStore) Set(k, v []byte) error {
	if b.terms.Load() {
		return syscall.ENOSPC
	}
	return b.InmemStore.Set(k, v)
}

func (b *breakingStore) SetUint64(k []byte, v uint64) error {
	if b.terms.Load() {
		return syscall.ENOSPC
	}
	return b.InmemStore.SetUint64(k, v)
}

// A node whose disk takes no more says so once, neither panics nor hangs, and ends
// when it is told to; the others go on with what was acknowledged.
func TestBreakingDisk(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leads bool // whether the node with the disk does
		hit   func(*breakingStore)
	}{
		{"the leader's log", true, func(b *breakingStore) { b.logs.Store(true) }},
		{"a follower's log", false, func(b *breakingStore) { b.logs.Store(true) }},
		{"the leader's votes", true, func(b *breakingStore) { b.terms.Store(true) }},
		{"a follower's votes", false, func(b *breakingStore) { b.terms.Store(true) }},
		{"all of the leader's", true, func(b *breakingStore) { b.logs.Store(true); b.terms.Store(true) }},
		{"all of a follower's", false, func(b *breakingStore) { b.logs.Store(true); b.terms.Store(true) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disks := make([]*breakingStore, 3)
				failures := make([]chan error, 3)
				g := grouptest.NewMemoryOn(t, func(i int) raftgroup.Store {
					disks[i], failures[i] = &breakingStore{InmemStore: raft.NewInmemStore()}, make(chan error, 100)
					return raftgroup.NewWatchedStore(disks[i], "/data", func(err error) { failures[i] <- err })
				}, "a", "b", "c")
				defer g.Close()
				first := g.Leader()
				broken := first
				if !tt.leads {
					broken = (first + 1) % 3
				}
				job := grouptest.MustPropose(t, g.Nodes[first], &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
				epoch := grouptest.MustPropose(t, g.Nodes[first], &state.AssignDriver{Incarnation: job, Node: "a"}).Index
				tt.hit(disks[broken])
				acknowledged := uint64(0)
				for seq := uint64(1); seq <= 10; seq++ {
					if _, err := g.Nodes[first].Propose(&state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq}); err != nil {
						break
					}
					acknowledged = seq
				}
				g.Cut(first) // new terms for all
				if _, err := g.Nodes[first].Propose(&state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: 99}); err == nil {
					t.Error("a leader without a majority acknowledged a batch")
				}
				if broken == first {
					second := g.Leader(first)
					g.Nodes[second].View(func(s *state.State) {
						if last := s.Jobs[job].Last.Seq; last < acknowledged || last > acknowledged+1 {
							t.Errorf("batch %d is the last, %d was acknowledged", last, acknowledged)
						}
					})
				}
				g.Mend(first)
				last := g.Leader(broken)
				grouptest.MustPropose(t, g.Nodes[last], &state.EndJob{Incarnation: job, State: wire.JobKilled})
				err := <-failures[broken]
				if !errors.Is(err, raftgroup.ErrDisk) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/data") {
					t.Errorf("it says %v", err)
				}
				for len(failures[broken]) > 0 {
					if again := <-failures[broken]; again.Error() != err.Error() {
						t.Errorf("then it says %v", again)
					}
				}
			})
		})
	}
}

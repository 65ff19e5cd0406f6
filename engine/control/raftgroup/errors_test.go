package raftgroup

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/wire"
)

// A leader that can't do what it is asked at this moment says so: no job ends
// because of it.
func TestRaftErrorsAreTransient(t *testing.T) {
	for _, tt := range []struct {
		err               error
		proposed, barrier error
	}{
		{raft.ErrNotLeader, wire.ErrNotLeader, wire.ErrNotLeader},
		{raft.ErrLeadershipTransferInProgress, wire.ErrNotLeader, wire.ErrNotLeader},
		{raft.ErrLeadershipLost, wire.ErrUnknownOutcome, wire.ErrNotLeader},
		{raft.ErrEnqueueTimeout, wire.ErrNotReady, wire.ErrNotReady},
		{raft.ErrRaftShutdown, wire.ErrUnknownOutcome, wire.ErrNotReady},
		{raft.ErrAbortedByRestore, wire.ErrUnknownOutcome, wire.ErrNotReady},
		{errBroken, wire.ErrUnknownOutcome, wire.ErrNotReady},
	} {
		if got := proposeError(tt.err); !errors.Is(got, tt.proposed) || !wire.Transient(got) {
			t.Errorf("a command, %v: %v", tt.err, got)
		}
		if got := barrierError(tt.err); !errors.Is(got, tt.barrier) || !wire.Transient(got) {
			t.Errorf("a barrier, %v: %v", tt.err, got)
		}
	}
}

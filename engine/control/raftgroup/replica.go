package raftgroup

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Limits of Raft's log on disk: a snapshot is taken after so many commands, and
// so many before it are kept for followers that are a little behind.
const (
	snapshotThreshold = 16_384
	trailingLogs      = 8_192
	snapshotInterval  = 30 * time.Second
	keptSnapshots     = 2
)

// ProposeTimeout bounds how long a command waits to be taken by Raft's leader
// loop. What comes after is bounded by the lease, and by the disk's watchdog.
const ProposeTimeout = 2 * time.Second

// Parts are what a node's Raft stands on.
type Parts struct {
	ID        string
	Servers   []string // ids of all nodes
	founds    founding
	Logs      raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	Transport raft.Transport
	Timing    Timing
	Log       *slog.Logger
	failed    <-chan struct{} // closed when the node can't go on; nil if it always can
}

// founding says what a node does that has no state of Raft's.
type founding int

const (
	founds founding = iota // it begins the group with the others
	waits                  // it waits for a leader that lets it in
	lost                   // it had a state: it doesn't start
)

// Replica is a member of the Raft group.
type Replica struct {
	raft    *raft.Raft
	fsm     *state.Machine
	id      string
	leading chan bool       // whether this node leads, each change
	broken  <-chan struct{} // closed when the node can't go on
}

// Start starts a member of the group. One that has been there before goes on
// with what it knows; a new one begins as p.founds says.
func Start(p Parts) (*Replica, error) {
	n := &Replica{fsm: state.New(), id: p.ID, leading: make(chan bool, 16), broken: p.failed}
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(p.ID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = p.Timing.Heartbeat, p.Timing.Election, p.Timing.Lease
	c.CommitTimeout = 20 * time.Millisecond
	c.SnapshotThreshold, c.TrailingLogs, c.SnapshotInterval = snapshotThreshold, trailingLogs, snapshotInterval
	c.NotifyCh = n.leading
	c.NoLegacyTelemetry = true
	c.Logger = raftLogger(p.Log)
	known, err := raft.HasExistingState(p.Logs, p.Stable, p.Snapshots)
	if err != nil {
		return nil, fmt.Errorf("%w: reading Raft's state: %w", ErrDataDir, err)
	}
	if !known && p.founds == lost {
		return nil, fmt.Errorf("%w: Raft's log and snapshots are gone from it, and with them what the node has promised; move it away and start with an empty one and --replace",
			ErrDataDir)
	}
	if !known && p.founds == founds {
		if err := raft.BootstrapCluster(c, p.Logs, p.Stable, p.Snapshots, p.Transport, configuration(p.Servers)); err != nil {
			return nil, fmt.Errorf("%w: founding the cluster: %w", ErrDataDir, err)
		}
	}
	if n.raft, err = raft.NewRaft(c, fsm{n.fsm}, p.Logs, p.Stable, p.Snapshots, p.Transport); err != nil {
		return nil, fmt.Errorf("%w: starting Raft from it: %w", ErrDataDir, err)
	}
	if !known && p.founds == waits {
		return n, nil
	}
	if err := n.samePeers(p.Servers); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// configuration is the group at its beginning. Servers are known by their ids;
// the transport looks their addresses up, so that those may change.
func configuration(ids []string) raft.Configuration {
	var c raft.Configuration
	for _, id := range ids {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	return c
}

// samePeers makes sure that the group on disk is the one on the command line.
func (n *Replica) samePeers(ids []string) error {
	f := n.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return fmt.Errorf("%w: reading the group: %w", ErrDataDir, err)
	}
	want, have := make(map[string]bool), make(map[string]bool)
	for _, id := range ids {
		want[id] = true
	}
	var names []string
	for _, s := range f.Configuration().Servers {
		have[string(s.ID)] = true
		names = append(names, string(s.ID))
	}
	same := len(want) == len(have)
	for id := range want {
		same = same && have[id]
	}
	if !same {
		return fmt.Errorf("%w: the data directory is of a cluster of %s, --peers names %s; addresses may change, the ids not", ErrPeers,
			strings.Join(names, ", "), strings.Join(ids, ", "))
	}
	return nil
}

// Propose makes the group apply a command and returns what it answers. An error
// that wraps [wire.ErrUnknownOutcome] leaves open whether it was or will be
// applied: read the state back before proposing it again.
func (n *Replica) Propose(c state.Command) (state.Result, error) {
	b, err := state.EncodeCommand(c)
	if err != nil {
		return state.Result{}, err
	}
	if n.isBroken() {
		return state.Result{}, errBroken
	}
	f := n.raft.Apply(b, ProposeTimeout)
	if err := n.await(f); err != nil {
		return state.Result{}, proposeError(err)
	}
	return proposed(f.Response())
}

// recordAttempts bounds how often a command whose outcome is unknown is tried.
const recordAttempts = 5

// Record proposes a command until its outcome is known. After a barrier the
// state says whether an earlier attempt was applied; done reads it.
func (n *Replica) Record(c state.Command, done func(*state.State) bool) error {
	for attempt := 0; ; attempt++ {
		_, err := n.Propose(c)
		if !errors.Is(err, wire.ErrUnknownOutcome) || attempt == recordAttempts {
			return err
		}
		if err := n.Barrier(); err != nil {
			return err
		}
		applied := false
		n.fsm.View(func(s *state.State) { applied = done(s) })
		if applied {
			return nil
		}
	}
}

// Never is for commands that do no harm when they are applied again.
func Never(*state.State) bool { return false }

// proposeError says what it means that Raft didn't apply a command.
func proposeError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return &wire.NotLeaderError{}
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: the leader takes no commands", wire.ErrNotReady)
	}
	return fmt.Errorf("%w: %w", wire.ErrUnknownOutcome, err)
}

// Barrier returns when everything that was committed before is applied here. It
// fails on a node that doesn't lead. All its errors are such that another try may
// succeed, here or elsewhere: a barrier changes nothing.
func (n *Replica) Barrier() error {
	if n.isBroken() {
		return errBroken
	}
	if err := n.await(n.raft.Barrier(ProposeTimeout)); err != nil {
		return barrierError(err)
	}
	return nil
}

// barrierError says what it means that Raft's barrier failed.
func barrierError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return &wire.NotLeaderError{}
	}
	return fmt.Errorf("%w: waiting for what was committed: %w", wire.ErrNotReady, err)
}

// errBroken answers what a node is asked that can't go on: another one will do.
var errBroken = fmt.Errorf("%w: this engine-driver can't go on", wire.ErrNotReady)

// isBroken reports whether the node can't go on.
func (n *Replica) isBroken() bool {
	select {
	case <-n.broken:
		return true
	default:
		return false
	}
}

// await waits for what Raft answers, as long as the node can go on: with a disk
// that hangs no answer comes. The goroutine then ends with the write, or with the
// process.
func (n *Replica) await(f raft.Future) error {
	answer := make(chan error, 1) // has room for the one answer
	go func() { answer <- f.Error() }()
	select {
	case err := <-answer:
		return err
	case <-n.broken:
		return errBroken
	}
}

// View calls read with the state, which doesn't change meanwhile. read keeps nothing
// of it but payloads.
func (n *Replica) View(read func(*state.State)) { n.fsm.View(read) }

// Watch returns a channel that is closed after the next command that changes more
// than a job's log.
func (n *Replica) Watch() <-chan struct{} { return n.fsm.Watch() }

// Stopped returns a channel that is closed when the state met a command that it
// can't apply; StopReason says which.
func (n *Replica) Stopped() <-chan struct{} { return n.fsm.Stopped() }

// StopReason returns why Stopped is closed.
func (n *Replica) StopReason() error { return n.fsm.Err() }

// ID returns the node's id.
func (n *Replica) ID() string { return n.id }

// Leading returns whether this node leads, each time that it changes.
func (n *Replica) Leading() <-chan bool { return n.leading }

// Term returns Raft's term.
func (n *Replica) Term() uint64 { return n.raft.CurrentTerm() }

// IsLeader reports whether this node leads, as far as it knows.
func (n *Replica) IsLeader() bool { return n.raft.State() == raft.Leader }

// Leader returns the id of the leader, "" if there is none.
func (n *Replica) Leader() string {
	_, id := n.raft.LeaderWithID()
	return string(id)
}

// handOver gives the lead to another node, if this one has it.
func (n *Replica) handOver() {
	if n.IsLeader() {
		_ = n.await(n.raft.LeadershipTransfer()) // if nobody can take it, an election will do
	}
}

// HandOverTo gives the lead to a certain node.
func (n *Replica) HandOverTo(id string) error {
	return n.await(n.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id)))
}

// Close stops the node, which stays a member of the group. A node that sends to
// one that hangs waits for that one.
func (n *Replica) Close() error { return n.raft.Shutdown().Error() }

package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Timing says how fast a Raft group notices that its leader is gone. It is
// noticed after one to three Heartbeats.
type Timing struct {
	Heartbeat time.Duration // without a word from the leader before an election
	Election  time.Duration // without a result before another election
	Lease     time.Duration // without a majority before the leader steps down
}

// DefaultHeartbeat notices a dead leader within 900 ms: a follower's timer runs one
// to two heartbeats, and one that runs out just after a heartbeat starts again.
const DefaultHeartbeat = 300 * time.Millisecond

// DefaultTiming is TimingOf(DefaultHeartbeat).
func DefaultTiming() Timing { return TimingOf(DefaultHeartbeat) }

// TimingOf returns the timing of a group whose followers wait so long for a word
// from the leader. The longer it is the busier the machines may be, and the later
// a dead leader is noticed.
func TimingOf(heartbeat time.Duration) Timing {
	return Timing{Heartbeat: heartbeat, Election: heartbeat, Lease: heartbeat * 5 / 6}
}

// Limits of Raft's log on disk: a snapshot is taken after so many commands, and
// so many before it are kept for followers that are a little behind.
const (
	snapshotThreshold = 16_384
	trailingLogs      = 8_192
	snapshotInterval  = 30 * time.Second
	keptSnapshots     = 2
)

// proposeTimeout bounds how long a command waits to be taken by Raft's leader
// loop. What comes after is bounded by the lease, and by the disk's watchdog.
const proposeTimeout = 2 * time.Second

// raftParts are what a node's Raft stands on.
type raftParts struct {
	id        string
	servers   []string // ids of all nodes
	founds    founding
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	transport raft.Transport
	timing    Timing
	log       *slog.Logger
	failed    <-chan struct{} // closed when the node can't go on; nil if it always can
}

// founding says what a node does that has no state of Raft's.
type founding int

const (
	founds founding = iota // it begins the group with the others
	waits                  // it waits for a leader that lets it in
	lost                   // it had a state: it doesn't start
)

// node is a member of the Raft group.
type node struct {
	raft    *raft.Raft
	fsm     *state.Machine
	id      string
	leading chan bool       // whether this node leads, each change
	broken  <-chan struct{} // closed when the node can't go on
}

// startNode starts a member of the group. One that has been there before goes on
// with what it knows; a new one begins as p.founds says.
func startNode(p raftParts) (*node, error) {
	n := &node{fsm: state.New(), id: p.id, leading: make(chan bool, 16), broken: p.failed}
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(p.id)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = p.timing.Heartbeat, p.timing.Election, p.timing.Lease
	c.CommitTimeout = 20 * time.Millisecond
	c.SnapshotThreshold, c.TrailingLogs, c.SnapshotInterval = snapshotThreshold, trailingLogs, snapshotInterval
	c.NotifyCh = n.leading
	c.NoLegacyTelemetry = true
	c.Logger = raftLogger(p.log)
	known, err := raft.HasExistingState(p.logs, p.stable, p.snapshots)
	if err != nil {
		return nil, fmt.Errorf("%w: reading Raft's state: %w", ErrDataDir, err)
	}
	if !known && p.founds == lost {
		return nil, fmt.Errorf("%w: Raft's log and snapshots are gone from it, and with them what the node has promised; move it away and start with an empty one and --replace", ErrDataDir)
	}
	if !known && p.founds == founds {
		if err := raft.BootstrapCluster(c, p.logs, p.stable, p.snapshots, p.transport, configuration(p.servers)); err != nil {
			return nil, fmt.Errorf("%w: founding the cluster: %w", ErrDataDir, err)
		}
	}
	if n.raft, err = raft.NewRaft(c, fsm{n.fsm}, p.logs, p.stable, p.snapshots, p.transport); err != nil {
		return nil, fmt.Errorf("%w: starting Raft from it: %w", ErrDataDir, err)
	}
	if !known && p.founds == waits {
		return n, nil
	}
	if err := n.samePeers(p.servers); err != nil {
		return nil, errors.Join(err, n.close())
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
func (n *node) samePeers(ids []string) error {
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

// propose makes the group apply a command and returns what it answers. An error
// that says [wire.ErrUnknownOutcome] leaves open whether it was or will be
// applied: read the state back before proposing it again.
func (n *node) propose(c state.Command) (state.Result, error) {
	b, err := state.EncodeCommand(c)
	if err != nil {
		return state.Result{}, err
	}
	if n.isBroken() {
		return state.Result{}, errBroken
	}
	f := n.raft.Apply(b, proposeTimeout)
	if err := n.await(f); err != nil {
		return state.Result{}, proposeError(err)
	}
	return proposed(f.Response())
}

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

// barrier returns when everything that was committed before is applied here. It
// fails on a node that doesn't lead. All its errors are such that another try may
// succeed, here or elsewhere: a barrier changes nothing.
func (n *node) barrier() error {
	if n.isBroken() {
		return errBroken
	}
	if err := n.await(n.raft.Barrier(proposeTimeout)); err != nil {
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
func (n *node) isBroken() bool {
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
func (n *node) await(f raft.Future) error {
	answer := make(chan error, 1) // has room for the one answer
	go func() { answer <- f.Error() }()
	select {
	case err := <-answer:
		return err
	case <-n.broken:
		return errBroken
	}
}

// isLeader reports whether this node leads, as far as it knows.
func (n *node) isLeader() bool { return n.raft.State() == raft.Leader }

// leader returns the id of the leader, "" if there is none.
func (n *node) leader() string {
	_, id := n.raft.LeaderWithID()
	return string(id)
}

// handOver gives the lead to another node, if this one has it.
func (n *node) handOver() {
	if n.isLeader() {
		_ = n.await(n.raft.LeadershipTransfer()) // if nobody can take it, an election will do
	}
}

// close stops the node, which stays a member of the group. A node that sends to
// one that hangs waits for that one.
func (n *node) close() error { return n.raft.Shutdown().Error() }

// raftLogger passes Raft's log lines on, from warnings upwards.
func raftLogger(log *slog.Logger) hclog.Logger {
	level := hclog.Warn
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = hclog.Debug
	}
	return hclog.New(&hclog.LoggerOptions{Name: "raft", Level: level, Output: &lineWriter{log}, DisableTime: true})
}

// lineWriter turns hclog's lines into slog's records.
type lineWriter struct{ log *slog.Logger }

var _ io.Writer = (*lineWriter)(nil)

// Write logs one line, which begins with its level in brackets.
func (w *lineWriter) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	level := slog.LevelInfo
	if tag, rest, ok := strings.Cut(line, "]"); ok {
		line = strings.TrimSpace(rest)
		switch strings.TrimPrefix(tag, "[") {
		case "ERROR":
			level = slog.LevelError
		case "WARN":
			level = slog.LevelWarn
		case "DEBUG", "TRACE":
			level = slog.LevelDebug
		}
	}
	w.log.Log(context.Background(), level, line)
	return len(b), nil
}

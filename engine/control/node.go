package control

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/process"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// node is what an engine-driver has whether it leads or not: its place in the group,
// jobs' files, and connections to the other drivers.
type node struct {
	*raftgroup.Node
	security security.Security
	env      []string        // of jobs' processes
	reaper   *process.Reaper // of what they leave behind
	metrics  string          // host where they serve their metrics; "" for nowhere
	log      *slog.Logger
	files    *jobFiles
	drivers  *rpc.Cluster // connections to the other drivers
	programs *programs
	draining chan struct{}  // closed when the node leaves
	streams  sync.WaitGroup // what the streams of services have started
}

// newNode opens a node's files and connections.
func newNode(m *raftgroup.Node, peers raftgroup.Peers, s security.Security, log *slog.Logger) (*node, error) {
	n := &node{Node: m, security: s, log: log, draining: make(chan struct{})}
	var err error
	if n.files, err = openJobFiles(m.DataDir()); err != nil {
		return nil, err
	}
	if n.drivers, err = newDrivers(peers, s); err != nil {
		return nil, err
	}
	n.programs = &programs{Store: n.files.programs, room: n.files.room, group: m, conns: n.drivers, work: &n.streams}
	return n, nil
}

// newDrivers returns connections to a cluster's drivers.
func newDrivers(p raftgroup.Peers, s security.Security) (*rpc.Cluster, error) {
	var all []string
	for _, id := range p.IDs() {
		all = append(all, p[id])
	}
	return rpc.NewCluster(strings.Join(all, ","), s)
}

// isDraining reports whether the node is about to leave.
func (n *node) isDraining() bool {
	select {
	case <-n.draining:
		return true
	default:
		return false
	}
}

// leaderAddress returns where the leader is, "" while there is none.
func (n *node) leaderAddress() string { return n.Peers()[n.Leader()] }

// failJob says that a job has failed under the driver of an epoch: it is started again if
// it is one that is. With 0 it has failed for good, whoever drives it.
func (n *node) failJob(incarnation, epoch uint64, reason string) {
	end := state.EndJob{Incarnation: incarnation, Epoch: epoch, State: wire.JobFailed, Reason: wire.Clip(reason, state.MaxReason), At: time.Now().UnixNano()}
	if err := endJob(n.Replica, end); err != nil {
		n.log.Warn("ending a job", "job", incarnation, "err", err)
	}
}

// endJob records the end of a job.
func endJob(n *raftgroup.Replica, end state.EndJob) error {
	var c state.Command
	n.View(func(st *state.State) { c = st.Ending(end) })
	return n.Record(c, raftgroup.Never)
}

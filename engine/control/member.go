package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/security"
)

const (
	transportTimeout = 2 * time.Second // bounds one message between Raft nodes
	introduceTimeout = 2 * time.Second // of another driver, for its answer to a node that starts
	shutdownPatience = time.Second     // for Raft to end, twice
)

// member is a node of the group with what it stands on: data directory, disk,
// door and transport.
type member struct {
	*node
	peers     peers
	dir       *dataDir
	roster    *roster
	disk      *storage
	door      *door
	transport *raft.NetworkTransport

	failOnce sync.Once
	failure  error
	failed   chan struct{} // closed when the node can't go on
}

// memberConfig says which node to open.
type memberConfig struct {
	id       string
	peers    peers
	dataDir  string
	replace  bool         // a new dataDir takes the place of a lost one
	listener net.Listener // nil: listen on the address in peers
	security security.Security
	timing   Timing
	segment  int // bytes of a file of Raft's log, 0 for segmentSize
	log      *slog.Logger
}

// openMember opens a node and lets it join the group.
func openMember(ctx context.Context, c memberConfig) (*member, error) {
	m, err := prepareMember(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := m.join(c); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// prepareMember opens what a node stands on.
func prepareMember(ctx context.Context, c memberConfig) (_ *member, err error) {
	address := c.peers[c.id]
	if address == "" {
		return nil, fmt.Errorf("%w: they don't name this driver, %q", ErrPeers, c.id)
	}
	if err := c.security.CheckListen(address); err != nil {
		return nil, err
	}
	m := &member{peers: c.peers, failed: make(chan struct{})}
	defer func() {
		if err == nil {
			return
		}
		if m.door == nil && c.listener != nil {
			err = errors.Join(err, c.listener.Close())
		}
		err = errors.Join(err, m.close())
	}()
	if m.dir, err = openDataDir(c.dataDir, c.id, c.replace); err != nil {
		return nil, err
	}
	l := c.listener
	if l == nil {
		if l, err = listenOn(ctx, address, c.id); err != nil {
			return nil, err
		}
	}
	m.roster = newRoster(c.peers, introduction{copy: m.dir.id.Copy, start: security.NewToken()[:state.MarkLen], node: c.id})
	m.roster.learn(m.dir.id.Cluster, m.dir.id.Drivers)
	m.door = newDoor(l, c.security, m.roster, c.log)
	if m.disk, err = openStorage(m.dir, c.segment, c.log, m.fail); err != nil {
		return nil, err
	}
	m.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider: c.peers, Logger: raftLogger(c.log), Stream: m.door, MaxPool: 3, Timeout: transportTimeout,
	})
	return m, nil
}

// join opens the door, asks to be let in and starts Raft.
func (m *member) join(c memberConfig) error {
	m.door.start(m.fail)
	if err := m.introduce(); err != nil {
		return err
	}
	return m.start(c)
}

// start starts Raft, in a goroutine that watchedStore may end.
func (m *member) start(c memberConfig) (err error) {
	returned := false
	var starting sync.WaitGroup
	starting.Go(func() {
		m.node, err = startNode(raftParts{
			id: c.id, servers: c.peers.ids(), founds: m.founds(), logs: m.disk.store, stable: m.disk.store, snapshots: m.disk.snapshots,
			transport: m.transport, timing: c.timing, log: c.log, failed: m.failed,
		})
		returned = true
	})
	starting.Wait()
	if !returned {
		return m.failure
	}
	return err
}

// introduce asks the other drivers whether they let this node in. One that doesn't
// answer is no reason not to start.
func (m *member) introduce() error {
	refusals := make([]error, len(m.peers)) // by driver
	var asking sync.WaitGroup
	for i, id := range m.peers.ids() {
		if id == m.dir.id.Node {
			continue
		}
		asking.Go(func() {
			conn, err := m.door.dial(m.peers[id], introduceTimeout)
			if err == nil {
				err = conn.Close()
			}
			if isFinal(err) && !(m.dir.id.Replaces && errors.Is(err, errOtherCopy)) {
				refusals[i] = err
			}
		})
	}
	asking.Wait()
	for _, err := range refusals {
		if err != nil {
			return fmt.Errorf("starting with --data %s: %w", m.dir.path, err)
		}
	}
	return nil
}

// founds says what a node without any state of Raft's does: it founds the group
// with the others, or waits to be admitted. A directory of a cluster has had such
// a state.
func (m *member) founds() founding {
	switch {
	case m.dir.id.Cluster != "":
		return lost
	case m.dir.id.Replaces:
		return waits
	}
	return founds
}

// fail says that the node can't go on. It closes the door and Raft's connections,
// over which a leader whose disk hangs would send heartbeats for ever. The first
// failure counts.
func (m *member) fail(err error) {
	m.failOnce.Do(func() {
		m.failure = err
		close(m.failed)
		m.door.sever()
	})
}

// close leaves the group and closes everything that was opened. A node that
// failed says nothing more to the others. If its disk hangs Raft doesn't come
// back, and neither it nor the disk is waited for.
func (m *member) close() error {
	var errs []error
	hangs := false
	if m.node != nil {
		select {
		case <-m.failed:
			_ = m.transport.Close() // the failure says more
		default:
			m.node.handOver()
		}
		hangs = !m.endRaft()
	}
	if m.transport != nil {
		errs = append(errs, m.transport.Close())
	}
	if m.door != nil {
		if err := m.door.close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if m.disk != nil && !hangs {
		errs = append(errs, m.disk.close())
	}
	if m.dir != nil {
		errs = append(errs, m.dir.close())
	}
	return errors.Join(errs...)
}

// endRaft ends Raft and reports whether it has ended.
func (m *member) endRaft() bool {
	ended := make(chan struct{})
	go func() { // ends with Raft, or with the process
		_ = m.node.close()
		close(ended)
	}()
	for range 2 {
		select {
		case <-ended:
			return true
		case <-time.After(shutdownPatience):
			m.door.dropAll() // another node that hangs holds what is sent to it
		}
	}
	return false
}

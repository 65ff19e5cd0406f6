package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"reflect"
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

// failPatience is how long a node that can't go on may take to end.
const failPatience = 5 * time.Second

// Node is a node of the group with what it stands on: data directory, disk,
// listener and transport.
type Node struct {
	*Replica
	peers     Peers
	dir       *DataDir
	roster    *roster
	disk      *storage
	listener  *listener
	transport *raft.NetworkTransport
	log       *slog.Logger

	learning  sync.Mutex // guards the identity on disk: housekeeping and the leader write it
	replacing sync.Mutex // held while a driver's data directory is replaced

	failOnce sync.Once
	failure  error
	failed   chan struct{} // closed when the node can't go on
}

// Config says which node to open.
type Config struct {
	ID       string
	Peers    Peers
	DataDir  string
	Replace  bool         // a new DataDir takes the place of a lost one
	Listener net.Listener // nil: listen on the address in peers
	Security security.Security
	Timing   Timing
	Segment  int               // bytes of a file of Raft's log, 0 for segmentSize
	WrapLog  func(Store) Store // for tests: what stands before the log on disk; nil for nothing
	Log      *slog.Logger
}

// Open opens a node and lets it join the group.
func Open(ctx context.Context, c Config) (*Node, error) {
	m, err := prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := m.join(c); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// prepare opens what a node stands on.
func prepare(ctx context.Context, c Config) (_ *Node, err error) {
	address := c.Peers[c.ID]
	if address == "" {
		return nil, fmt.Errorf("%w: they don't name this driver, %q", ErrPeers, c.ID)
	}
	if err := c.Security.CheckListen(address); err != nil {
		return nil, err
	}
	m := &Node{peers: c.Peers, log: c.Log, failed: make(chan struct{})}
	defer func() {
		if err == nil {
			return
		}
		if m.listener == nil && c.Listener != nil {
			err = errors.Join(err, c.Listener.Close())
		}
		err = errors.Join(err, m.Close())
	}()
	if m.dir, err = OpenDataDir(c.DataDir, c.ID, c.Replace); err != nil {
		return nil, err
	}
	l := c.Listener
	if l == nil {
		if l, err = Listen(ctx, address, c.ID); err != nil {
			return nil, err
		}
	}
	m.roster = newRoster(c.Peers, introduction{copy: m.dir.id.Copy, start: security.NewToken()[:state.MarkLen], node: c.ID})
	m.roster.learn(m.dir.id.Cluster, m.dir.id.Drivers)
	m.listener = newListener(l, c.Security, m.roster, c.Log)
	if m.disk, err = openStorage(m.dir, c.Segment, c.Log, m.Fail); err != nil {
		return nil, err
	}
	if c.WrapLog != nil {
		m.disk.store.Store = c.WrapLog(m.disk.store.Store)
	}
	m.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider: c.Peers, Logger: raftLogger(c.Log), Stream: m.listener, MaxPool: 3, Timeout: transportTimeout,
	})
	return m, nil
}

// join opens the listener, asks to be let in and starts Raft.
func (m *Node) join(c Config) error {
	if err := m.dir.Keep(); err != nil {
		return err
	}
	m.listener.start(m.Fail)
	if err := m.introduce(); err != nil {
		return err
	}
	return m.start(c)
}

// start starts Raft, in a goroutine that watchedStore may end.
func (m *Node) start(c Config) (err error) {
	returned := false
	var starting sync.WaitGroup
	starting.Go(func() {
		m.Replica, err = Start(Parts{
			ID: c.ID, Servers: c.Peers.IDs(), founds: m.founding(), Logs: m.disk.store, Stable: m.disk.store, Snapshots: m.disk.snapshots,
			Transport: m.transport, Timing: c.Timing, Log: c.Log, failed: m.failed,
		})
		returned = true
	})
	starting.Wait()
	if !returned {
		return m.failure
	}
	if errors.Is(err, ErrPeers) && m.dir.id.Cluster == "" {
		err = fmt.Errorf("%w; it has joined none yet: if the drivers were misspelt when it was first started, remove %s and start again", err, m.dir.Path)
	}
	return err
}

// introduce asks the other drivers whether they let this node in. One that doesn't
// answer is no reason not to start.
func (m *Node) introduce() error {
	refusals := make([]error, len(m.peers)) // by driver
	var asking sync.WaitGroup
	for i, id := range m.peers.IDs() {
		if id == m.dir.id.Node {
			continue
		}
		asking.Go(func() {
			conn, err := m.listener.dial(m.peers[id], introduceTimeout)
			if err == nil {
				err = conn.Close()
			}
			if isFinal(err) && !(m.dir.id.Replaces && errors.Is(err, ErrOtherCopy)) {
				refusals[i] = err
			}
		})
	}
	asking.Wait()
	for _, err := range refusals {
		if err != nil {
			return fmt.Errorf("starting with --data %s: %w", m.dir.Path, err)
		}
	}
	return nil
}

// founding says what a node without any state of Raft's does: it founds the group
// with the others, or waits to be admitted. A directory of a cluster has had such
// a state.
func (m *Node) founding() founding {
	switch {
	case m.dir.id.Cluster != "":
		return lost
	case m.dir.id.Replaces:
		return waits
	}
	return founds
}

// Peers returns the drivers of the cluster.
func (m *Node) Peers() Peers { return m.peers }

// DataDir returns the node's directory.
func (m *Node) DataDir() *DataDir { return m.dir }

// GRPC returns the listener for connections of gRPC, whose TLS handshake is done.
func (m *Node) GRPC() net.Listener { return m.listener.grpc }

// Failed returns a channel that is closed when the node can't go on; Failure says
// why.
func (m *Node) Failed() <-chan struct{} { return m.failed }

// Failure returns why Failed is closed.
func (m *Node) Failure() error { return m.failure }

// ClusterID returns the cluster's id, "" until it is known.
func (m *Node) ClusterID() string { return m.listener.clusterID() }

// Refused returns why this node can't join the others, nil if it may: one of them
// has a reason that doesn't end by waiting, or all of them have one.
func (m *Node) Refused() error { return m.listener.refused(m.otherAddresses()) }

// Heard says what the others answer, as far as was tried.
func (m *Node) Heard() []string { return m.listener.heard(m.otherAddresses()) }

// Learn remembers the cluster's id and which data directories its drivers have,
// once the state says so.
func (m *Node) Learn() error {
	var cluster string
	var drivers map[string]state.Admission
	m.View(func(st *state.State) { cluster, drivers = st.ClusterID, maps.Clone(st.Drivers) })
	m.learning.Lock()
	defer m.learning.Unlock()
	before := m.dir.id
	if err := m.dir.learn(cluster, drivers); err != nil || reflect.DeepEqual(before, m.dir.id) {
		return err
	}
	m.roster.learn(m.dir.id.Cluster, m.dir.id.Drivers)
	m.listener.dropRefused()
	m.log.Debug("the identity has changed", "cluster", m.dir.id.Cluster, "drivers", m.dir.id.Drivers)
	return nil
}

// Others lists the other drivers.
func (m *Node) Others() (ids []string) {
	for _, id := range m.peers.IDs() {
		if id != m.id {
			ids = append(ids, id)
		}
	}
	return ids
}

// otherAddresses lists where the other drivers are.
func (m *Node) otherAddresses() (all []string) {
	for _, id := range m.Others() {
		all = append(all, m.peers[id])
	}
	return all
}

// Fail says that the node can't go on. It closes the listener and Raft's connections,
// over which a leader whose disk hangs would send heartbeats for ever. The first
// failure counts.
func (m *Node) Fail(err error) {
	m.failOnce.Do(func() {
		m.failure = err
		close(m.failed)
		m.listener.sever()
	})
}

// Close leaves the group and closes everything that was opened. A node that
// failed says nothing more to the others. If its disk hangs Raft doesn't come
// back, and neither it nor the disk is waited for.
func (m *Node) Close() error {
	var errs []error
	hangs := false
	if m.Replica != nil {
		select {
		case <-m.failed:
			_ = m.transport.Close() // the failure says more
		default:
			m.Replica.handOver()
		}
		hangs = !m.endRaft()
	}
	if m.transport != nil {
		errs = append(errs, m.transport.Close())
	}
	if m.listener != nil {
		if err := m.listener.close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if m.disk != nil && !hangs {
		errs = append(errs, m.disk.close())
	}
	if m.dir != nil {
		errs = append(errs, m.dir.Close())
	}
	return errors.Join(errs...)
}

// endRaft ends Raft and reports whether it has ended.
func (m *Node) endRaft() bool {
	ended := make(chan struct{})
	go func() { // ends with Raft, or with the process
		_ = m.Replica.Close()
		close(ended)
	}()
	for range 2 {
		select {
		case <-ended:
			return true
		case <-time.After(shutdownPatience):
			m.listener.conns.dropAll() // another node that hangs holds what is sent to it
		}
	}
	return false
}

// Outcome waits for the end of a member. One that can't go on, because its disk
// hangs, may never come to it: then outcome returns without it.
func (m *Node) Outcome(ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-m.failed:
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(failPatience):
		return fmt.Errorf("%w; it is left as it is, since it doesn't come to an end within %s", m.failure, failPatience)
	}
}

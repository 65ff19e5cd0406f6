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

	"github.com/hibana-engine/hibana/engine/wire"
)

// transportTimeout bounds one message between Raft nodes.
const transportTimeout = 2 * time.Second

// member is a node of the group with what it stands on: data directory, disk,
// door and transport.
type member struct {
	*node
	peers     peers
	dir       *dataDir
	disk      *storage
	door      *door
	transport *raft.NetworkTransport
	accepting sync.WaitGroup

	failOnce sync.Once
	failure  error
	failed   chan struct{} // closed when the node can't go on
}

// memberConfig says which node to open.
type memberConfig struct {
	id       string
	peers    peers
	dataDir  string
	listener net.Listener // nil: listen on the address in peers
	security wire.Security
	timing   Timing
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
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.dir, err = openDataDir(c.dataDir, c.id); err != nil {
		return nil, err
	}
	l := c.listener
	if l == nil {
		if l, err = listenOn(ctx, address, c.id); err != nil {
			return nil, err
		}
	}
	m.door = newDoor(l, c.security, c.id, m.dir.id.Copy, c.log)
	m.door.setCluster(m.dir.id.Cluster)
	if m.disk, err = openStorage(m.dir, c.log, m.fail); err != nil {
		return nil, err
	}
	m.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		ServerAddressProvider: c.peers, Logger: raftLogger(c.log), Stream: m.door, MaxPool: 3, Timeout: transportTimeout,
	})
	return m, nil
}

// join opens the door and starts Raft.
func (m *member) join(c memberConfig) (err error) {
	m.accepting.Go(func() {
		if err := m.door.run(); err != nil {
			m.fail(err)
		}
	})
	m.node, err = startNode(raftParts{
		id: c.id, servers: c.peers.ids(), logs: m.disk.store, stable: m.disk.store, snapshots: m.disk.snapshots,
		transport: m.transport, timing: c.timing, log: c.log, failed: m.failed,
	})
	return err
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

// close leaves the group and closes everything that was opened. With a disk that
// hangs it doesn't wait for Raft, which wouldn't come back.
func (m *member) close() error {
	var errs []error
	broken := false
	select {
	case <-m.failed:
		broken = true
	default:
	}
	if m.transport != nil && broken {
		errs = append(errs, m.transport.Close())
	}
	if m.node != nil && !broken {
		errs = append(errs, m.node.close())
	}
	if m.transport != nil && !broken {
		errs = append(errs, m.transport.Close())
	}
	if m.door != nil {
		if err := m.door.close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	m.accepting.Wait()
	if m.disk != nil && !broken {
		errs = append(errs, m.disk.close())
	}
	if m.dir != nil {
		errs = append(errs, m.dir.close())
	}
	return errors.Join(errs...)
}

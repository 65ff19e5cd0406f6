package kafkatest

import (
	"context"
	"net"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// network is what clients reach a virtual cluster's brokers over.
//
// THREADING: mu guards lost and open.
type network struct {
	kfake.VirtualNetwork

	mu   sync.Mutex
	lost map[string]bool       // addresses at which nobody answers
	open map[string][]net.Conn // connections, by address
}

func (n *network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := n.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lost[addr] {
		conn.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	n.open[addr] = append(n.open[addr], conn)
	return conn, nil
}

// cut closes the connections to an address, and refuses others if it is lost.
func (n *network) cut(addr string, lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost[addr] = lost
	for _, conn := range n.open[addr] {
		conn.Close()
	}
	delete(n.open, addr)
}

// Cut closes the connections to one of a virtual cluster's brokers, whatever is asked for over
// them, but those of the test's own clients (Client). New ones reach it.
func (b *Broker) Cut(node int) { b.network.cut(b.Addrs[node], false) }

// Lose cuts one of a virtual cluster's brokers off, as Cut does, until Return. Nobody else leads its
// partitions: that is for the test to say (kfake's MoveTopicPartition).
func (b *Broker) Lose(node int) { b.network.cut(b.Addrs[node], true) }

// Return makes a lost broker reachable again.
func (b *Broker) Return(node int) { b.Cut(node) }

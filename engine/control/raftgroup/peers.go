package raftgroup

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
)

// Peers are the drivers of a cluster: address by id. It tells Raft's transport
// where they are.
type Peers map[string]string

// ParsePeers reads "a=127.0.0.1:7077,b=127.0.0.1:7078".
func ParsePeers(s string) (Peers, error) {
	p := make(Peers)
	seen := make(map[string]string) // id by address
	for entry := range strings.SplitSeq(s, ",") {
		id, address, ok := strings.Cut(strings.TrimSpace(entry), "=")
		if !ok || !state.ValidID(id) {
			return nil, fmt.Errorf("%w: %q; it takes id=host:port,id=host:port,…, ids of letters, digits, '-', '_' and '.', at most %d long",
				ErrPeers, entry, state.MaxID)
		}
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" || port == "0" {
			return nil, fmt.Errorf("%w: %q has no host:port, e.g. 127.0.0.1:7077", ErrPeers, entry)
		}
		if p[id] != "" {
			return nil, fmt.Errorf("%w: driver %q is there twice", ErrPeers, id)
		}
		if other := seen[address]; other != "" {
			return nil, fmt.Errorf("%w: %q and %q have the same address %s", ErrPeers, other, id, address)
		}
		p[id], seen[address] = address, id
	}
	if len(p) > state.MaxDrivers {
		return nil, fmt.Errorf("%w: %d drivers, at most %d go", ErrPeers, len(p), state.MaxDrivers)
	}
	return p, nil
}

// IDs lists the drivers' ids, sorted.
func (p Peers) IDs() []string {
	var all []string
	for id := range p {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

// At returns which driver has an address, "" if none has.
func (p Peers) At(address string) string {
	for id, a := range p {
		if a == address {
			return id
		}
	}
	return ""
}

// ServerAddr returns where a driver is. It implements raft.ServerAddressProvider.
func (p Peers) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if a := p[string(id)]; a != "" {
		return raft.ServerAddress(a), nil
	}
	return "", fmt.Errorf("%w: they don't name driver %q", ErrPeers, id)
}

package raftgroup

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// dialer connects to other drivers, and makes sure that they are who they should be.
// It is safe for concurrent use.
type dialer struct {
	security security.Security
	roster   *roster
	conns    *openConns // Raft's, which it dialed or which came in

	mu     sync.Mutex
	dialed map[string]error // by address: what came of the last try
}

func newDialer(s security.Security, r *roster) *dialer {
	return &dialer{security: s, roster: r, conns: newOpenConns(), dialed: make(map[string]error)}
}

// Dial connects to another node's listener, and remembers what came of it.
func (d *dialer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := d.dial(string(address), timeout)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialed[string(address)] = err
	return conn, err
}

// heard says what the nodes at some addresses answer, as far as was tried.
func (d *dialer) heard(addresses []string) (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range addresses {
		switch err, tried := d.dialed[a]; {
		case err != nil:
			all = append(all, err.Error())
		case tried:
			all = append(all, a+" answers")
		}
	}
	return all
}

// refused returns why this node can't join those at some addresses: one of them
// has a reason that doesn't end by waiting, or all of them have one. Else nil.
func (d *dialer) refused(addresses []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var why error
	all := true
	for _, a := range addresses {
		err := d.dialed[a]
		switch {
		case isFinal(err):
			return err
		case errors.Is(err, wire.ErrUnauthenticated), errors.Is(err, wire.ErrOtherCluster), errors.Is(err, ErrPeers):
			why = err
		default:
			all = false
		}
	}
	if !all {
		return nil
	}
	return why
}

// dial connects to the driver at an address, which lets this node in.
func (d *dialer) dial(address string, timeout time.Duration) (net.Conn, error) {
	conn, there, err := d.greet(address, forRaft, timeout)
	if err != nil {
		return nil, err
	}
	if err = there.refusal(d.roster.self.node, address); err == nil {
		err = d.recognize(address, there.introduction)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("joining the driver at %s: %w", address, err), conn.Close())
	}
	return d.conns.track(conn, there.introduction)
}

// recognize makes sure that whoever answers at an address is the driver that
// should.
func (d *dialer) recognize(address string, there introduction) error {
	if want := d.roster.peers.At(address); want != there.node {
		return fmt.Errorf("%w: driver %q answers there, not %q", ErrPeers, there.node, want)
	}
	switch d.roster.judge(there) {
	case welcome:
		d.roster.meet(there)
		return nil
	case otherCluster:
		return fmt.Errorf("%w: cluster %s", wire.ErrOtherCluster, there.cluster)
	}
	return fmt.Errorf("%w: driver %q has another data directory than before; it must be started with --replace",
		ErrPeers, there.node)
}

// ask returns who answers at a driver's address.
func (d *dialer) ask(node string) (introduction, error) {
	conn, there, err := d.greet(d.roster.peers[node], forName, nameTimeout)
	if err != nil {
		return introduction{}, err
	}
	return there.introduction, conn.Close()
}

// greet connects to an address, says who we are and returns the answer.
func (d *dialer) greet(address string, purpose byte, timeout time.Duration) (net.Conn, answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: d.security.TLS(raftProtocol)}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, answer{}, fmt.Errorf("greeting the driver at %s: %w", address, err)
	}
	there, err := d.converse(conn, purpose, time.Now().Add(timeout))
	if err != nil {
		return nil, answer{}, errors.Join(fmt.Errorf("greeting the driver at %s: %w", address, err), conn.Close())
	}
	return conn, there, nil
}

// converse greets on a connection.
func (d *dialer) converse(conn net.Conn, purpose byte, deadline time.Time) (there answer, err error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return there, err
	}
	g := greeting{purpose: purpose, introduction: d.roster.introduce()}
	if _, err := conn.Write(g.append(nil)); err != nil {
		return there, err
	}
	b := make([]byte, answerLen)
	if _, err := io.ReadFull(conn, b); err != nil {
		return there, err
	}
	if there, err = parseAnswer(b); err != nil {
		return there, err
	}
	return there, conn.SetDeadline(time.Time{})
}

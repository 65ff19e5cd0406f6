package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Cluster finds the leader among the engine-drivers and follows it when it
// changes. It is safe for concurrent use.
type Cluster struct {
	security  security.Security
	addresses []string // as given

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn // by address, those of leaders included
}

// maxKnown bounds the addresses that a Cluster keeps connections to.
const maxKnown = 64

// NewCluster returns a Cluster that knows of drivers at the given addresses,
// host:port separated by commas. Nothing is connected yet.
func NewCluster(addresses string, s security.Security) (*Cluster, error) {
	all, err := ParseAddresses(addresses)
	if err != nil {
		return nil, err
	}
	c := &Cluster{security: s, addresses: all, conns: make(map[string]*grpc.ClientConn)}
	for _, a := range all {
		if _, err := c.dial(a); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// ParseAddresses returns the addresses of a list, host:port separated by commas, of which
// there must be one at least.
func ParseAddresses(list string) (all []string, err error) {
	for a := range strings.SplitSeq(list, ",") {
		if a = strings.TrimSpace(a); a == "" {
			continue
		}
		if _, err := security.IsLoopback(a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return nil, wire.Misuse("no address of an engine-driver; give host:port,host:port,…")
	}
	return all, nil
}

// Addresses returns the addresses given to NewCluster.
func (c *Cluster) Addresses() []string { return slices.Clone(c.addresses) }

// Known returns the addresses given to NewCluster, and then those of leaders that
// weren't among them.
func (c *Cluster) Known() []string {
	all := c.Addresses()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range slices.Sorted(maps.Keys(c.conns)) {
		if !slices.Contains(c.addresses, a) {
			all = append(all, a)
		}
	}
	return all
}

// CheckReachable makes sure that an address on which this process listens isn't on
// loopback, host:port, while a driver is on another machine: nobody there could
// connect to it. Names other than localhost count as other machines.
func (c *Cluster) CheckReachable(own string) error {
	loopback, err := security.IsLoopback(own)
	if err != nil || !loopback {
		return err
	}
	for _, a := range c.addresses {
		if near, err := security.IsLoopback(a); err == nil && !near {
			return wire.Misuse(fmt.Sprintf("%s can't be reached from other machines, and the engine-driver %s may be on one",
				own, a))
		}
	}
	return nil
}

// Close closes the connections.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, cc := range c.conns {
		errs = append(errs, cc.Close())
	}
	clear(c.conns)
	return errors.Join(errs...)
}

// dial returns the connection to an address.
func (c *Cluster) dial(address string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cc := c.conns[address]; cc != nil {
		return cc, nil
	}
	if len(c.conns) >= maxKnown {
		return nil, fmt.Errorf("%w: more than %d addresses of engine-drivers", wire.ErrTooLarge, maxKnown)
	}
	cc, err := Dial(address, c.security)
	if err != nil {
		return nil, err
	}
	c.conns[address] = cc
	return cc, nil
}

// Conn returns the connection to the driver at an address. The Cluster owns it.
func (c *Cluster) Conn(address string) (grpc.ClientConnInterface, error) { return c.dial(address) }

// Leader asks all drivers at once who leads and returns the connection to the
// leader. The error lists what each one said, or says ErrUnauthenticated: none
// knows the token, but something answers. Where only some of them don't know it,
// another process has the port of a driver that is dead.
func (c *Cluster) Leader(ctx context.Context) (cc grpc.ClientConnInterface, address string, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	type answer struct {
		from, leader string
		err          error
	}
	answers := make(chan answer, len(c.addresses))
	for _, a := range c.addresses {
		go func() { // ends with ctx; answers has room for it
			cc, err := c.dial(a)
			if err != nil {
				answers <- answer{a, "", err}
				return
			}
			st, err := wire.ControlClient{CC: cc}.Cluster(ctx)
			if err != nil {
				answers <- answer{a, "", err}
				return
			}
			answers <- answer{a, st.Leader, nil}
		}()
	}
	var said []string
	var stranger string
	leaderless := 0
	for range c.addresses {
		switch ans := <-answers; {
		case ans.err != nil:
			said = append(said, ans.from+": "+Brief(ans.err))
			if strange(ans.err) {
				stranger = ans.from
			}
		case ans.leader == "":
			leaderless++
			said = append(said, ans.from+": knows of no leader")
		default:
			cc, err := c.dial(ans.leader)
			return cc, ans.leader, err
		}
	}
	slices.Sort(said)
	switch {
	case leaderless > 0:
		return nil, "", fmt.Errorf("%w; are most of the drivers up?\n  %s",
			wire.ErrNoLeader, strings.Join(said, "\n  "))
	case stranger != "": // waiting doesn't help
		return nil, "", fmt.Errorf("%w: %s: %w", wire.ErrUnauthenticated, stranger, security.ErrStranger)
	}
	return nil, "", fmt.Errorf("%w: no engine-driver answers; check the addresses and that they run\n  %s",
		wire.ErrNoLeader, strings.Join(said, "\n  "))
}

// Brief returns what a call's error says, without gRPC's words around it.
func Brief(err error) string {
	text := status.Convert(err).Message()
	for _, before := range []string{"transport: Error while dialing: ", "transport: authentication handshake failed: "} {
		if _, why, ok := strings.Cut(text, before); ok {
			return strings.TrimSuffix(why, `"`)
		}
	}
	if why, ok := strings.CutPrefix(text, "error reading from server: "); ok {
		return "the connection broke: " + why
	}
	return text
}

// strange reports whether a call failed because the process there didn't show in
// TLS's handshake that it knows the token. gRPC keeps only the text of the cause.
func strange(err error) bool {
	return status.Code(err) == codes.Unavailable && strings.Contains(status.Convert(err).Message(), security.ErrStranger.Error())
}

// leastSearch is how long a search for the leader may take though patience is over.
const leastSearch = 500 * time.Millisecond

// search is Leader that ends at a deadline: drivers that hang take their time.
func (c *Cluster) search(ctx context.Context, deadline time.Time) (grpc.ClientConnInterface, error) {
	ctx, cancel := context.WithTimeout(ctx, max(time.Until(deadline), leastSearch))
	defer cancel()
	cc, _, err := c.Leader(ctx)
	return cc, err
}

// Do calls f with a connection to the leader, again with the new one while the
// leader changes, until it succeeds, fails otherwise or patience is over. f must
// be safe to repeat.
func (c *Cluster) Do(ctx context.Context, patience time.Duration, f func(ctx context.Context, leader grpc.ClientConnInterface) error) error {
	deadline := time.Now().Add(patience)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		cc, err := c.search(ctx, deadline)
		if err == nil {
			err = f(ctx, cc)
		}
		if err == nil || ctx.Err() != nil || !wire.Transient(err) || !time.Now().Add(wait).Before(deadline) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

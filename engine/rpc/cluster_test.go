package rpc_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// drivers are engine-drivers of which one leads.
type drivers struct {
	mu      sync.Mutex
	leader  string   // whom all of them name
	really  string   // who leads
	lagging []string // who name nobody
	asked   []string // whom Status was asked of
}

// driver is one of them.
type driver struct {
	wire.ControlServer // nothing else is called
	all                *drivers
	address            string
}

func (d *driver) Cluster(context.Context, *wire.ClusterRequest) (*wire.ClusterStatus, error) {
	d.all.mu.Lock()
	defer d.all.mu.Unlock()
	for _, a := range d.all.lagging {
		if a == d.address {
			return &wire.ClusterStatus{}, nil
		}
	}
	return &wire.ClusterStatus{Leader: d.all.leader}, nil
}

func (d *driver) Status(context.Context, *wire.JobRef) (*wire.JobStatus, error) {
	d.all.mu.Lock()
	defer d.all.mu.Unlock()
	d.all.asked = append(d.all.asked, d.address)
	if d.address != d.all.really {
		d.all.leader = d.all.really // word gets round
		return nil, &wire.NotLeaderError{Leader: d.all.really}
	}
	return &wire.JobStatus{Node: d.address}, nil
}

func startDrivers(t *testing.T, s security.Security, n int) (*drivers, []string) {
	all := &drivers{}
	var addresses []string
	for range n {
		d := &driver{all: all}
		d.address = rpctest.Serve(t, s, func(r grpc.ServiceRegistrar) { wire.RegisterControl(r, d) })
		addresses = append(addresses, d.address)
	}
	return all, addresses
}

func newCluster(t *testing.T, s security.Security, addresses ...string) *rpc.Cluster {
	t.Helper()
	c, err := rpc.NewCluster(strings.Join(addresses, ", "), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// closedPort returns an address on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Do finds the leader from any address, also one that isn't in the list, and
// follows it when it changes in the middle.
func TestClusterFollowsTheLeader(t *testing.T) {
	s := securitytest.Token()
	all, at := startDrivers(t, s, 3)
	gone := closedPort(t)
	c := newCluster(t, s, gone, at[0], at[1])
	status := func() (node string) {
		t.Helper()
		err := c.Do(t.Context(), 10*time.Second, func(ctx context.Context, cc grpc.ClientConnInterface) error {
			st, err := wire.ControlClient{CC: cc}.Status(ctx, wire.JobRef{})
			if err == nil {
				node = st.Node
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return node
	}
	all.leader, all.really = at[2], at[2] // not among those given
	if got := status(); got != at[2] {
		t.Errorf("%s answered, %s leads", got, at[2])
	}
	if known := c.Known(); !slices.Equal(known, []string{gone, at[0], at[1], at[2]}) {
		t.Errorf("it knows of %v", known)
	}
	all.mu.Lock()
	all.really, all.asked = at[1], nil // the others haven't heard
	all.mu.Unlock()
	if got := status(); got != at[1] || len(all.asked) != 2 || all.asked[0] != at[2] {
		t.Errorf("%s answered, %s leads; asked were %v", got, at[1], all.asked)
	}
}

func TestClusterWithoutLeader(t *testing.T) {
	s := securitytest.Token()
	all, at := startDrivers(t, s, 2)
	all.lagging = at
	c := newCluster(t, s, at...)
	if _, _, err := c.Leader(t.Context()); !errors.Is(err, wire.ErrNoLeader) || !strings.Contains(err.Error(), at[0]+": knows of no leader") {
		t.Errorf("nobody leads: %v", err)
	}
	gone := closedPort(t)
	if _, _, err := newCluster(t, s, gone).Leader(t.Context()); !errors.Is(err, wire.ErrNoLeader) || !strings.Contains(err.Error(), gone) {
		t.Errorf("nobody is there: %v", err)
	}
	called := 0
	err := c.Do(t.Context(), 100*time.Millisecond, func(context.Context, grpc.ClientConnInterface) error { called++; return nil })
	if !errors.Is(err, wire.ErrNoLeader) || called > 0 {
		t.Errorf("Do, with nobody who leads: %v after %d calls", err, called)
	}
	// One that knows is enough.
	all.lagging, all.leader = at[:1], at[1]
	if _, leader, err := c.Leader(t.Context()); err != nil || leader != at[1] {
		t.Errorf("one knows: %q, %v", leader, err)
	}
}

// Who has another token than all that answer hears so at once. Where a driver
// knows the token, others that don't are taken for dead: somebody has their ports.
func TestClusterOfStrangers(t *testing.T) {
	s := securitytest.Token()
	all, at := startDrivers(t, s, 2)
	stranger := rpctest.Serve(t, securitytest.Token(), rpctest.Echo)
	_, _, err := newCluster(t, s, stranger, closedPort(t)).Leader(t.Context())
	if !errors.Is(err, wire.ErrUnauthenticated) || !strings.Contains(err.Error(), stranger) || !strings.Contains(err.Error(), "--token-file") {
		t.Errorf("nobody knows the token: %v", err)
	}
	all.lagging = at
	c := newCluster(t, s, stranger, at[0], at[1])
	if _, _, err := c.Leader(t.Context()); !errors.Is(err, wire.ErrNoLeader) || !strings.Contains(err.Error(), stranger+": not allowed: ") {
		t.Errorf("one doesn't, nobody leads: %v", err)
	}
	all.lagging, all.leader, all.really = nil, stranger, at[1]
	calls := 0
	err = c.Do(t.Context(), 10*time.Second, func(ctx context.Context, cc grpc.ClientConnInterface) error {
		if calls++; calls == 2 { // word gets round
			all.mu.Lock()
			all.leader = at[1]
			all.mu.Unlock()
		}
		_, err := wire.ControlClient{CC: cc}.Status(ctx, wire.JobRef{})
		return err
	})
	if err != nil || calls < 3 {
		t.Errorf("somebody has the port of the leader that was: %v after %d calls", err, calls)
	}
}

// What a change of leader doesn't explain is returned at once.
func TestClusterDoesNotRepeat(t *testing.T) {
	s := securitytest.Token()
	all, at := startDrivers(t, s, 1)
	all.leader = at[0]
	c := newCluster(t, s, at[0])
	called := 0
	err := c.Do(t.Context(), time.Minute, func(context.Context, grpc.ClientConnInterface) error { called++; return wire.ErrInvalid })
	if !errors.Is(err, wire.ErrInvalid) || called != 1 {
		t.Errorf("%v after %d calls", err, called)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = c.Do(ctx, time.Minute, func(context.Context, grpc.ClientConnInterface) error { cancel(); return wire.ErrNotReady })
	if !errors.Is(err, wire.ErrNotReady) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestClusterAddresses(t *testing.T) {
	s := securitytest.Token()
	for list, want := range map[string]error{
		"": wire.ErrInvalid, " , ": wire.ErrInvalid, "host": wire.ErrInvalid, "127.0.0.1:1,192.0.2.1:7077": wire.ErrInsecure,
		strings.Repeat("127.0.0.1:1,", 100): nil,
	} {
		c, err := rpc.NewCluster(list, s)
		if !errors.Is(err, want) {
			t.Errorf("%q: %v", list, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

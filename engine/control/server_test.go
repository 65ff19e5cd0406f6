package control

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Who runs an even number of drivers is told that it is no use.
func TestEvenDrivers(t *testing.T) {
	for drivers, want := range map[int]string{1: "", 2: "drivers=2 may_be_down=0", 3: "", 4: "drivers=4 may_be_down=1", 5: ""} {
		var out strings.Builder
		warnOfEven(slog.New(slog.NewTextHandler(&out, nil)), drivers)
		if got := out.String(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%d drivers: %q, want %q", drivers, got, want)
		}
	}
}

// All servers learn the name of a new cluster; the leadership and the
// housekeeping do so at the same time.
func TestNewClusterIsNamed(t *testing.T) {
	s := newServers(t)
	name := s.all[s.leading(-1)].ClusterID()
	for _, one := range s.all {
		for one.ClusterID() == "" {
			changed := one.Watch()
			if one.ClusterID() == "" {
				select {
				case <-changed:
				case <-time.After(5 * time.Millisecond): // the state has it, the server not yet
				}
			}
		}
		if got := one.ClusterID(); got != name || got == "" {
			t.Errorf("%s is of cluster %q, the leader of %q", one.ID(), got, name)
		}
	}
}

// Many jobs of long command lines are listed and assigned, though they don't go
// into one message.
func TestLongListsAreSent(t *testing.T) {
	s := newServersOf(t, "a")
	one := s.all[s.leading(-1)]
	const jobs = 200
	long := []string{strings.Repeat("x", state.MaxArgBytes)}
	var submitted []uint64
	for i := range jobs { // nobody has their binary, so that they don't start
		spec := wire.JobSpec{Submission: fmt.Sprint(i), Binary: strings.Repeat("0", 64), Platform: "p/q", Args: long}
		submitted = append(submitted, grouptest.MustPropose(t, one.Replica, &state.SubmitJob{Spec: spec}).Index)
	}
	cc, err := rpc.Dial(one.GRPC().Addr().String(), one.security)
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	list, err := wire.ControlClient{CC: cc}.Jobs(t.Context())
	n := 0
	for err == nil {
		var st *wire.JobStatus
		if st, err = list.Recv(); err == nil {
			if want := submitted[jobs-1-n]; st.Spec.Incarnation != want {
				t.Fatalf("job %d comes where %d should", st.Spec.Incarnation, want)
			}
			n++
		}
	}
	if !errors.Is(err, io.EOF) || n != jobs {
		t.Errorf("%d jobs, then %v", n, err)
	}
	follow, err := wire.ExecutorsClient{CC: cc}.Follow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Send(&wire.DaemonReport{Register: &wire.Register{ID: "e", Start: "1", Slots: 1, Platform: "p/q", Address: "h:1"}}); err != nil {
		t.Fatal(err)
	}
	a, err := wire.ReceiveAssignments(follow)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Jobs) != jobs {
		t.Errorf("%d are assigned", len(a.Jobs))
	}
}

// A leader whose disk hangs ends and is replaced, whatever waits for its log.
func TestDiskOfTheLeaderHangs(t *testing.T) {
	s := newServers(t)
	l := s.leading(-1)
	leader, disk := s.all[l], s.Disks[l]
	waiting := make(chan error, 1)
	disk.Hangs.Store(true)
	go func() { waiting <- leader.Record(&state.StopJob{Incarnation: 99}, raftgroup.Never) }() // its answer is waited for
	<-disk.Hung
	leader.Fail(fmt.Errorf("%w: a write has been under way for long", raftgroup.ErrDisk)) // as the watchdog does
	if err := <-waiting; !wire.Transient(err) {
		t.Errorf("what waited for the disk: %v", err)
	}
	if err := <-s.ended[l]; !errors.Is(err, raftgroup.ErrDisk) {
		t.Errorf("the server ended with %v", err)
	}
	if next := s.leading(l); next == l {
		t.Error("it leads still")
	}
	if err := leader.Barrier(); !wire.Transient(err) {
		t.Errorf("a barrier on the node that has ended: %v", err)
	}
	close(disk.Release) // the end of the test closes the node
}

// A start that goes no further, because something in its command line is wrong, leaves
// the data directory to the corrected one.
func TestMistakesClaimNoDirectory(t *testing.T) {
	f := newFleet(t, "a", "b")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	authority := securitytest.NewAuthority(t)
	for name, x := range map[string]struct {
		change func(*Config)
		want   error
		says   string
	}{
		"a peer that needs certificates": {func(c *Config) { c.Peers = "z=127.0.0.1:1,y=192.0.2.1:7077" }, raftgroup.ErrPeers, "talking to 192.0.2.1:7077"},
		"a peer without a port":          {func(c *Config) { c.Peers = "z=127.0.0.1:1,y=127.0.0.1" }, raftgroup.ErrPeers, "127.0.0.1"},
		"a certificate for another host": {func(c *Config) {
			c.Security = authority.Node(t, "127.0.0.1", time.Now().Add(time.Hour))
			c.Listen, c.Peers = "127.0.0.1:0", "z=192.0.2.1:7077"
		}, raftgroup.ErrPeers, "isn't for 192.0.2.1:7077"},
		"a metrics port that is taken": {func(c *Config) { c.Listen, c.Peers, c.Metrics = "127.0.0.1:0", "", taken.Addr().String() }, syscall.EADDRINUSE, "--metrics"},
		"a port that is taken":         {func(c *Config) { c.Peers = "z=" + taken.Addr().String() }, syscall.EADDRINUSE, "has the port"},
	} {
		c := f.config("a")
		c.ID, c.Data = "z", t.TempDir()
		x.change(&c)
		f.refused(c, x.want, x.says)
		if _, err := os.Stat(filepath.Join(c.Data, "identity.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the directory is claimed: %v", name, err)
		}
	}
}

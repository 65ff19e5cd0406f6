package control

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
)

// A second engine-driver with an id that another one has doesn't start, whether
// it has a directory of its own or a copy of the other's.
func TestSecondDriverIsRefused(t *testing.T) {
	f := newFleet(t, "d1", "d2", "d3")
	for id := range f.peers {
		f.start(id)
	}
	f.commit("e1")
	for id := range f.peers {
		f.admitted(id)
	}
	t.Logf("%s leads", f.leader())
	for id := range f.peers {
		elsewhere := maps.Clone(f.peers)
		elsewhere[id] = "127.0.0.1:0"
		l := rpctest.Listen(t)
		elsewhere[id] = l.Addr().String()
		_ = l.Close()
		c := f.config(id)
		c.Peers = peerList(elsewhere)
		c.Data = filepath.Join(t.TempDir(), "own")
		f.refused(c, raftgroup.ErrOtherCopy, "give this one an id of its own")
		c.Data = filepath.Join(t.TempDir(), "copied")
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(f.dirs[id], "identity.json"))
		if err == nil {
			err = os.WriteFile(filepath.Join(c.Data, "identity.json"), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.refused(c, raftgroup.ErrTwice, "stop one of the two")
		c.Peers = peerList(f.peers)
		f.refused(c, syscall.EADDRINUSE, "has the port")
	}
	f.commit("e2")
}

// Two drivers, of which one is behind and the other has lost its directory, don't
// make a majority: what the lost one had acknowledged would be gone.
func TestLostDirectoryIsReplaced(t *testing.T) {
	f := newFleet(t, "d1", "d2", "d3")
	for id := range f.peers {
		f.start(id)
	}
	f.commit("first")
	for id := range f.peers {
		f.admitted(id)
	}
	f.stop("d3")
	f.commit("second") // on d1 and d2
	f.stop("d1", "d2")
	lost := f.dirs["d2"]
	f.dirs["d2"] = filepath.Join(t.TempDir(), "new")

	f.start("d3")
	f.refused(f.config("d2"), raftgroup.ErrOtherCopy, "--replace")
	replace := func(c *Config) { c.Replace = true }
	f.start("d2", replace)
	f.says("no driver leads, so that no job goes on") // d3 and it are no majority
	f.start("d1")
	f.admitted("d2")
	if got, want := fmt.Sprint(f.executors()), "[first second]"; got != want {
		t.Fatalf("committed was %s, there is %s", want, got)
	}

	// The new directory counts fully: the others can do without d1 now.
	f.commit("third")
	f.says("a driver that was replaced has a vote again")
	f.stop("d1")
	if got, want := fmt.Sprint(f.executors()), "[first second third]"; got != want {
		t.Errorf("committed was %s, there is %s", want, got)
	}
	f.commit("fourth")

	// Started again it needs no flag; the lost directory, found again, is refused.
	f.stop("d2")
	f.start("d2")
	f.commit("fifth")
	f.stop("d2")
	c := f.config("d2")
	c.Data = lost
	f.refused(c, raftgroup.ErrOtherCopy, "--replace")
	f.start("d1") // knew the lost one only
	if got, want := fmt.Sprint(f.executors()), "[fifth first fourth second third]"; got != want {
		t.Errorf("committed was %s, there is %s", want, got)
	}
}

// A directory without Raft's files has forgotten what the node promised.
func TestLostLogIsNoticed(t *testing.T) {
	f := newFleet(t, "d1")
	f.start("d1")
	f.commit("e1")
	f.admitted("d1")
	f.stop("d1")
	if err := os.RemoveAll(filepath.Join(f.dirs["d1"], "raft")); err != nil {
		t.Fatal(err)
	}
	f.refused(f.config("d1"), raftgroup.ErrDataDir, "--replace")
}

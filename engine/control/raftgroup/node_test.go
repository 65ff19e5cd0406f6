package raftgroup_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

func TestStateSurvivesTheDisk(t *testing.T) {
	m := grouptest.NewThree(t, securitytest.Token())
	l := m.Leader()
	job := grouptest.MustPropose(t, m.Nodes[l].Replica, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := grouptest.MustPropose(t, m.Nodes[l].Replica, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	for seq := range uint64(20) {
		grouptest.MustPropose(t, m.Nodes[l].Replica, &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq + 1, Data: []byte("x")})
	}
	m.Stop(l) // the others go on
	if next := m.Leader(); next == l {
		t.Fatal("a stopped node leads")
	}
	for i := range m.Nodes {
		m.Stop(i)
	}
	m.OpenAll()
	m.Nodes[m.Leader()].View(func(s *state.State) {
		if j := s.Jobs[job]; j == nil || j.Last.Seq != 20 || j.Epoch != epoch {
			t.Errorf("after a restart: %+v", j)
		}
	})
}

// What a node knows, jobs' secrets among it, is for its user only, also in a data
// directory that others may look into.
func TestDataIsPrivate(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Join(dir, "snapshots"), filepath.Join(dir, "raft")} {
		if err := errors.Join(os.MkdirAll(d, 0o755), os.Chmod(d, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := raftgroup.Open(t.Context(), raftgroup.Config{ID: "a", Peers: raftgroup.Peers{"a": "127.0.0.1:0"}, DataDir: dir, Security: securitytest.Token(), Timing: raftgroup.DefaultTiming(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	grouptest.AwaitLeader(t, []*raftgroup.Replica{m.Replica})
	grouptest.MustPropose(t, m.Replica, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s", Secret: "secret"}})
	if err := m.Raft().Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 4 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestPortTaken(t *testing.T) {
	l := rpctest.Listen(t)
	_, err := raftgroup.Open(t.Context(), raftgroup.Config{ID: "a", Peers: raftgroup.Peers{"a": l.Addr().String()}, DataDir: t.TempDir(), Security: securitytest.Token(), Timing: raftgroup.DefaultTiming(), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "has the port") {
		t.Errorf("got %v", err)
	}
}

func TestPeersAreChecked(t *testing.T) {
	for in, says := range map[string]string{
		"":                               "id=host:port",
		"a":                              "id=host:port",
		"a=":                             "no host:port",
		"a=:7077":                        "no host:port",
		"a=h:0":                          "no host:port",
		"a b=h:1":                        "letters",
		"a=h:1,a=h:2":                    "twice",
		"a=h:1,b=h:1":                    "same address",
		"a=h:1,":                         "id=host:port",
		strings.Repeat("x", 65) + "=h:1": "at most",
		"a=h:1,b=h:2,c=h:3,d=h:4,e=h:5,f=h:6,g=h:7,h=h:8": "at most 7",
	} {
		if _, err := raftgroup.ParsePeers(in); !errors.Is(err, raftgroup.ErrPeers) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want it to say %q", in, err, says)
		}
	}
	p, err := raftgroup.ParsePeers("b=h:2, a=h:1")
	if err != nil || fmt.Sprint(p.IDs()) != "[a b]" {
		t.Errorf("%v, %v", p, err)
	}
}

// BenchmarkAllocate measures one driver that allocates batch by batch on three
// nodes with disks, each with a completion riding along.
func BenchmarkAllocate(b *testing.B) {
	m := grouptest.NewThree(b, securitytest.Token())
	n := m.Nodes[m.Leader()].Replica
	job := grouptest.MustPropose(b, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := grouptest.MustPropose(b, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	data := make([]byte, 512)
	seq := uint64(0)
	for b.Loop() {
		seq++
		grouptest.MustPropose(b, n, &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq, Data: data, Completions: []wire.Completion{{Seq: seq - 1, Output: wire.AllOutputs}}})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "allocations/s")
}

// BenchmarkAllocateManyJobs has 16 drivers that allocate at the same time.
func BenchmarkAllocateManyJobs(b *testing.B) {
	m := grouptest.NewThree(b, securitytest.Token())
	n := m.Nodes[m.Leader()].Replica
	const jobs = 16
	var work sync.WaitGroup
	b.ResetTimer()
	for k := range jobs {
		work.Go(func() {
			job, err := n.Propose(&state.SubmitJob{Spec: wire.JobSpec{Submission: fmt.Sprint(k)}})
			if err != nil {
				b.Error(err)
				return
			}
			epoch, err := n.Propose(&state.AssignDriver{Incarnation: job.Index, Node: "a"})
			for seq := uint64(1); err == nil && seq <= uint64(b.N/jobs+1); seq++ {
				_, err = n.Propose(&state.AllocateBatch{Incarnation: job.Index, Epoch: epoch.Index, Seq: seq, Data: make([]byte, 512), Completions: []wire.Completion{{Seq: seq - 1, Output: wire.AllOutputs}}})
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	work.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "allocations/s")
}

// A leader that leaves doesn't wait for a follower that hangs.
func TestLeaveBesideOneThatHangs(t *testing.T) {
	m := grouptest.NewThree(t, securitytest.Token())
	l := m.Leader()
	hung := m.Nodes[(l+1)%3]
	held, release := make(chan struct{}), make(chan struct{})
	go hung.View(func(*state.State) { close(held); <-release }) // it applies nothing, and after a while takes nothing
	<-held
	job := grouptest.MustPropose(t, m.Nodes[l].Replica, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := grouptest.MustPropose(t, m.Nodes[l].Replica, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	for seq := range uint64(1000) {
		grouptest.MustPropose(t, m.Nodes[l].Replica, &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq + 1, Completions: []wire.Completion{{Seq: seq, Output: wire.AllOutputs}}})
	}
	began := time.Now()
	m.Stop(l)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it left after %s", took)
	}
	close(release)
	m.Nodes[m.Leader()].View(func(s *state.State) {
		if last := s.Jobs[job].Last.Seq; last != 1000 {
			t.Errorf("batch %d is the last", last)
		}
	})
}

// A node whose disk hangs can't go on, and says so.
func TestDiskHangs(t *testing.T) {
	m := grouptest.New(t, securitytest.Token(), "a")
	n, disk := m.Nodes[m.Leader()], m.Disks[0]
	waiting := make(chan error, 1)
	disk.Hangs.Store(true)
	go func() { _, err := n.Propose(&state.StopJob{Incarnation: 99}); waiting <- err }() // its answer is waited for
	<-disk.Hung
	n.Age()
	if err := <-waiting; !wire.Transient(err) {
		t.Errorf("what waited for the disk: %v", err)
	}
	<-n.Failed()
	if err := n.Failure(); !errors.Is(err, raftgroup.ErrDisk) || !strings.Contains(err.Error(), "has been under way") {
		t.Errorf("it says: %v", err)
	}
	close(disk.Release)
}

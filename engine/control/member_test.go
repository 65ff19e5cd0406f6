package control

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// members are nodes with disks on loopback.
type members struct {
	t     testing.TB
	conf  []memberConfig
	nodes []*member // nil: closed
	disks []*hungStore
}

// newMembers returns three nodes.
func newMembers(t testing.TB, security security.Security) *members {
	t.Helper()
	return newMembersOf(t, security, "a", "b", "c")
}

// newMembersOf returns a group of the nodes with the ids given.
func newMembersOf(t testing.TB, security security.Security, ids ...string) *members {
	t.Helper()
	m := prepareMembers(t, security, ids...)
	m.openAll()
	return m
}

// prepareMembers is newMembersOf for tests that change the configuration first.
func prepareMembers(t testing.TB, security security.Security, ids ...string) *members {
	t.Helper()
	p := make(peers)
	var listeners []net.Listener
	for _, id := range ids {
		l := listen(t)
		listeners = append(listeners, l)
		p[id] = l.Addr().String()
	}
	m := &members{t: t, nodes: make([]*member, len(ids)), disks: make([]*hungStore, len(ids))}
	for i, id := range ids {
		m.conf = append(m.conf, memberConfig{
			id: id, peers: p, dataDir: filepath.Join(t.TempDir(), id), listener: listeners[i],
			security: security, timing: DefaultTiming(), log: slog.New(slog.DiscardHandler),
		})
	}
	t.Cleanup(func() {
		for i := range m.nodes {
			m.stop(i)
		}
	})
	return m
}

// openAll opens all nodes at once: each asks the others whether they let it in.
func (m *members) openAll() {
	var opening sync.WaitGroup
	for i := range m.nodes {
		opening.Go(func() { m.open(i) })
	}
	opening.Wait()
	if m.t.Failed() {
		m.t.FailNow()
	}
}

func (m *members) open(i int) {
	n, err := prepareMember(m.t.Context(), m.conf[i])
	if err != nil {
		m.t.Error(err)
		return
	}
	m.disks[i] = newHungStore(n.disk.store.store)
	n.disk.store.store = m.disks[i]
	if err := n.join(m.conf[i]); err != nil {
		m.t.Error(errors.Join(err, n.close()))
		return
	}
	m.conf[i].listener = nil // from now on it is opened by its address
	m.nodes[i] = n
}

func (m *members) stop(i int) {
	if m.nodes[i] == nil {
		return
	}
	if err := m.nodes[i].close(); err != nil {
		m.t.Error(err)
	}
	m.nodes[i] = nil
}

// leader waits until a node leads and has applied everything.
func (m *members) leader() int {
	m.t.Helper()
	nodes := make([]*node, len(m.nodes))
	for i, n := range m.nodes {
		if n != nil {
			nodes[i] = n.node
		}
	}
	return awaitLeader(m.t, nodes)
}

// lead makes a node the leader.
func (m *members) lead(i int) {
	m.t.Helper()
	id := raft.ServerID(m.conf[i].id)
	for range 20 {
		l := m.leader()
		if l == i {
			return
		}
		// It fails while the node is behind.
		_ = m.nodes[l].raft.LeadershipTransferToServer(id, raft.ServerAddress(id)).Error()
	}
	m.t.Fatalf("%s doesn't take the lead", id)
}

func token() security.Security { return security.Security{}.WithToken(security.NewToken()) }

func TestStateSurvivesTheDisk(t *testing.T) {
	m := newMembers(t, token())
	l := m.leader()
	job := mustPropose(t, m.nodes[l].node, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := mustPropose(t, m.nodes[l].node, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	for seq := range uint64(20) {
		mustPropose(t, m.nodes[l].node, &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq + 1, Data: []byte("x")})
	}
	m.stop(l) // the others go on
	if next := m.leader(); next == l {
		t.Fatal("a stopped node leads")
	}
	for i := range m.nodes {
		m.stop(i)
	}
	m.openAll()
	m.nodes[m.leader()].fsm.View(func(s *state.State) {
		if j := s.Jobs[job]; j == nil || j.Last.Seq != 20 || j.Epoch != epoch {
			t.Errorf("after a restart: %+v", j)
		}
	})
}

func TestDataDirIsChecked(t *testing.T) {
	base := memberConfig{id: "a", peers: peers{"a": "127.0.0.1:0"}, security: token(), timing: DefaultTiming(), log: slog.New(slog.DiscardHandler)}
	open := func(c memberConfig) error {
		n, err := openMember(t.Context(), c)
		if err == nil {
			err = n.close()
		}
		return err
	}
	used := t.TempDir()
	base.dataDir = used
	if err := open(base); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(c *memberConfig)
		want   error
		says   string
	}{
		{"the same again", func(*memberConfig) {}, nil, ""},
		{"another node's", func(c *memberConfig) { c.id, c.peers = "b", peers{"b": "127.0.0.1:0"} }, ErrDataDir, `belongs to driver "a"`},
		{"another group's", func(c *memberConfig) { c.peers = peers{"a": "127.0.0.1:0", "z": "127.0.0.1:1"} }, ErrPeers, "the data directory is of a cluster of a"},
		{"not in the group", func(c *memberConfig) { c.id = "q" }, ErrPeers, `this driver, "q"`},
		{"off loopback", func(c *memberConfig) { c.peers = peers{"a": "0.0.0.0:0"} }, wire.ErrInsecure, "mutual TLS"},
		{"no token", func(c *memberConfig) { c.security = security.Security{} }, wire.ErrInsecure, "token"},
		{"a file", func(c *memberConfig) { c.dataDir = filepath.Join(used, "identity.json") }, ErrDataDir, "not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := base
			tt.change(&c)
			err := open(c)
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v doesn't say %q", err, tt.says)
			}
		})
	}
	d, err := openDataDir(used, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if err := open(base); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "another engine-driver") {
		t.Errorf("in use: %v", err)
	}
	if err := d.learn("x", nil); err != nil {
		t.Fatal(err)
	}
	if err := d.learn("y", nil); !errors.Is(err, wire.ErrOtherCluster) {
		t.Errorf("another cluster: %v", err)
	}
	if err := os.WriteFile(d.identityFile(), []byte(`{"format":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = d.lock.Close()
	if err := open(base); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "format 9") {
		t.Errorf("another format: %v", err)
	}
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
	m, err := openMember(t.Context(), memberConfig{id: "a", peers: peers{"a": "127.0.0.1:0"}, dataDir: dir, security: token(), timing: DefaultTiming(), log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if _, err := openJobFiles(m.dir); err != nil {
		t.Fatal(err)
	}
	(&members{t: t, nodes: []*member{m}}).leader()
	mustPropose(t, m.node, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s", Secret: "secret"}})
	if err := m.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 5 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestPortTaken(t *testing.T) {
	l := listen(t)
	_, err := openMember(t.Context(), memberConfig{id: "a", peers: peers{"a": l.Addr().String()}, dataDir: t.TempDir(), security: token(), timing: DefaultTiming(), log: slog.New(slog.DiscardHandler)})
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
		if _, err := parsePeers(in); !errors.Is(err, ErrPeers) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want it to say %q", in, err, says)
		}
	}
	p, err := parsePeers("b=h:2, a=h:1")
	if err != nil || fmt.Sprint(p.ids()) != "[a b]" {
		t.Errorf("%v, %v", p, err)
	}
}

// BenchmarkAllocate measures one driver that allocates batch by batch on three
// nodes with disks, each with a completion riding along.
func BenchmarkAllocate(b *testing.B) {
	m := newMembers(b, token())
	n := m.nodes[m.leader()].node
	job := mustPropose(b, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := mustPropose(b, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	data := make([]byte, 512)
	seq := uint64(0)
	for b.Loop() {
		seq++
		mustPropose(b, n, &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq, Data: data, Completions: []wire.Completion{{Seq: seq - 1, Output: wire.AllOutputs}}})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "allocations/s")
}

// BenchmarkAllocateManyJobs has 16 drivers that allocate at the same time.
func BenchmarkAllocateManyJobs(b *testing.B) {
	m := newMembers(b, token())
	n := m.nodes[m.leader()].node
	const jobs = 16
	var work sync.WaitGroup
	b.ResetTimer()
	for k := range jobs {
		work.Go(func() {
			job, err := n.propose(&state.SubmitJob{Spec: wire.JobSpec{Submission: fmt.Sprint(k)}})
			if err != nil {
				b.Error(err)
				return
			}
			epoch, err := n.propose(&state.AssignDriver{Incarnation: job.Index, Node: "a"})
			for seq := uint64(1); err == nil && seq <= uint64(b.N/jobs+1); seq++ {
				_, err = n.propose(&state.AllocateBatch{Incarnation: job.Index, Epoch: epoch.Index, Seq: seq, Data: make([]byte, 512), Completions: []wire.Completion{{Seq: seq - 1, Output: wire.AllOutputs}}})
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
	m := newMembers(t, token())
	l := m.leader()
	hung := m.nodes[(l+1)%3]
	held, release := make(chan struct{}), make(chan struct{})
	go hung.fsm.View(func(*state.State) { close(held); <-release }) // it applies nothing, and after a while takes nothing
	<-held
	job := mustPropose(t, m.nodes[l].node, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := mustPropose(t, m.nodes[l].node, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	for seq := range uint64(1000) {
		mustPropose(t, m.nodes[l].node, &state.AllocateBatch{Incarnation: job, Epoch: epoch, Seq: seq + 1, Completions: []wire.Completion{{Seq: seq, Output: wire.AllOutputs}}})
	}
	began := time.Now()
	m.stop(l)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it left after %s", took)
	}
	close(release)
	m.nodes[m.leader()].fsm.View(func(s *state.State) {
		if last := s.Jobs[job].Last.Seq; last != 1000 {
			t.Errorf("batch %d is the last", last)
		}
	})
}

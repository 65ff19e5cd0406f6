package worker_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/disk/disktest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/engine/worker"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

// TestMain makes the test's binary the program of its jobs: a process is ready at
// an address that holds its process id.
func TestMain(m *testing.M) {
	if os.Getenv(role.Env) != role.Executor {
		os.Exit(m.Run())
	}
	p, err := role.OpenParent()
	if err != nil {
		os.Exit(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	daemon := wire.WorkerClient{CC: p.CC}
	spec, err := daemon.Attach(ctx, &wire.AttachExecutor{Name: "test"})
	if err != nil || spec.Executor != "e1" || len(spec.Job.Args) != 1 || spec.Job.Args[0] != os.Args[1] || os.Args[0] != "job-7" {
		os.Exit(1)
	}
	if err := daemon.Ready(ctx, &wire.ReadyRequest{Address: "pid:" + strconv.Itoa(os.Getpid())}); err != nil {
		os.Exit(1)
	}
	<-p.Gone()
	os.Exit(0)
}

// leader is an engine-driver that leads. A test answers its streams.
type leader struct {
	stop func()
	wire.ControlServer
	address string
	streams chan *following
	store   *binaries.Store
}

// following is a daemon's stream, in the hands of a test.
type following struct {
	t      *testing.T
	stream grpc.BidiStreamingServer[wire.DaemonReport, wire.Assignments]
	end    chan error

	sending sync.Mutex // of the stream
}

// send sends a message.
func (f *following) send(a *wire.Assignments) error {
	f.sending.Lock()
	defer f.sending.Unlock()
	return f.stream.Send(a)
}

func (l *leader) Cluster(context.Context, *wire.ClusterRequest) (*wire.ClusterStatus, error) {
	return &wire.ClusterStatus{Leader: l.address}, nil
}

func (l *leader) Follow(s grpc.BidiStreamingServer[wire.DaemonReport, wire.Assignments]) error {
	f := &following{stream: s, end: make(chan error, 1)}
	select {
	case l.streams <- f:
	case <-s.Context().Done():
		return s.Context().Err()
	}
	beat := time.NewTicker(wire.HeartbeatInterval)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			if err := f.send(&wire.Assignments{Alive: &wire.Alive{}}); err != nil {
				return err
			}
		case err := <-f.end:
			return err
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

func (l *leader) Fetch(req *wire.FetchRequest, s grpc.ServerStreamingServer[wire.Chunk]) error {
	return l.store.Fetch(req, s)
}

func (l *leader) Replicate(context.Context, *wire.ReplicateRequest) (*wire.ReplicateAnswer, error) {
	return nil, wire.ErrInvalid
}

// newLeader starts a leader that has the test's binary, and returns a job of it.
func newLeader(t *testing.T) (*leader, wire.Assignment) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store, err := binaries.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	digest := hex.EncodeToString(sum[:])
	w, err := store.Create(digest, int64(len(program)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	l := &leader{address: listener.Addr().String(), streams: make(chan *following), store: store}
	server := rpc.NewServer(security.Security{}.WithToken("token"))
	wire.RegisterControl(server, l)
	wire.RegisterExecutors(server, l)
	wire.RegisterBinaries(server, l)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }() // ends with Stop
	l.stop = sync.OnceFunc(func() { server.Stop(); <-done })
	t.Cleanup(l.stop)
	return l, wire.Assignment{Slots: 2, Spec: wire.JobSpec{
		Incarnation: 7, Name: "job", Args: []string{"--job"}, Binary: digest, Size: int64(len(program)), Platform: binaries.ThisPlatform(),
	}}
}

// config returns a daemon's configuration.
func (l *leader) config(t *testing.T) worker.Config {
	return worker.Config{
		ID: "e1", Master: l.address, Listen: "127.0.0.1:0", Data: t.TempDir(), Slots: 2,
		Security: security.Security{}.WithToken("token"), Log: slog.New(slog.DiscardHandler),
	}
}

// start runs a daemon and returns what ends it and yields its error.
func start(t *testing.T, c worker.Config) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx, c) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			return errors.New("the daemon doesn't end")
		}
	}
	t.Cleanup(func() {
		if !stopped {
			_ = stop()
		}
	})
	return stop
}

// next waits for a daemon's stream and its registration.
func (l *leader) next(t *testing.T) (*following, *wire.Register) {
	t.Helper()
	select {
	case f := <-l.streams:
		f.t = t
		m, err := f.stream.Recv()
		if err != nil || m.Register == nil {
			t.Fatalf("the first report is %+v, %v", m, err)
		}
		return f, m.Register
	case <-time.After(patience):
		t.Fatal("no daemon follows")
	}
	return nil, nil
}

// report returns the next report that isn't a heartbeat.
func (f *following) report() *wire.DaemonReport {
	f.t.Helper()
	for {
		m, err := f.stream.Recv()
		if err != nil {
			f.t.Fatal(err)
		}
		if m.Heartbeat == nil {
			return m
		}
	}
}

func (f *following) assign(jobs ...wire.Assignment) {
	f.t.Helper()
	if err := f.send(&wire.Assignments{ClusterID: "cluster", Jobs: jobs}); err != nil {
		f.t.Fatal(err)
	}
}

// pid reads the process id from the address of a process that is ready.
func pid(t *testing.T, m *wire.DaemonReport) int {
	t.Helper()
	if m.Ready == nil || m.Ready.Incarnation != 7 || m.Ready.Slots != 2 {
		t.Fatalf("the report is %+v", m)
	}
	n, err := strconv.Atoi(strings.TrimPrefix(m.Ready.Address, "pid:"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// gone waits until a process isn't there any more.
func gone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// A daemon runs what it is assigned, starts a process that was killed again,
// keeps it over a change of leader, and ends it when it isn't assigned any more.
func TestDaemon(t *testing.T) {
	l, job := newLeader(t)
	stop := start(t, l.config(t))
	f, reg := l.next(t)
	if reg.ID != "e1" || reg.Slots != 2 || reg.ClusterID != "" || reg.Platform != binaries.ThisPlatform() {
		t.Errorf("it registers as %+v", reg)
	}
	f.assign(job)
	first := f.report()
	if err := syscall.Kill(pid(t, first), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if x := f.report().Exited; x == nil || x.Process != first.Ready.Process || x.Crashes != 1 || x.Fatal || !strings.Contains(x.Reason, "killed") {
		t.Fatalf("after a kill it reports %+v", x)
	}
	second := f.report()
	if pid(t, second) == pid(t, first) || second.Ready.Process == first.Ready.Process {
		t.Error("the process that was killed is ready again")
	}

	f.end <- wire.ErrNotLeader
	g, again := l.next(t)
	if again.Start != reg.Start || again.ClusterID != "cluster" {
		t.Errorf("to the next leader it registers as %+v", again)
	}
	g.assign(job)
	if m := g.report(); m.Ready == nil || *m.Ready != *second.Ready {
		t.Errorf("the next leader is told %+v", m)
	}
	g.assign()
	gone(t, pid(t, second))

	g.assign(job)
	third := pid(t, g.report())
	if err := stop(); err != nil {
		t.Error(err)
	}
	gone(t, third)
}

// Refusals that no other try would change end the daemon.
func TestRefused(t *testing.T) {
	for _, refusal := range []error{wire.ErrOtherCluster, wire.ErrInvalid} {
		t.Run(refusal.Error(), func(t *testing.T) {
			l, _ := newLeader(t)
			done := make(chan error, 1)
			go func() { done <- worker.Run(t.Context(), l.config(t)) }()
			f, _ := l.next(t)
			f.end <- refusal
			select {
			case err := <-done:
				if !errors.Is(err, refusal) {
					t.Errorf("it ends with %v", err)
				}
			case <-time.After(patience):
				t.Fatal("it goes on")
			}
		})
	}
}

func TestBadConfig(t *testing.T) {
	l, _ := newLeader(t)
	for name, c := range map[string]struct {
		change func(*worker.Config)
		want   error
	}{
		"no slots":         {func(c *worker.Config) { c.Slots = 0 }, wire.ErrInvalid},
		"no id":            {func(c *worker.Config) { c.ID = "" }, wire.ErrInvalid},
		"no host":          {func(c *worker.Config) { c.Listen = "0.0.0.0:0" }, wire.ErrInvalid},
		"off loopback":     {func(c *worker.Config) { c.Listen = "192.0.2.1:0" }, wire.ErrInsecure},
		"no drivers":       {func(c *worker.Config) { c.Master = " , " }, wire.ErrInvalid},
		"a wrong token":    {func(c *worker.Config) { c.Security = security.Security{}.WithToken("other") }, wire.ErrUnauthenticated},
		"a file as folder": {func(c *worker.Config) { c.Data = "/dev/null" }, worker.ErrDataDir},
		"a folder for all": {func(c *worker.Config) {
			if err := os.Chmod(c.Data, 0o777); err != nil {
				t.Fatal(err)
			}
		}, wire.ErrInsecure},
		"another's folder": {func(c *worker.Config) {
			b := []byte(`{"format":1,"executor":"e2"}`)
			if err := os.WriteFile(filepath.Join(c.Data, "identity.json"), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, worker.ErrDataDir},
		"a damaged identity": {func(c *worker.Config) {
			if err := os.WriteFile(filepath.Join(c.Data, "identity.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, worker.ErrDataDir},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := l.config(t)
			c.change(&cfg)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := worker.Run(ctx, cfg); !errors.Is(err, c.want) {
				t.Errorf("it ends with %v, expected %v", err, c.want)
			}
		})
	}
}

// What is wrong with the daemon's disk is no refusal: the job is tried again.
func TestDiskTrouble(t *testing.T) {
	l, job := newLeader(t)
	c := l.config(t)
	block := filepath.Join(c.Data, "jobs", "7")
	if err := os.MkdirAll(filepath.Dir(block), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(block, nil, 0o600); err != nil { // where the job's directory should be
		t.Fatal(err)
	}
	start(t, c)
	f, _ := l.next(t)
	f.assign(job)
	for range 3 {
		if x := f.report().Exited; x == nil || x.Fatal || !strings.Contains(x.Reason, "jobs/7") {
			t.Fatalf("it reports %+v", x)
		}
	}
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	m := f.report()
	for m.Exited != nil && !m.Exited.Fatal {
		m = f.report()
	}
	pid(t, m)
}

// A program that doesn't fit on the daemon's disk is waited for: the leader is
// told why, and the job runs when there is room.
func TestFullDisk(t *testing.T) {
	l, job := newLeader(t)
	c := l.config(t)
	dir, grow := disktest.Small(t, "4m")
	c.Data = dir
	start(t, c)
	f, _ := l.next(t)
	f.assign(job)
	if x := f.report().Exited; x == nil || x.Fatal || !strings.Contains(x.Reason, dir) || !strings.Contains(x.Reason, "make room") {
		t.Fatalf("it reports %+v", x)
	}
	grow("512m")
	for {
		m := f.report()
		if m.Exited != nil && !m.Exited.Fatal {
			continue // it tried again before
		}
		pid(t, m)
		return
	}
}

// A daemon that can't write down which cluster it follows ends.
func TestFullDiskAtFirst(t *testing.T) {
	l, job := newLeader(t)
	c := l.config(t)
	dir, _ := disktest.Small(t, "1m")
	c.Data = dir
	done := make(chan error, 1)
	go func() { done <- worker.Run(t.Context(), c) }()
	f, _ := l.next(t)
	free, err := disk.Free(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, free), 0o600); err != nil {
		t.Fatal(err)
	}
	f.assign(job)
	select {
	case err := <-done:
		if !errors.Is(err, worker.ErrDataDir) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}

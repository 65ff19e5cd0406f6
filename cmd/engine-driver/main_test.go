package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/disk/disktest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// daemonEnv makes the test's binary an engine-driver with the arguments in it.
const daemonEnv = "ENGINE_DRIVER_TEST_ARGS"

// batches is how many batches the job of the tests has.
const batches = 100

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(role.Env) == role.Driver:
		if err := drive(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case os.Getenv(daemonEnv) != "":
		os.Args = append(os.Args[:1], strings.Fields(os.Getenv(daemonEnv))...)
		main()
	default:
		os.Exit(m.Run())
	}
}

// stubborn is the argument of a job that doesn't end when it is asked to.
const stubborn = "stubborn"

// drive is the job: it goes on after the last batch, until there are enough.
func drive(ctx context.Context) error {
	p, err := role.OpenParent()
	if err != nil {
		return err
	}
	go func() { <-p.Gone(); os.Exit(3) }() // ends with the process
	c := wire.JobLogClient{CC: p.CC}
	spec, err := c.Attach(ctx, &wire.AttachDriver{Name: "test"})
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("test-%d", spec.Job.Incarnation); os.Args[0] != want {
		return fmt.Errorf("the process is named %q, not %q", os.Args[0], want)
	}
	events, err := c.Events(ctx)
	if err != nil {
		return err
	}
	first, err := events.Recv()
	if err != nil {
		return err
	}
	if len(os.Args) > 1 && os.Args[1] == stubborn {
		signal.Ignore(syscall.SIGTERM)
	}
	epoch, last := first.Activated.Epoch, uint64(0)
	entries, err := c.Recover(ctx, &wire.RecoverRequest{Epoch: epoch})
	for err == nil {
		var e *wire.LogEntry
		if e, err = entries.Recv(); err == nil && e.Last != nil {
			last = e.Last.Seq
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	for seq := last + 1; seq <= batches; seq++ {
		<-tick.C
		done := []wire.Completion{{Seq: seq - 1, Output: wire.AllOutputs}}
		if err := c.Allocate(ctx, &wire.AllocateRequest{Epoch: epoch, Seq: seq, Allocation: []byte{byte(seq)}, Completions: done}); err != nil {
			return err
		}
	}
	return c.Finish(ctx, &wire.FinishRequest{Epoch: epoch})
}

// cluster starts drivers with their data in dir and returns them by address.
func cluster(t *testing.T, n int, dir string) (map[string]*exec.Cmd, *rpc.Cluster) {
	t.Helper()
	var addresses, peers []string
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		peers = append(peers, fmt.Sprintf("d%d=%s", i, l.Addr()))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tokenFile := filepath.Join(t.TempDir(), "token")
	token, err := security.LoadToken(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	drivers := make(map[string]*exec.Cmd)
	for i, a := range addresses {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=--id d%d --peers %s --data %s --token-file %s", daemonEnv, i, strings.Join(peers, ","), filepath.Join(dir, fmt.Sprint(i)), tokenFile))
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		drivers[a] = cmd
	}
	c, err := rpc.NewCluster(strings.Join(addresses, ","), security.Security{}.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return drivers, c
}

// submit submits this test's binary.
func submit(ctx context.Context, cc grpc.ClientConnInterface, args ...string) (uint64, error) {
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		return 0, err
	}
	s, err := wire.ControlClient{CC: cc}.Submit(ctx)
	if err != nil {
		return 0, err
	}
	send := func(p *wire.SubmitPart) error {
		err := s.Send(p)
		if errors.Is(err, io.EOF) { // the server has ended the stream; Recv says why
			_, err = s.Recv()
		}
		return err
	}
	sum := sha256.Sum256(program)
	if err := send(&wire.SubmitPart{Begin: &wire.SubmitBegin{Submission: "once", Name: "test", Args: args, Binary: hex.EncodeToString(sum[:]), Size: int64(len(program))}}); err != nil {
		return 0, err
	}
	a, err := s.Recv()
	if err != nil {
		return 0, err
	}
	for a.Need && len(program) > 0 {
		n := min(wire.ChunkSize, len(program))
		if err := send(&wire.SubmitPart{Chunk: program[:n]}); err != nil {
			return 0, err
		}
		program = program[n:]
	}
	if err := send(&wire.SubmitPart{Commit: true}); err != nil {
		return 0, err
	}
	if a, err = s.Recv(); err != nil {
		return 0, err
	}
	return a.Incarnation, nil
}

// A job goes on where it was when the leader is killed, under a new epoch.
func TestLeaderIsKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	drivers, c := cluster(t, 3, t.TempDir())
	var job uint64
	take := func(ctx context.Context, cc grpc.ClientConnInterface) (err error) {
		job, err = submit(ctx, cc)
		return err
	}
	if err := c.Do(ctx, 30*time.Second, take); err != nil {
		t.Fatal(err)
	}
	once := job
	if err := c.Do(ctx, 30*time.Second, take); err != nil || job != once {
		t.Fatalf("submitted again it is job %d, not %d: %v", job, once, err)
	}
	var killed uint64 // epoch of the driver that died
	watch := func(ctx context.Context, cc grpc.ClientConnInterface) error {
		s, err := wire.ControlClient{CC: cc}.Watch(ctx, wire.JobRef{Incarnation: job})
		for err == nil {
			var st *wire.JobStatus
			if st, err = s.Recv(); err != nil {
				break
			}
			if st.State.Final() {
				if st.State != wire.JobFinished || st.LastBatch != batches || st.Epoch == killed || killed == 0 {
					t.Errorf("it ended as %+v", st)
				}
				return nil
			}
			if killed == 0 && st.LastBatch > 10 {
				killed = st.Epoch
				_, leader, err := c.Leader(ctx)
				if err != nil {
					return err
				}
				if err := drivers[leader].Process.Kill(); err != nil {
					return err
				}
			}
		}
		return err
	}
	if err := c.Do(ctx, 30*time.Second, watch); err != nil {
		t.Fatal(err)
	}
}

// A driver that waits for its jobs to finish what is planned ends at once when it
// is signalled again.
func TestSecondSignalEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	drivers, c := cluster(t, 1, t.TempDir())
	if err := c.Do(ctx, 30*time.Second, func(ctx context.Context, cc grpc.ClientConnInterface) error {
		job, err := submit(ctx, cc, stubborn)
		if err != nil {
			return err
		}
		s, err := wire.ControlClient{CC: cc}.Watch(ctx, wire.JobRef{Incarnation: job})
		for err == nil {
			var st *wire.JobStatus
			if st, err = s.Recv(); err == nil && st.LastBatch > 0 {
				return nil
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, d := range drivers {
		ended := make(chan error, 1)
		go func() { ended <- d.Wait() }()
		again := time.NewTicker(50 * time.Millisecond) // the first signal is taken, any of the others ends it
		defer again.Stop()
		for done := false; !done; {
			_ = d.Process.Signal(syscall.SIGTERM) // it may have ended
			select {
			case <-ended:
				done = true
			case <-again.C:
			}
		}
		if status := d.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
			t.Errorf("it ended with %s", d.ProcessState)
		}
	}
}

// A job whose files can't be made on the leader's disk waits for room; that isn't a
// crash of its driver.
func TestJobOnFullDisk(t *testing.T) {
	for name, spare := range map[string]int{"for its log": 1, "for its working directory": 3} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			dir, _ := disktest.Small(t, "800m", "nr_inodes=200")
			_, c := cluster(t, 1, dir)
			var job uint64
			var ballast []string
			err := c.Do(ctx, 30*time.Second, func(ctx context.Context, cc grpc.ClientConnInterface) (err error) {
				if _, err := (wire.ControlClient{CC: cc}).Jobs(ctx); err != nil {
					return err // it doesn't lead yet
				}
				ballast = fillInodes(t, dir, ballast, spare)
				job, err = submit(ctx, cc)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			waited := false
			err = c.Do(ctx, 30*time.Second, func(ctx context.Context, cc grpc.ClientConnInterface) error {
				s, err := wire.ControlClient{CC: cc}.Watch(ctx, wire.JobRef{Incarnation: job})
				for err == nil {
					var st *wire.JobStatus
					if st, err = s.Recv(); err != nil {
						break
					}
					if st.State.Final() {
						if st.State != wire.JobFinished || st.LastBatch != batches {
							t.Errorf("it ended as %+v", st)
						}
						return nil
					}
					if !waited && strings.Contains(st.Trouble, "no space left") && strings.Contains(st.Trouble, dir) {
						if waited = true; st.Epoch != 0 {
							t.Errorf("a driver was assigned: %+v", st)
						}
						for _, path := range ballast {
							if err := os.Remove(path); err != nil {
								t.Error(err)
							}
						}
					}
				}
				return err
			})
			if err != nil || !waited {
				t.Fatalf("it waited: %t; %v", waited, err)
			}
		})
	}
}

// fillInodes makes files, beside some, until only spare more can be made.
func fillInodes(t *testing.T, dir string, files []string, spare int) []string {
	t.Helper()
	for {
		path := filepath.Join(dir, fmt.Sprint("ballast-", len(files)))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			break
		}
		files = append(files, path)
	}
	for _, path := range files[len(files)-spare:] {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	return files[:len(files)-spare]
}

func TestWrongUse(t *testing.T) {
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"--help":                             {0, "Three on one machine"},
		"-h":                                 {0, "\n  --peers id=host:port"},
		"help":                               {0, "Three on one machine"},
		"--version":                          {0, "engine-driver: "},
		"--id a --data x --perrs a=1:2":      {2, "unknown flag --perrs; did you mean --peers?"},
		"--id a --data x --listen localhost": {2, `--listen: address "localhost": missing port in address; it takes host:port`},
		"--id a --data x --peers a=1:2 --tls-ca ca.pem": {2, "takes --tls-ca, --tls-cert and --tls-key"},
		"":                               {2, "--id is missing"},
		"--id a":                         {2, "--data is missing"},
		"--id a --data x":                {2, "--peers is missing, or --listen"},
		"--id a --data x --listen y b":   {2, "no argument"},
		"--id a --data x --log-level no": {2, "log-level"},
		"--id a --data x --listen y --heartbeat-timeout 5ms": {2, "is not between 50ms and 2s"},
		"--id a --data x --peers b":                          {2, "id=host:port"},
	} {
		t.Run(args, func(t *testing.T) {
			t.Setenv("HIBANA_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
			var out strings.Builder
			if code := run(t.Context(), strings.Fields(args), &out, &out); code != want.code || !strings.Contains(out.String(), want.says) {
				t.Errorf("exit status %d, %s", code, out.String())
			}
		})
	}
}

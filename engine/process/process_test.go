package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// shell is a spec of a process that runs a script.
func shell(script string, out io.Writer) Spec {
	return Spec{
		Path: "/bin/sh", Name: "program", Args: []string{"-c", script}, Role: wire.RoleDriver,
		Output: out, Serve: func(grpc.ServiceRegistrar) {},
	}
}

// A process finds the role, the socket and the niceness that it was promised.
func TestRunGivesWhatWasPromised(t *testing.T) {
	t.Setenv(wire.RoleEnv, "an inherited role")
	var out bytes.Buffer
	s := shell(`echo "$HIBANA_ROLE $EXTRA $0"; [ -S /proc/self/fd/3 ] && echo socket; pwd; sleep 0.05; nice`, &out)
	s.Dir, s.Nice, s.Env = t.TempDir(), 7, []string{"EXTRA=more"}
	s.Args = append(s.Args, "zero")
	exit, err := Run(t.Context(), s)
	if err != nil || exit.Err() != nil || !exit.Clean {
		t.Fatal(exit, err)
	}
	if want := "driver more zero\nsocket\n" + s.Dir + "\n7\n"; out.String() != want {
		t.Errorf("it printed %q, want %q", out.String(), want)
	}
}

func TestRunSaysHowItEnded(t *testing.T) {
	tests := []struct {
		script, status, words string
		clean                 bool
	}{
		{"echo fine", "exit status 0", "fine", true},
		{"echo oops >&2; exit 3", "exit status 3", "oops", false},
		{"kill -9 $$", "signal: killed", "", false},
		{"echo panic: no; echo; echo goroutine 1; exit 2", "exit status 2", "panic: no\n\ngoroutine 1", false},
	}
	for _, tt := range tests {
		exit, err := Run(t.Context(), shell(tt.script, io.Discard))
		if err != nil || exit.Status != tt.status || exit.LastWords != tt.words || exit.Clean != tt.clean {
			t.Errorf("%s: %+v, %v", tt.script, exit, err)
		}
		if err := exit.Err(); (err == nil) != tt.clean || err != nil && !strings.Contains(err.Error(), tt.status) {
			t.Errorf("%s: error %v", tt.script, err)
		}
	}
}

func TestRunOfWhatCantBeStarted(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, filepath.Join(t.TempDir(), "missing"), t.TempDir()} {
		s := shell("", io.Discard)
		s.Path = path
		if _, err := Run(t.Context(), s); !errors.Is(err, wire.ErrBinary) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// firstLine hands on the first line that is written to it.
type firstLine struct {
	buf  bytes.Buffer
	line chan string
}

func newFirstLine() *firstLine { return &firstLine{line: make(chan string, 1)} }

func (w *firstLine) Write(b []byte) (int, error) {
	w.buf.Write(b)
	if line, rest, ok := strings.Cut(w.buf.String(), "\n"); ok && rest == "" {
		select {
		case w.line <- line:
		default:
		}
	}
	return len(b), nil
}

// When its context ends a process is given its patience, then it is killed, and
// what it started with it.
func TestRunEnds(t *testing.T) {
	tests := []struct {
		name, script string
		patience     time.Duration
		status       string
	}{
		{"at once", "sleep 600 & echo $!; wait", 0, "signal: killed"},
		{"by itself, because the socket closed", "sleep 600 & echo $!; cat <&3", time.Minute, "exit status 0"},
		{"after its patience", "sleep 600 & echo $!; wait", 10 * time.Millisecond, "signal: killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			out := newFirstLine()
			s := shell(tt.script, out)
			s.Patience = tt.patience
			var child int
			go func() {
				child, _ = strconv.Atoi(<-out.line)
				cancel()
			}()
			exit, err := Run(ctx, s)
			if err != nil || exit.Status != tt.status {
				t.Errorf("%+v, %v", exit, err)
			}
			for deadline := time.Now().Add(5 * time.Second); alive(child); {
				if time.Now().After(deadline) {
					t.Fatalf("process %d, which it had started, still runs", child)
				}
			}
		})
	}
}

// alive reports whether a process runs; one that waits to be reaped doesn't.
func alive(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return pid != 0 && !strings.HasPrefix(after, "Z") && syscall.Kill(pid, 0) == nil
}

func TestRunStops(t *testing.T) {
	stop := make(chan struct{})
	out := newFirstLine()
	s := shell(`trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.01; done`, out)
	s.Stop = stop
	go func() {
		<-out.line
		close(stop)
	}()
	exit, err := Run(t.Context(), s)
	if err != nil || !exit.Clean || !strings.HasSuffix(exit.LastWords, "asked") {
		t.Errorf("%+v, %v", exit, err)
	}
}

// worker is a service for a process to call.
type worker struct{ wire.WorkerServer }

func (worker) Attach(context.Context, *wire.AttachExecutor) (*wire.ExecutorSpec, error) {
	return &wire.ExecutorSpec{Executor: "e1"}, nil
}

// attachEnv makes the test's binary play a job's process.
const attachEnv = "HIBANA_TEST_ATTACH"

func TestRunServes(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	exit, err := Run(t.Context(), Spec{
		Path: self, Args: []string{"-test.run=^TestAttach$"}, Env: []string{attachEnv + "=1"}, Role: wire.RoleExecutor,
		Output: io.Discard, Serve: func(r grpc.ServiceRegistrar) { wire.RegisterWorker(r, worker{}) },
	})
	if err != nil || !exit.Clean || !strings.Contains(exit.LastWords, "I am e1") {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestAttach is the process of TestRunServes.
func TestAttach(t *testing.T) {
	if os.Getenv(attachEnv) == "" {
		return // this is the test's own process
	}
	parent, err := wire.OpenParent()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Close() }()
	spec, err := wire.WorkerClient{CC: parent.CC}.Attach(t.Context(), &wire.AttachExecutor{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdout.WriteString("I am " + spec.Executor + "\n")
}

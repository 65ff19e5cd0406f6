package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
)

// shell is a spec of a process that runs a script.
func shell(script string, out io.Writer) Spec {
	return Spec{
		Path: "/bin/sh", Name: "program", Args: []string{"-c", script}, Role: role.Driver,
		Output: out, Serve: func(grpc.ServiceRegistrar) {},
	}
}

// A process finds the role, the socket and the niceness that it was promised.
func TestRunGivesWhatWasPromised(t *testing.T) {
	t.Setenv(role.Env, "an inherited role")
	var out bytes.Buffer
	s := shell(`echo "$HIBANA_ROLE $EXTRA $0"; [ -S /proc/self/fd/3 ] && echo socket; pwd; sleep 0.05; nice`, &out)
	s.Dir, s.Nice, s.Env = t.TempDir(), 7, append(os.Environ(), "EXTRA=more")
	s.Args = append(s.Args, "zero")
	exit, err := Run(t.Context(), s)
	if err != nil || !exit.Clean {
		t.Fatal(exit, err)
	}
	if want := "driver more zero\nsocket\n" + s.Dir + "\n7\n"; out.String() != want {
		t.Errorf("it printed %q, want %q", out.String(), want)
	}
}

// A process gets the environment that it is given and the descriptors that are its own:
// neither what this process's environment has more, nor the files that it has inherited.
func TestRunGivesNothingElse(t *testing.T) {
	t.Setenv("CLOUD_KEY", "hunter2")
	inherited, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, inherited.Fd(), syscall.F_SETFD, 0); errno != 0 { // as from a shell
		t.Fatal(errno)
	}
	var out bytes.Buffer
	s := shell(`env | grep CLOUD_KEY; [ -e /proc/$$/fd/3 ] && echo socket; [ -e /proc/$$/fd/$0 ] && echo leaked`, &out)
	s.Args = append(s.Args, strconv.Itoa(int(inherited.Fd())))
	s.Env = []string{"PATH=" + os.Getenv("PATH")}
	if exit, err := Run(t.Context(), s); err != nil || out.String() != "socket\n" {
		t.Errorf("it printed %q; %v, %v", out.String(), exit, err)
	}
}

func TestEnviron(t *testing.T) {
	for name, value := range map[string]string{
		"LC_TIME": "C", "TZ": "UTC", "AWS_SECRET_ACCESS_KEY": "s", "HIBANA_TOKEN_FILE": "/t", "REGION": "eu", "PATHS": "x",
	} {
		t.Setenv(name, value)
	}
	env := Environ([]string{"REGION", "MISSING"})
	for _, want := range []string{"LC_TIME=C", "TZ=UTC", "REGION=eu", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(env, want) {
			t.Errorf("%s isn't in %q", want, env)
		}
	}
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "HIBANA_TOKEN_FILE", "PATHS", "MISSING"} {
		if slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, name+"=") }) {
			t.Errorf("%s is in %q", name, env)
		}
	}
	for name, ok := range map[string]bool{"REGION": true, "": false, "A=b": false, role.Env: false} {
		if err := CheckPass(name); (err == nil) != ok || !ok && !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("--pass-env %q: %v", name, err)
		}
	}
}

func TestRunSaysHowItEnded(t *testing.T) {
	tests := []struct {
		script, status, words string
		clean, byItself       bool
	}{
		{"echo fine", "exit status 0", "fine", true, true},
		{"echo oops >&2; exit 3", "exit status 3", "oops", false, true},
		{"exit 130", "exit status 130", "", false, false}, // a program that caught the signal
		{"kill -9 $$", "signal: killed", "", false, false},
		{"kill -TERM $$", "signal: terminated", "", false, false},
		{"ulimit -c 0; kill -SEGV $$", "signal: segmentation fault", "", false, true},
		{"echo panic: no; echo; echo goroutine 1; exit 2", "exit status 2", "panic: no\n\ngoroutine 1", false, true},
	}
	for _, tt := range tests {
		exit, err := Run(t.Context(), shell(tt.script, io.Discard))
		if err != nil || exit.Status != tt.status || exit.LastWords != tt.words || exit.Clean != tt.clean || exit.ByItself != tt.byItself {
			t.Errorf("%s: %+v, %v", tt.script, exit, err)
		}
	}
}

// A process that the kernel kills for want of memory has itself to blame.
func TestOutOfMemory(t *testing.T) {
	for _, starved := range []bool{false, true} {
		e := Exit{Status: "signal: killed"}
		e.blame(syscall.WaitStatus(syscall.SIGKILL), starved)
		if e.ByItself != starved || strings.Contains(e.Status, "out of memory") != starved || strings.Contains(e.String(), "killed by somebody, not for want of memory") == starved {
			t.Errorf("the kernel has killed for want of memory: %t; %+v", starved, e)
		}
	}
}

// The kernel counts what it kills in the cgroup of either version, where there is one.
func TestCountOfKills(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("jobs/a/memory.events", "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n")
	write("memory.events", "oom_kill 9\n")
	write("memory/jobs/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n")
	for own, want := range map[string]int{
		"0::/jobs/a\n":                       2,
		"0::/gone\n":                         9, // a container's paths are its own
		"5:cpu:/\n4:memory:/jobs/a\n0::/b\n": 5,
	} {
		got := -1
		for _, path := range memoryFiles(root, own) {
			if kills, ok := oomKills(path); ok {
				got = kills
				break
			}
		}
		if got != want {
			t.Errorf("%q: %d kills, want %d", own, got, want)
		}
	}
	if _, ok := oomKills(filepath.Join(root, "none")); ok {
		t.Error("a file that isn't there counts")
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

// A program that lacks the loader of its C library says so, and what to do.
func TestRunWithoutInterpreter(t *testing.T) {
	loader := "/no/such/loader.so"
	program := make([]byte, 64+56, 64+56+len(loader)+1)
	copy(program, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(program[16:], 2)  // an executable
	le.PutUint16(program[18:], 62) // for amd64
	if runtime.GOARCH == "arm64" {
		le.PutUint16(program[18:], 183)
	}
	le.PutUint32(program[20:], 1)
	le.PutUint64(program[32:], 64) // the program headers' place, size and number
	le.PutUint16(program[52:], 64)
	le.PutUint16(program[54:], 56)
	le.PutUint16(program[56:], 1)
	le.PutUint16(program[58:], 64) // the size of a section's header
	le.PutUint32(program[64:], 3)  // PT_INTERP
	le.PutUint64(program[64+8:], 64+56)
	le.PutUint64(program[64+32:], uint64(len(loader)+1))
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, append(append(program, loader...), 0), 0o700); err != nil {
		t.Fatal(err)
	}
	s := shell("", io.Discard)
	s.Path = path
	_, err := Run(t.Context(), s)
	if !errors.Is(err, wire.ErrBinary) || !strings.Contains(err.Error(), loader) || !strings.Contains(err.Error(), "CGO_ENABLED=0 go build") {
		t.Error(err)
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
	if line, _, ok := strings.Cut(w.buf.String(), "\n"); ok {
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
			if err != nil || exit.Status != tt.status || exit.ByItself {
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
	if err != nil || !exit.Clean || exit.ByItself || !strings.HasSuffix(exit.LastWords, "asked") {
		t.Errorf("%+v, %v", exit, err)
	}
}

// worker is a service for a process to call.
type worker struct{ wire.WorkerServer }

func (worker) Attach(context.Context, *wire.AttachExecutor) (*wire.ExecutorSpec, error) {
	return &wire.ExecutorSpec{Executor: "e1"}, nil
}

// childEnv makes the test's binary play a job's process, of the given kind.
const childEnv = "HIBANA_TEST_CHILD"

// child is a spec of a process that the test's binary plays, see TestChild.
func child(t *testing.T, kind string, out io.Writer) Spec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{
		Path: self, Args: []string{"-test.run=^TestChild$"}, Env: []string{childEnv + "=" + kind, "GOMAXPROCS=1"}, Role: role.Executor,
		Output: out, Serve: func(r grpc.ServiceRegistrar) { wire.RegisterWorker(r, worker{}) },
	}
}

// longest is longer than a connection is kept of which nothing is heard.
const longest = 6 * time.Second

func TestRunServes(t *testing.T) {
	for _, kind := range []string{"quick", "slow to start", "busy"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			exit, err := Run(t.Context(), child(t, kind, io.Discard))
			if err != nil || !exit.Clean || exit.Hung || !strings.Contains(exit.LastWords, "I am e1") {
				t.Errorf("%+v, %v", exit, err)
			}
		})
	}
}

// TestChild is the process of other tests.
func TestChild(t *testing.T) {
	kind := os.Getenv(childEnv)
	switch kind {
	case "": // this is the test's own process
		return
	case "slow to start":
		time.Sleep(longest) // as a program that reads a large file before it becomes a job
	}
	parent, err := role.OpenParent()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Close() }()
	spec, err := wire.WorkerClient{CC: parent.CC}.Attach(t.Context(), &wire.AttachExecutor{})
	if err != nil {
		t.Fatal(err)
	}
	if kind == "busy" {
		for began := time.Now(); time.Since(began) < longest; { // as a program that is built
		}
	}
	_, _ = os.Stdout.WriteString("I am " + spec.Executor + "\n")
	if kind == "stopped" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
}

// A process that hangs, or that never speaks over its socket, is killed.
func TestRunEndsWhatHangs(t *testing.T) {
	silent := shell("sleep 600", io.Discard)
	silent.Start = 10 * time.Millisecond
	for name, s := range map[string]Spec{"silent": silent, "stopped": child(t, "stopped", io.Discard)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			exit, err := Run(ctx, s)
			if err != nil || !exit.Hung || exit.ByItself || !strings.HasPrefix(exit.String(), "signal: killed, because it didn't answer") {
				t.Errorf("%+v, %v", exit, err)
			}
		})
	}
}

// Package cluster_test tests the script that runs a cluster on one machine.
package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// result is what the script says and how it ends.
type result struct {
	stdout, stderr string
	code           int
}

// command is the script with its state below home and none of its settings but env's,
// to be run in home.
func command(t *testing.T, home string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash:", err)
	}
	script, err := filepath.Abs("cluster")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil { // so that go test runs again when it changes
		t.Fatal(err)
	}
	cmd := exec.Command(bash, append([]string{script}, args...)...)
	cmd.Dir = home
	cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "HIBANA_") })
	cmd.Env = append(append(cmd.Env, "HOME="+home, "XDG_STATE_HOME="), env...)
	return cmd
}

// runWith runs the script, see command.
func runWith(t *testing.T, home string, env []string, args ...string) result {
	t.Helper()
	cmd := command(t, home, env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// run is runWith without settings; it returns all that the script says.
func run(t *testing.T, home string, args ...string) string {
	t.Helper()
	r := runWith(t, home, nil, args...) // status fails where nothing runs
	return r.stdout + r.stderr
}

func TestDefaultDirectory(t *testing.T) {
	home := t.TempDir()
	want := "there is no cluster in " + filepath.Join(home, ".local/state/hibana/cluster")
	if got := run(t, home, "status"); !strings.Contains(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// What somebody else may have put into the directory isn't run.
func TestSettingsAreNotRun(t *testing.T) {
	nobody := 65534
	for name, c := range map[string]struct {
		mode     os.FileMode
		owner    int // -1: this user
		settings string
		says     string
	}{
		"settings of the script":      {0o700, -1, "kafka_port=9092 driver_port=29077 slots=2 brokers=127.0.0.1:9", "Kafka is yours, at 127.0.0.1:9"},
		"settings in lines":           {0o700, -1, "kafka_port=9092\nbrokers=127.0.0.1:9", "Kafka is yours, at 127.0.0.1:9"},
		"a command":                   {0o700, -1, "touch MARK", "touch"},
		"a command for a value":       {0o700, -1, "driver_port=$(touch${IFS}MARK)", "HIBANA_DRIVER_PORT"},
		"a command in an index":       {0o700, -1, "kafka_port=x[$(touch${IFS}MARK)]", "HIBANA_KAFKA_PORT"},
		"another variable":            {0o700, -1, "PATH=/tmp", "PATH=/tmp"},
		"a directory open to others":  {0o777, -1, "touch MARK", "others may write"},
		"a directory of a group":      {0o770, -1, "touch MARK", "others may write"},
		"a directory of another user": {0o755, nobody, "touch MARK", "belongs to"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir, mark := filepath.Join(root, "cluster"), filepath.Join(root, "mark")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "settings"), []byte(strings.ReplaceAll(c.settings, "MARK", mark)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, c.mode); err != nil {
				t.Fatal(err)
			}
			if c.owner >= 0 {
				if os.Geteuid() != 0 {
					t.Skip("only root gives directories away")
				}
				if err := os.Chown(dir, c.owner, c.owner); err != nil {
					t.Fatal(err)
				}
			}
			if got := run(t, root, "status", dir); !strings.Contains(got, c.says) {
				t.Errorf("it says %q, want %q", got, c.says)
			}
			if _, err := os.Stat(mark); err == nil {
				t.Error("the command was run")
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-h", "help"} {
		if r := runWith(t, t.TempDir(), nil, arg); r.code != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, "usage: cluster start [DIR]") {
			t.Errorf("%s: %+v", arg, r)
		}
	}
}

// A wrong command line does nothing but say what is wrong.
func TestWrongCommandLine(t *testing.T) {
	for args, says := range map[string]string{
		"":                  "a command is missing",
		"sttart":            "no command sttart",
		"start --foo":       "unknown flag --foo",
		"--foo":             "unknown flag --foo",
		"stop cl -x":        "unknown flag -x",
		"start cl cl2":      "start: unexpected cl2",
		"kill-one":          "kill-one: ID is missing, one of d1 d2 d3 e1 e2",
		"start-one e1 cl x": "start-one: unexpected x",
	} {
		home := t.TempDir()
		r := runWith(t, home, nil, strings.Fields(args)...)
		if r.code != 2 || r.stdout != "" || !strings.HasPrefix(r.stderr, "cluster: "+says+"\nusage: ") {
			t.Errorf("cluster %s: %+v, want %q", args, r, says)
		}
		if made, err := os.ReadDir(home); err != nil || len(made) > 0 {
			t.Errorf("cluster %s has made %v, %v", args, made, err)
		}
	}
}

// An address of Kafka that an earlier start was given is forgotten when it is empty.
func TestKafkaIsForgotten(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, "cl", "settings"), "kafka_port=9092 driver_port=29077 slots=2 brokers=127.0.0.1:9\n")
	if r := runWith(t, home, nil, "status", "cl"); !strings.Contains(r.stdout, "Kafka is yours, at 127.0.0.1:9, and does not answer\n") {
		t.Errorf("%+v", r)
	}
	if r := runWith(t, home, []string{"HIBANA_KAFKA="}, "status", "cl"); !strings.Contains(r.stdout, "Kafka does not run\n") {
		t.Errorf("%+v", r)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// fakes are programs that stand for those of a cluster, which a fake go "builds"; replace
// are some of them to have otherwise. It returns the environment in which the script uses
// them, with a Kafka that answers. What the script starts in home/cl ends with the test.
func fakes(t *testing.T, home string, replace map[string]string) (env []string) {
	t.Helper()
	programs := map[string]string{
		"go":              "mkdir -p \"$3\" && cp \"$(dirname \"$0\")\"/engine-* \"$3\"",
		"engine-driver":   "while :; do sleep 1; done",
		"engine-executor": "while :; do sleep 1; done",
		"engine-submit":   "echo e1 alive; echo e2 alive",
	}
	bin := filepath.Join(home, "fakes")
	for name, text := range programs {
		if other, ok := replace[name]; ok {
			text = other
		}
		write(t, filepath.Join(bin, name), "#!/bin/sh\n"+text+"\n")
	}
	kafka, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = kafka.Close()
		for _, pid := range pids(t, filepath.Join(home, "cl")) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HIBANA_KAFKA=" + kafka.Addr().String(), fmt.Sprint("HIBANA_DRIVER_PORT=", freePorts(t))}
}

// freePorts returns a port that nobody listens on, nor on the two after it.
func freePorts(t *testing.T) int {
	t.Helper()
	for port := 21077; port < 29000; port += 10 {
		free := true
		for i := range 3 {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+i))
			if err != nil {
				free = false
				continue
			}
			_ = l.Close()
		}
		if free {
			return port
		}
	}
	t.Fatal("no three ports are free")
	return 0
}

// pids are the numbers in the pid files of a cluster.
func pids(t *testing.T, dir string) (list []int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pid)
	}
	return list
}

// alive counts the daemons among the processes.
func alive(pids []int) (n int) {
	for _, pid := range pids {
		args, _ := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output() // fails if there is none
		if strings.Contains(string(args), " --data ") {
			n++
		}
	}
	return n
}

// A directory is the same one however it is spelled.
func TestSpellings(t *testing.T) {
	home := t.TempDir()
	env := append(fakes(t, home, nil), "COLUMNS=40") // ps cuts lines at it unless told not to
	if err := os.Symlink("cl", filepath.Join(home, "link")); err != nil {
		t.Fatal(err)
	}
	expect := func(args, says, not string) {
		t.Helper()
		r := runWith(t, home, env, strings.Fields(args)...)
		if said := r.stdout + r.stderr; r.code != 0 || !strings.Contains(said, says) || strings.Contains(said, not) {
			t.Fatalf("cluster %s: %+v, want %q and not %q", args, r, says, not)
		}
	}
	expect("start ./a/../cl", "starting d1 d2 d3 e1 e2", "already")
	started := pids(t, filepath.Join(home, "cl"))
	if len(started) != 5 || alive(started) != 5 {
		t.Fatalf("%d of %d run", alive(started), len(started))
	}
	expect("status cl", "d3 runs, process ", "does not run")
	expect("kill-one e2 .//cl/", "killed e2, process ", "does not run")
	expect("start link", "running already, with the programs that they were started with: d1 d2 d3 e1\ncluster: starting e2\n", "starting d1")
	expect("start "+home+"/cl/.", "running already, with the programs that they were started with: d1 d2 d3 e1 e2\n", "starting")
	expect("kill-one e1 cl", "killed e1, process ", "does not run")
	expect("start-one e1 link/../cl", "e1 runs, process ", "already")
	expect("start-one e1 cl", "e1 runs already, process ", "ended")
	running := pids(t, filepath.Join(home, "cl"))
	expect("stop link", "stopped; ", "no daemon")
	if n := alive(running); n > 0 {
		t.Errorf("%d daemons run on", n)
	}
	expect("stop cl", "no daemon ran in ", "killing")
}

// Daemons whose directory was moved aren't taken for ones that don't run.
func TestMovedDirectory(t *testing.T) {
	home := t.TempDir()
	env := fakes(t, home, nil)
	if r := runWith(t, home, env, "start", "cl"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	old, moved := filepath.Join(home, "cl"), filepath.Join(home, "moved")
	if err := os.Rename(old, moved); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"stop moved", "start moved", "status moved", "kill-one d1 moved", "start-one d1 moved"} {
		if r := runWith(t, home, env, strings.Fields(args)...); r.code != 1 || !strings.Contains(r.stderr, "moved/d1.pid, has its data elsewhere: ") {
			t.Errorf("cluster %s: %+v", args, r)
		}
	}
	kept := pids(t, moved)
	if err := os.Rename(moved, old); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 5 || alive(kept) != 5 {
		t.Errorf("%d of %d run", alive(kept), len(kept))
	}
	if r := runWith(t, home, env, "stop", "cl"); r.code != 0 || alive(kept) != 0 {
		t.Errorf("%+v, %d run on", r, alive(kept))
	}
}

// A number in a pid file may be that of another program by now.
func TestReusedProcessID(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, "cl", "settings"), "")
	write(t, filepath.Join(home, "cl", "d1.pid"), fmt.Sprintln(os.Getpid()))
	if r := runWith(t, home, nil, "stop", "cl"); r.code != 0 || !strings.Contains(r.stderr, "no daemon ran in ") {
		t.Errorf("%+v", r)
	}
}

func TestRunningWithOtherSettings(t *testing.T) {
	home := t.TempDir()
	env := fakes(t, home, nil)
	if r := runWith(t, home, env, "start", "cl"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if r := runWith(t, home, append(env, "HIBANA_SLOTS=7"), "start", "cl"); r.code != 1 || !strings.Contains(r.stderr, "e1 runs with other settings: ") {
		t.Errorf("%+v", r)
	}
	if r := runWith(t, home, env, "stop", "cl"); r.code != 0 {
		t.Errorf("%+v", r)
	}
}

// A start that brings nothing up says why.
func TestStartSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		replace map[string]string
		env     string
		says    []string
		code    int
	}{
		"an executor ends":      {map[string]string{"engine-executor": "echo no luck; exit 3", "engine-submit": "exit 1"}, "", []string{"e1 ended while starting, with exit code 3; ", "\nno luck\n"}, 1},
		"a driver says nothing": {map[string]string{"engine-driver": "kill -9 $$", "engine-submit": "exit 1"}, "", []string{"d1 ended while starting, with exit code 137; ", "cluster: starting d1 at "}, 1},
		"all but a driver run": {map[string]string{"engine-driver": "[ $2 != d3 ] || exit 4; while :; do sleep 1; done",
			"engine-submit": "for i in $(seq 100); do kill -0 $(cat cl/d3.pid) || break; sleep 0.1; done; echo e1 alive; echo e2 alive"}, "", []string{"d3 ended while starting, with exit code 4; "}, 1},
		"no build":   {map[string]string{"go": "exit 1"}, "", []string{"the programs could not be built"}, 1},
		"no program": {map[string]string{"go": "mkdir -p \"$3\""}, "", []string{"the start ended, with exit code 1, while building; "}, 1},
		"no Kafka":   {nil, "HIBANA_KAFKA=localhost:1,127.0.0.1:9", []string{"warning: no Kafka answers at localhost:1,127.0.0.1:9; "}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			env := fakes(t, home, c.replace)
			if c.env != "" {
				env = append(env, c.env)
			}
			r := runWith(t, home, env, "start", "cl")
			if r.code != c.code {
				t.Errorf("%+v", r)
			}
			for _, s := range c.says {
				if !strings.Contains(r.stderr, s) {
					t.Errorf("it says %q, want %q", r.stderr, s)
				}
			}
			runWith(t, home, env, "stop", "cl")
		})
	}
}

func TestInterruptedStart(t *testing.T) {
	home := t.TempDir()
	mark := filepath.Join(home, "mark")
	env := fakes(t, home, map[string]string{"go": "touch " + mark + "; while [ -e " + mark + " ]; do sleep 0.05; done; exit 1"})
	cmd := command(t, home, env, "start", "cl")
	var said bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &said, 10*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(mark); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it doesn't build")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "while building") {
		t.Errorf("%v, it says %q", err, said.String())
	}
}

// Package kafka_test tests the script that runs Kafka brokers on one machine.
package kafka_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMain is Java's place taken: called java, this program listens where the broker whose
// properties it is given would, until it is killed.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "java" {
		os.Exit(m.Run())
	}
	properties := os.Args[len(os.Args)-1]
	if err := broker(properties); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func broker(properties string) error {
	b, err := os.ReadFile(properties)
	if err != nil {
		return err
	}
	if os.Args[len(os.Args)-2] != "kafka.Kafka" { // the tool that formats a disk
		return nil
	}
	_, addr, _ := strings.Cut(string(b), "\nlisteners=PLAINTEXT://")
	addr, _, _ = strings.Cut(addr, ",")
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
}

type result struct {
	stdout, stderr string
	code           int
}

// run runs the script in home, with brokers that only listen.
func run(t *testing.T, home string, args ...string) result {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash:", err)
	}
	script, err := filepath.Abs("kafka")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(script); err != nil { // so that go test runs again when it changes
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	libs := filepath.Join(home, "libs")
	if err := os.MkdirAll(libs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(libs, ".complete"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(libs, "java")); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, append([]string{script}, args...)...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HIBANA_KAFKA_LIBS="+libs, "PATH="+libs+":"+os.Getenv("PATH"), "COLUMNS=40") // ps cuts lines at it unless told not to
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-h", "help"} {
		if r := run(t, t.TempDir(), arg); r.code != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, "usage: kafka start DIR") {
			t.Errorf("%s: %+v", arg, r)
		}
	}
}

// A wrong command line does nothing but say what is wrong.
func TestWrongCommandLine(t *testing.T) {
	for args, says := range map[string]string{
		"":                "a command is missing",
		"sttart":          "no command sttart",
		"start":           "start: DIR is missing",
		"stop":            "stop: DIR is missing",
		"start --foo":     "unknown flag --foo",
		"--foo":           "unknown flag --foo",
		"start k 1 3 x":   "start: unexpected x",
		"status k 1":      "status: unexpected 1",
		"about something": "about: unexpected something",
		"tool":            "tool: CLASS is missing",
	} {
		home := t.TempDir()
		r := run(t, home, strings.Fields(args)...)
		if r.code != 2 || r.stdout != "" || !strings.HasPrefix(r.stderr, "kafka: "+says+"\nusage: ") {
			t.Errorf("kafka %s: %+v, want %q", args, r, says)
		}
		if made, err := os.ReadDir(home); err != nil || len(made) > 1 { // libs
			t.Errorf("kafka %s has made %v, %v", args, made, err)
		}
	}
}

// A directory is the same one however it is spelled, and a broker whose directory was moved
// isn't taken for one that doesn't run.
func TestSpellings(t *testing.T) {
	home := t.TempDir()
	port := freePorts(t)
	addr := fmt.Sprint("127.0.0.1:", port)
	expect := func(args string, want result) {
		t.Helper()
		r := run(t, home, strings.Fields(args)...)
		if r.code != want.code || strings.TrimSpace(r.stdout) != want.stdout || !strings.Contains(r.stderr, want.stderr) {
			t.Errorf("kafka %s: %+v, want %+v", args, r, want)
		}
	}
	expect("stop k", result{"", "there is no directory " + home + "/k\n", 1})
	expect("start ./a/../k "+strconv.Itoa(port), result{addr, "", 0})
	t.Cleanup(func() { run(t, home, "stop", "k") })
	expect("status k", result{addr, "", 0})
	expect("status "+home+"//k/", result{addr, "", 0})
	expect("start .//k "+strconv.Itoa(port), result{addr, "", 0})

	pid := read(t, filepath.Join(home, "k", "pid"))
	if err := os.Rename(filepath.Join(home, "k"), filepath.Join(home, "moved")); err != nil {
		t.Fatal(err)
	}
	elsewhere := result{"", "has its data elsewhere, in " + home + "/k/server.properties: ", 1}
	expect("stop moved", elsewhere)
	expect("status moved", elsewhere)
	expect("start moved "+strconv.Itoa(port), elsewhere)
	if kept := read(t, filepath.Join(home, "moved", "pid")); kept != pid {
		t.Errorf("process %s was %s", kept, pid)
	}
	if err := os.Rename(filepath.Join(home, "moved"), filepath.Join(home, "k")); err != nil {
		t.Fatal(err)
	}

	expect("stop a/../k/.", result{"", "", 0})
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("the broker runs on")
	}
	expect("stop k", result{"", "no broker ran in " + home + "/k\n", 0})
	expect("status k", result{"", "no broker runs in " + home + "/k\n", 1})
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// freePorts returns a port that nobody listens on, nor on the one after it.
func freePorts(t *testing.T) int {
	t.Helper()
	for port := 22092; port < 29000; port += 10 {
		free := true
		for i := range 2 {
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
	t.Fatal("no two ports are free")
	return 0
}

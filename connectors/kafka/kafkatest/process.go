package kafkatest

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a real broker of a test's own, which it may stop, restart and kill.
type Process struct {
	*Broker
	script, dir, port string
}

// Own starts a real broker that no other test uses and stops it when the test
// ends. It takes some seconds. It skips the test where Real does.
func Own(t testing.TB) *Process {
	t.Helper()
	if os.Getenv(Env) == "" {
		t.Skipf("no broker of the test's own: %s is not set, so real brokers are not to be used here", Env)
	}
	p := &Process{script: filepath.Join(moduleRoot(t), "deploy", "kafka", "kafka"), dir: t.TempDir(), port: freePort(t)}
	t.Cleanup(func() { p.run(t, "stop", p.dir) })
	if p.Start(t); t.Failed() {
		t.FailNow()
	}
	p.Broker = newBroker(t, &Broker{Addrs: []string{"127.0.0.1:" + p.port}})
	return p
}

// Start starts the broker, with the data that it had. It may be called from any
// goroutine: a failure marks the test as failed and goes on.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	p.run(t, "start", p.dir, p.port)
}

// Stop stops the broker in good order.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.run(t, "stop", p.dir)
}

// Kill ends the broker without any order and waits until it is gone.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing the broker: %v", err)
	}
	Until(t, "the killed broker's port is free", func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+p.port, time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

func (p *Process) run(t testing.TB, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.script, args...)
	cmd.Env = append(os.Environ(), "HIBANA_KAFKA_HEAP=256m")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", p.script, strings.Join(args, " "), err, out)
	}
}

// moduleRoot is the folder above the test's that has go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err = os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		} else if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			err = nil
		}
	}
	t.Fatalf("no go.mod above the test: %v", err)
	return ""
}

// freePort is a port that is free and whose successor is, as the controller takes
// that. It lies below the ports of outgoing connections: one of those could take
// it while the broker is down.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		a, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		b, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+1))
		a.Close()
		if err == nil {
			b.Close()
			return strconv.Itoa(port)
		}
	}
	t.Fatal("no two free ports in a row")
	return ""
}

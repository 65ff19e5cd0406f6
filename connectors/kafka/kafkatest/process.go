package kafkatest

import (
	"context"
	"errors"
	"fmt"
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

// EnvCluster says that tests may start three real brokers, which takes the memory of
// three Java processes: make test-kafka sets it.
const EnvCluster = "HIBANA_KAFKA_CLUSTER"

// Process is a real Kafka of a test's own, whose brokers it may stop, restart and kill.
type Process struct {
	*Broker
	script, dir string
	port, nodes int
}

// Own starts a real broker that no other test uses and stops it when the test
// ends. It takes some seconds. It skips the test where Real does.
func Own(t testing.TB) *Process {
	t.Helper()
	if os.Getenv(Env) == "" {
		t.Skipf("no broker of the test's own: %s is not set, so real brokers are not to be used here", Env)
	}
	return own(t, 1)
}

// OwnCluster is Own with three brokers, numbered from 1, and topics of three replicas.
func OwnCluster(t testing.TB) *Process {
	t.Helper()
	if os.Getenv(EnvCluster) == "" {
		t.Skipf("three real brokers are for make test-kafka: %s is not set", EnvCluster)
	}
	if _, err := exec.LookPath("java"); err != nil {
		t.Skipf("no three real brokers: %v", err)
	}
	return own(t, 3)
}

func own(t testing.TB, nodes int) *Process {
	t.Helper()
	p := &Process{script: filepath.Join(moduleRoot(t), "deploy", "kafka", "kafka"), dir: t.TempDir(), port: freePorts(t, 2*nodes), nodes: nodes}
	t.Cleanup(func() { p.run(t, "stop", p.dir) })
	if p.Start(t); t.Failed() {
		t.FailNow()
	}
	b := &Broker{Replicas: nodes}
	for node := range nodes {
		b.Addrs = append(b.Addrs, p.addr(node+1))
	}
	p.Broker = newBroker(t, b)
	Until(t, "all brokers take part", func() bool {
		all, err := p.adm.ListBrokers(t.Context())
		return err == nil && len(all) == nodes
	})
	return p
}

// addr is a node's address.
func (p *Process) addr(node int) string { return fmt.Sprintf("127.0.0.1:%d", p.port+node-1) }

// Start starts the brokers that don't run, with the data that they had. It may be called
// from any goroutine: a failure marks the test as failed and goes on.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	p.run(t, "start", p.dir, strconv.Itoa(p.port), strconv.Itoa(p.nodes))
}

// Stop stops the broker in good order.
func (p *Process) Stop(t testing.TB) { t.Helper(); p.StopNode(t, 1) }

// StopNode stops one of the brokers in good order: others lead its partitions before it
// goes.
func (p *Process) StopNode(t testing.TB, node int) {
	t.Helper()
	p.run(t, "stop", p.dir, strconv.Itoa(node))
}

// Kill ends the broker without any order and waits until it is gone.
func (p *Process) Kill(t testing.TB) { t.Helper(); p.KillNode(t, 1) }

// KillNode ends one of the brokers without any order and waits until it is gone.
func (p *Process) KillNode(t testing.TB, node int) {
	t.Helper()
	dir := p.dir
	if p.nodes > 1 {
		dir = filepath.Join(dir, strconv.Itoa(node))
	}
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
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
		conn, err := net.DialTimeout("tcp", p.addr(node), time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

func (p *Process) run(t testing.TB, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // three start slowly on a busy machine
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

// freePorts returns the first of n ports in a row that are free: the brokers' and their
// controllers'. They lie below the ports of outgoing connections: one of those could
// take it while the broker is down.
func freePorts(t testing.TB, n int) int {
	t.Helper()
	for range 100 {
		if port := 10_000 + rand.IntN(20_000); free(port, n) {
			return port
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

func free(port, n int) bool {
	for p := port; p < port+n; p++ {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(p))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

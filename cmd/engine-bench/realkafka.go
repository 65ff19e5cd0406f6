package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// realKafka is real brokers that the benchmark starts with the repository's script: one
// number of them at a time, each time new ones.
type realKafka struct {
	script string
	dir    string // for their data and logs
	nodes  int    // that run; 0 if none do
}

// kafkaScript is where the script is in the repository.
const kafkaScript = "deploy/kafka/kafka"

// realKafkaPatience bounds a start, with the download of Kafka, and a stop.
const realKafkaPatience = 5 * time.Minute

// findRealKafka finds the script. The brokers' data and logs will be in a directory of out.
func findRealKafka(out string) (*realKafka, error) {
	script, err := inRepository(kafkaScript)
	if err != nil {
		return nil, fmt.Errorf("--kafka-nodes starts brokers, --brokers names yours: %w", err)
	}
	out, err = filepath.Abs(out)
	return &realKafka{script: script, dir: filepath.Join(out, "brokers")}, err
}

// about says which Kafka it is.
func (k *realKafka) about(ctx context.Context) (string, error) {
	s, err := k.run(ctx, "about")
	return s + ", started on this machine", err
}

// start ends the brokers that run and starts new ones.
func (k *realKafka) start(ctx context.Context, nodes int) (addr string, err error) {
	if err := errors.Join(k.end(ctx), os.RemoveAll(k.dir)); err != nil { // those of a benchmark that was killed too
		return "", err
	}
	port, err := freePorts(2 * nodes) // theirs and their controllers'
	if err != nil {
		return "", err
	}
	addr, err = k.run(ctx, "start", k.dir, strconv.Itoa(port), strconv.Itoa(nodes))
	if err != nil {
		return "", fmt.Errorf("starting Kafka nodes (%d): %w", nodes, err)
	}
	k.nodes = nodes
	return addr, nil
}

// stop ends the brokers, also after an interrupt, and removes their data, and their logs
// unless one of them had ended by itself.
func (k *realKafka) stop(ctx context.Context) error {
	if _, err := os.Stat(k.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, ended := k.run(context.WithoutCancel(ctx), "status", k.dir)
	if err := k.end(ctx); err != nil {
		return err
	}
	if ended == nil || ctx.Err() != nil { // an interrupt may have ended them
		return os.RemoveAll(k.dir)
	}
	fmt.Fprintf(os.Stderr, "engine-bench: a broker had ended by itself; the brokers' logs are in %s\n", k.dir)
	return k.removeData()
}

// end ends the brokers that run, also after an interrupt.
func (k *realKafka) end(ctx context.Context) error {
	k.nodes = 0
	if _, err := os.Stat(k.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := k.run(context.WithoutCancel(ctx), "stop", k.dir); err != nil {
		return fmt.Errorf("stopping the brokers in %s: %w", k.dir, err)
	}
	return nil
}

// removeData removes what takes the disk.
func (k *realKafka) removeData() error {
	of3, err := filepath.Glob(filepath.Join(k.dir, "*", "data"))
	for _, dir := range append(of3, filepath.Join(k.dir, "data")) {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// run runs the script and returns what it prints. What it says goes to standard error.
func (k *realKafka) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, realKafkaPatience)
	defer cancel()
	var said strings.Builder
	cmd := exec.CommandContext(ctx, k.script, args...)
	cmd.Stderr = &said
	// A terminal's Ctrl-C is for this process, which ends the script and what it has started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", k.script, args[0], err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// freePorts returns the first of n ports in a row that are free, below those of outgoing
// connections.
func freePorts(n int) (int, error) {
	const first, last = 19092, 29092
	for port := first; port+n <= last; port += n {
		if allFree(port, n) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no %d ports in a row are free between %d and %d", n, first, last)
}

func allFree(port, n int) bool {
	for p := port; p < port+n; p++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

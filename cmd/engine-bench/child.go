package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// child is a process that ends with its standard input.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout io.Reader
	wait   func() error // waits until it has ended, however often it is called
}

// startSelf starts this program with a command line.
func startSelf(ctx context.Context, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it may have a cluster to end
	return startChild("engine-bench "+args[0], cmd)
}

// childPatience is how long, once its context has ended, a process may hold its output open,
// or what it started itself and left behind.
const childPatience = 15 * time.Second // a cluster's daemons have 10 s

// startChild starts a process that errors call by a name.
func startChild(name string, cmd *exec.Cmd) (*child, error) {
	p := &child{cmd: cmd}
	cmd.WaitDelay = childPatience
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if p.stdout, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.wait = sync.OnceValue(func() error {
		_, _ = io.Copy(io.Discard, p.stdout)
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	return p, nil
}

// end lets the process end and waits for it.
func (p *child) end() error {
	_ = p.stdin.Close()
	return p.wait()
}

// errEnded: a process ended before it was told to.
var errEnded = errors.New("its process ended by itself")

// with calls do with a context that ends when the process does, then ends the process.
func (p *child) with(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() { lost(cmp.Or(p.wait(), errEnded)) })
	err := do(ctx)
	if ended := p.end(); !errors.Is(err, ended) {
		err = errors.Join(err, ended)
	}
	return err
}

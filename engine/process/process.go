package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Spec says what to run.
type Spec struct {
	Path string   // of the program
	Name string   // as which it sees itself (argv[0]); "" for its path
	Args []string // its command line, without its name
	Role string   // role.Driver or role.Executor
	Dir  string   // its working directory, "" for this process's
	Env  []string // its environment, NAME=value, to which its role is added; see Environ
	Nice int      // its niceness, above 0 to leave the CPU to the daemon
	// Reaper ends what the process has started and left behind; nil ends only what is in
	// its process group.
	Reaper *Reaper

	// Output takes what it prints, from one goroutine at a time. Its errors end
	// the process.
	Output io.Writer
	// Serve registers what the process may call over its socket.
	Serve func(grpc.ServiceRegistrar)

	// Start is how long the process may take until it speaks over its socket; 0 is
	// StartPatience.
	Start time.Duration
	// Stop, when it is closed, asks the process to end (SIGTERM). It may be nil.
	Stop <-chan struct{}
	// Patience is the time between closing the socket, at which the process
	// should exit, and SIGKILL, when Run's context ends; 0 kills at once.
	Patience time.Duration
}

// Exit is the end of a process.
type Exit struct {
	Status    string // such as "exit status 1" or "signal: killed"
	Clean     bool   // the status is 0
	Hung      bool   // it was killed, because it didn't speak over its socket, or not any more
	ByItself  bool   // it exited or crashed, or took too much memory; nobody asked or killed it
	Killed    bool   // somebody killed it, on purpose: memory wasn't used up
	LastWords string // what it printed last, see Tail
}

// String says how the process ended and what it printed last.
func (e Exit) String() string {
	s := e.Status
	if e.Hung {
		s += ", because it didn't answer"
	}
	if e.Killed {
		s += " by somebody, not for want of memory"
	}
	if e.LastWords == "" {
		return s
	}
	return s + "; the last it wrote:\n" + e.LastWords
}

// StartPatience is how long a process may usually take until it speaks over its
// socket: a program may read large files before it becomes a job.
const StartPatience = time.Minute

const (
	// exitPatience is how long a process may take to exit when its socket is closed.
	exitPatience = 2 * time.Second
	// outputWait is how long a dead process's output is waited for, should a
	// child of its own hold it open.
	outputWait = 500 * time.Millisecond
	// oomScore makes the kernel kill a job's process before the daemon, from
	// -1000 (never) to 1000 (first).
	oomScore = "500"
)

// Run runs a process to its end. The process gets a process group of its own,
// which is killed with it. When ctx ends Run ends the process: it closes the
// socket, and kills the group when the spec's patience is over. It kills one too
// that hangs: the socket is closed when the process hasn't spoken over it in time
// or doesn't answer gRPC's keepalive. An error is one of starting it.
//
// THREADING: Run serves the socket and watches ctx in goroutines that it waits
// for.
func Run(ctx context.Context, s Spec) (Exit, error) {
	conn, file, err := role.SocketPair()
	if err != nil {
		return Exit{}, err
	}
	last := &Tail{}
	cmd, err := s.Reaper.start(func() (*exec.Cmd, error) { return start(ctx, &s, file, last) })
	_ = file.Close() // the process has its own
	if err != nil {
		return Exit{}, errors.Join(err, conn.Close())
	}
	yield(cmd.Process.Pid, s.Nice)
	starved := outOfMemory()
	server := rpc.NewPairServer(cmp.Or(s.Start, StartPatience))
	s.Serve(server)
	var work sync.WaitGroup
	served, ended := make(chan struct{}), make(chan struct{})
	work.Go(func() {
		role.ServeConn(server, conn)
		close(served)
	})
	hung := false
	work.Go(func() { hung = watch(ctx, &s, cmd.Process, conn, served, ended) })
	err = cmd.Wait()
	close(ended)
	_ = conn.Close() // what the program left behind may hold the other end open
	server.Stop()
	work.Wait()
	killGroup(cmd.Process.Pid) // what the program started and left behind
	left := s.Reaper.ended(cmd.Process.Pid)
	exit := Exit{
		Status:    cmd.ProcessState.String(),
		Clean:     err == nil || errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success(),
		Hung:      hung,
		LastWords: last.LastWords(),
	}
	if wanted := hung || ctx.Err() != nil || isClosed(s.Stop); !wanted {
		exit.blame(cmd.ProcessState.Sys().(syscall.WaitStatus), outOfMemory() > starved)
	}
	if left != nil {
		_, _ = fmt.Fprintf(s.Output, "%v\n", left) // the job's log takes it
	}
	return exit, nil
}

// start starts the process with its end of the socket pair.
func start(ctx context.Context, s *Spec, file *os.File, last *Tail) (*exec.Cmd, error) {
	sealFiles()
	for wait := time.Millisecond; ; wait *= 2 {
		cmd := exec.Command(s.Path, s.Args...)
		if s.Name != "" {
			cmd.Args[0] = s.Name
		}
		cmd.Dir = s.Dir
		cmd.Env = append(slices.Clone(s.Env), role.Env+"="+s.Role) // of a name that comes twice the last counts
		cmd.ExtraFiles = []*os.File{file}
		cmd.Stdout = io.MultiWriter(last, s.Output)
		cmd.Stderr = cmd.Stdout
		cmd.WaitDelay = outputWait
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for this process
		err := cmd.Start()
		if err == nil {
			return cmd, nil
		}
		// A program that was written a moment ago is busy as long as another child
		// of this process, forked meanwhile and not yet exec'd, holds it open.
		const longest = 200 * time.Millisecond
		if missing := binaries.MissingInterpreter(s.Path); errors.Is(err, syscall.ENOENT) && missing != nil {
			return nil, fmt.Errorf("starting %s: %w", s.Path, missing)
		}
		if !errors.Is(err, syscall.ETXTBSY) || wait > longest {
			return nil, fmt.Errorf("%w: starting %s: %w", wire.ErrBinary, s.Path, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// yield makes a process give way to this one: user code must not cost a daemon
// its heartbeats or its life. What fails here matters under load only.
func yield(pid, nice int) {
	// The group's priority is that of all its threads; a process's is that of its
	// first thread.
	_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, nice)
	_ = os.WriteFile(filepath.Join("/proc", fmt.Sprint(pid), "oom_score_adj"), []byte(oomScore), 0)
}

// watch ends the process when it is asked to, or when the process hangs, which it
// reports.
func watch(ctx context.Context, s *Spec, p *os.Process, conn net.Conn, served, ended <-chan struct{}) (hung bool) {
	patience := s.Patience
	for stop := s.Stop; ; {
		select {
		case <-stop:
			_ = p.Signal(syscall.SIGTERM) // it may have gone meanwhile
			stop = nil
			continue
		case <-ended:
			return false
		case <-served:
			hung, patience = true, exitPatience
		case <-ctx.Done():
		}
		break
	}
	if patience > 0 {
		_ = conn.Close() // the process exits by itself
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case <-late.C:
		case <-ended:
			return false
		}
	}
	killGroup(p.Pid)
	return hung
}

// killGroup kills the processes of a group, if there are any.
func killGroup(pgid int) { _ = syscall.Kill(-pgid, syscall.SIGKILL) }

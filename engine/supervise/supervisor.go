package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/process"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Supervisor runs a job executor process and starts another when it dies, with
// back-off, until its context ends or the process has crashed too often.
//
// THREADING: Run is called once; it calls OnReady and OnExit from goroutines of
// its own, one at a time.
type Supervisor struct {
	Path   string            // of the program
	Name   string            // as which it sees itself, "" for its path
	Args   []string          // its command line, without its name
	Dir    string            // its working directory, "" for this process's
	Env    []string          // its environment, NAME=value; see process.Environ
	Nice   int               // its niceness
	Reaper *process.Reaper   // ends what it leaves behind; may be nil
	Spec   wire.ExecutorSpec // what the process is told
	Output io.Writer         // takes what it prints, from one goroutine at a time

	OnReady func(process string, r *wire.ReadyRequest) // it takes tasks; process is random
	OnExit  func(Exit)                                 // it ended although it shouldn't have
}

// Exit is the unwanted end of a process.
type Exit struct {
	Process string // "" if it was never ready
	Reason  string // exit status and what it said last
	Crashes int    // in a row, without a minute of life between
	Fatal   bool   // it isn't started again

	Died *wire.ProcessDied // nil unless it was ready and ended by itself
}

// Limits of a Supervisor.
const (
	maxStillborn = 5  // processes in a row that never became ready
	maxDeaths    = 64 // processes in a row that lived for less than longLife
	longLife     = time.Minute
	firstWait    = 100 * time.Millisecond
	lastWait     = 10 * time.Second
	stopPatience = 2 * time.Second // between closing the pipe and SIGKILL
)

// crashes counts the deaths of a program's processes.
type crashes struct{ stillborn, deaths int }

// add counts the death of a process.
func (c *crashes) add(ready bool, life time.Duration) {
	if life >= longLife {
		*c = crashes{}
	}
	c.deaths++
	if c.stillborn++; ready {
		c.stillborn = 0
	}
}

// hopeless reports whether starting another makes no sense.
func (c *crashes) hopeless() bool { return c.stillborn >= maxStillborn || c.deaths >= maxDeaths }

// wait returns how long to wait before the next one: twice as long for each that
// never became ready, and for every four that did.
func (c *crashes) wait() time.Duration {
	return min(firstWait<<min(c.stillborn+c.deaths/4, 16), lastWait)
}

// ErrCrashes: a process crashed so often that it isn't started again.
var ErrCrashes = errors.New("the process keeps crashing")

// Run keeps the process alive until ctx ends, and ends it then. It returns an
// error that says ErrCrashes if it gave up before.
func (s *Supervisor) Run(ctx context.Context) error {
	var count crashes
	for {
		began := time.Now()
		exit := s.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		count.add(exit.Process != "", time.Since(began))
		exit.Crashes, exit.Fatal = count.deaths, count.hopeless()
		s.OnExit(exit)
		if exit.Fatal {
			return fmt.Errorf("%w: %d times in a row, the last time: %s", ErrCrashes, exit.Crashes, exit.Reason)
		}
		select {
		case <-time.After(count.wait()):
		case <-ctx.Done():
			return nil
		}
	}
}

// once runs one process to its end and returns how it ended.
func (s *Supervisor) once(ctx context.Context) Exit {
	p := &offer{supervisor: s, id: security.NewToken()[:16]}
	exit, err := process.Run(ctx, process.Spec{
		Path: s.Path, Name: s.Name, Args: s.Args, Dir: s.Dir, Env: s.Env, Nice: s.Nice, Reaper: s.Reaper, Role: role.Executor, Output: s.Output,
		Serve:    func(r grpc.ServiceRegistrar) { wire.RegisterWorker(r, p) },
		Patience: stopPatience,
	})
	if err != nil {
		return Exit{Reason: err.Error()}
	}
	x := Exit{Reason: exit.String()}
	if address := p.readyAt(); address != "" {
		x.Process = p.id
		if exit.ByItself {
			x.Died = &wire.ProcessDied{Executor: s.Spec.Executor, Address: address, Status: exit.Status, LastWords: exit.LastWords}
		}
	}
	return x
}

// offer is the service that a job executor process calls.
type offer struct {
	supervisor *Supervisor
	id         string

	mu      sync.Mutex
	address string // where it takes tasks, "" before it is ready
}

// Attach implements wire.WorkerServer.
func (p *offer) Attach(context.Context, *wire.AttachExecutor) (*wire.ExecutorSpec, error) {
	return &p.supervisor.Spec, nil
}

// Ready implements wire.WorkerServer.
func (p *offer) Ready(_ context.Context, req *wire.ReadyRequest) (*wire.ReadyAnswer, error) {
	p.mu.Lock()
	again := p.address != ""
	p.address = req.Address
	p.mu.Unlock()
	if !again {
		p.supervisor.OnReady(p.id, req)
	}
	return &wire.ReadyAnswer{}, nil
}

// readyAt returns where the process takes tasks, "" if it never did.
func (p *offer) readyAt() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address
}

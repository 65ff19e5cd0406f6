package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Host is the part of a job executor process that knows the program.
//
// THREADING: Register, Stored, Invoke, Hold, DropCached and Forget are called by one goroutine at a
// time, Run, Receive, Store and Cached by many beside it.
type Host interface {
	scheduler.Runner
	// Register prepares for a driver whose epoch isn't older than any before: it
	// builds the program, the first time, and says what it built. A program that
	// can't be built is an answer with Failure set.
	Register(hello *Hello, values []wire.Value) *Registered
	// Room waits until the host can take an invocation, or ctx ends: that is its error
	// then. Until it returns nothing more is read of the driver's stream.
	Room(ctx context.Context) error
	// Invoke generates a batch, or takes in what a batch program's driver has done.
	// Being told of it again does no harm. answer says why that failed, now or
	// later, from any goroutine; of what went well nothing is said.
	Invoke(i *Invoke, answer func(*Invoked))
	// Hold brings in and drops versions of models. It doesn't wait: answer is
	// called for each version, from other goroutines.
	Hold(hold *Hold, answer func(*Held))
	// Forget drops what is kept of the batches before until.
	Forget(f Forget)
	// DropCached drops the cached partitions of RDDs.
	DropCached(rdds []lineage.ID)
	// Receive runs an input's receiver beside the tasks, until ctx ends or nothing more comes.
	// tell hands a message to the driver, in order, and doesn't block. An error fails the
	// stream.
	Receive(ctx context.Context, input int32, tell func(message []byte)) error
	// Stored returns what the driver that registered last is told, one success of a task
	// after the other, of the cached partitions here: at first all, then what was stored
	// and dropped since. It is called once after a Register.
	Stored() func() []scheduler.StoredBlock
	// Store returns the shuffle blocks of an epoch, nil if there are none.
	Store(epoch uint64) *shuffle.Store
	// Cached returns a cached partition that tasks of an epoch may read, nil if it isn't
	// here.
	Cached(epoch uint64, b task.Block) task.Sendable
}

// Server is a job executor process's side of the Tasks and Shuffle services.
//
// THREADING: each stream has two goroutines: gRPC's, which sends, and one that
// receives and calls the host under hosting. It starts one for each input whose receiver
// the executor runs, which ends with the stream. Tasks run in the slots of a
// local.Backend. No lock but hosting is held while the host works.
type Server struct {
	incarnation uint64
	most        int // slots, of which a driver may use fewer
	host        Host
	log         *slog.Logger
	slots       *local.Backend
	streams     sync.WaitGroup
	receiving   Receivers
	failed      chan string // why the program can't be built

	hosting sync.Mutex // held while the host is called for a session

	fence fence // who drives

	mu     sync.Mutex
	closed bool // no stream begins any more
}

// executorName is what the local backend calls the process's slots.
const executorName = "slots"

// NewServer returns a server of a job that runs as many tasks at once as there
// are slots, or as many of them as its driver says. Close ends it.
func NewServer(incarnation uint64, slots int, host Host, log *slog.Logger) *Server {
	s := &Server{incarnation: incarnation, most: slots, host: host, log: log, failed: make(chan string, 1)}
	s.slots = local.New(local.Executor{ID: executorName, Slots: slots, Runner: host})
	s.slots.Start(slotEvents{s})
	return s
}

// Failed tells why the program can't be built, if it can't: the process has no use
// any more. A driver that is still there is about to be told.
func (s *Server) Failed() <-chan string { return s.failed }

// receiveEnd is how long inputs' receivers may take to end when the process does. It is less
// than the time after which a daemon kills the process (2 s), since what tasks have opened is
// to be closed still.
const receiveEnd = time.Second

// Close kills what runs and waits for it and for the streams, which must have
// been ended by the gRPC server's Stop. The inputs' receivers ended with them and are waited for
// too, but not longer than a second.
func (s *Server) Close() {
	end, cancel := context.WithTimeout(context.Background(), receiveEnd)
	defer cancel()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if current := s.fence.driving(); current != nil {
		current.end(ErrClosed)
	}
	s.streams.Wait()
	s.slots.Close()
	for _, input := range s.receiving.Wait(end) {
		s.log.Warn("the receiver of an input hasn't ended and isn't waited for any longer", "input", input, "after", receiveEnd)
	}
}

// note says that the process has no use if a session ended because the program
// can't be built. The driver may have gone when it was told, or before.
func (s *Server) note(err error) {
	if why, ok := errors.AsType[refusal](err); ok {
		select {
		case s.failed <- string(why):
		default:
		}
	}
}

// admit makes a session the one that drives, in the place of the one before,
// unless its driver is older or has gone. It is called with hosting held.
func (s *Server) admit(sess *session, hello *Hello) error {
	if hello.Incarnation != s.incarnation {
		return fmt.Errorf("%w: this process is of job %d, the driver's is %d", wire.ErrInvalid, s.incarnation, hello.Incarnation)
	}
	before, deposed, err := s.fence.admit(sess, hello.Epoch)
	if err != nil {
		return err
	}
	if before != nil {
		err := errors.New("the driver has connected again")
		if deposed {
			err = fmt.Errorf("%w: epoch %d", wire.ErrStaleEpoch, hello.Epoch)
		}
		s.kill(before, err) // first: its end kills its tasks too, and doesn't know why
		before.end(err)
	}
	return nil
}

// leave takes a session that has ended off, and kills its tasks.
func (s *Server) leave(sess *session, cause error) {
	sess.end(cause) // before, so that it isn't admitted afterwards
	s.fence.leave(sess)
	s.kill(sess, errors.New("the connection to the driver broke"))
}

// kill ends the tasks of a session that no longer drives.
func (s *Server) kill(sess *session, cause error) {
	for _, id := range sess.strikeAll() {
		s.slots.Kill(executorName, id, cause.Error())
	}
}

// launch runs a task for a session, unless that no longer drives.
func (s *Server) launch(sess *session, task scheduler.Task) error {
	return s.fence.whileDriving(sess, func(epoch uint64) error {
		if task.ID.Incarnation != s.incarnation || task.ID.Epoch != epoch {
			return fmt.Errorf("%w: %s of epoch %d on a stream of epoch %d", wire.ErrMalformed, task.ID, task.ID.Epoch, epoch)
		}
		sess.begin(task.ID)
		s.slots.Launch(executorName, task) // doesn't block
		return nil
	})
}

// resize changes how many tasks run at once, unless the session no longer drives.
func (s *Server) resize(sess *session, slots int) error {
	if slots < 1 || slots > s.most {
		return fmt.Errorf("%w: the driver gives %d slots, the executor has %d", wire.ErrMalformed, slots, s.most)
	}
	return s.fence.whileDriving(sess, func(uint64) error {
		s.slots.Resize(executorName, slots) // doesn't block
		return nil
	})
}

// Slots returns how many tasks run at once.
func (s *Server) Slots() int { return s.slots.Slots(executorName) }

// slotEvents takes what the slots report.
type slotEvents struct{ s *Server }

func (slotEvents) ExecutorAdded(string, int)              {}
func (slotEvents) ExecutorResized(string, int)            {}
func (slotEvents) Stored(string, []scheduler.StoredBlock) {}
func (slotEvents) ExecutorLost(scheduler.ExecutorLost)    {}

// CommitAsked asks the driver that launched the task. If that is gone, the task is
// killed.
func (e slotEvents) CommitAsked(_ string, id scheduler.TaskID) {
	if sess := e.s.fence.driving(); sess != nil && sess.runs(id) {
		sess.post(&FromExecutor{Commit: &CommitAsk{ID: id}})
	}
}

// TaskEnded tells the driver that launched the task, if it is still there.
func (e slotEvents) TaskEnded(_ string, id scheduler.TaskID, outcome scheduler.Outcome) {
	if sess := e.s.fence.driving(); sess != nil && sess.strike(id) {
		sess.post(ended(id, outcome)...)
	}
}

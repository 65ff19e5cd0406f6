package state

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/engine/wire"
)

// commandFormat is the version of commands; it is their first byte in Raft's log.
const commandFormat = 1

// kind says what a command does; it is a command's second byte.
type kind uint8

// The commands. Numbers are never used again for something else.
const (
	kindFound    kind = 1  // FoundCluster
	kindAdmit    kind = 20 // AdmitDriver
	kindSubmit   kind = 2  // SubmitJob
	kindTake     kind = 21 // TakeJob
	kindAssign   kind = 3  // AssignDriver
	kindStart    kind = 4  // StartJob
	kindValue    kind = 5  // RecordValue
	kindAllocate kind = 6  // AllocateBatch
	kindComplete kind = 7  // CompleteOutputs
	kindStop     kind = 8  // StopJob
	kindEnd      kind = 9  // EndJob
	kindRegister kind = 10 // RegisterExecutor
	kindLose     kind = 11 // LoseExecutor
	kindReady    kind = 12 // ProcessReady
	kindExited   kind = 13 // ProcessExited
	kindDrain    kind = 22 // DrainExecutor
	kindForget   kind = 23 // ForgetExecutor
	kindResume   kind = 24 // ResumeJob
	kindLeave    kind = 25 // LeaveJob
	kindDropLog  kind = 26 // DropLog
)

// errUnknownCommand stops the node: it never skips a command.
var errUnknownCommand = errors.New("a command that this version doesn't know; upgrade this node, it stops so as not to skip it")

// Command is one of the commands below.
type Command interface {
	kind() kind
	// apply changes the state. index is the command's in Raft's log. What it does
	// and returns depends on the state and the command alone; an error leaves the
	// state as it was.
	apply(s *State, index uint64) (Result, error)
}

// Result is what a command answers its proposer.
type Result struct {
	Index   uint64 // incarnation or epoch, of commands that make one
	existed bool   // it had been done before
}

// FoundCluster names the cluster. The first one counts.
type FoundCluster struct {
	ClusterID string `msgpack:"cid"`
}

// AdmitDriver makes a data directory a driver's: the votes and acknowledgements of
// the node count from then on.
type AdmitDriver struct {
	Node    string `msgpack:"node"`
	Copy    string `msgpack:"copy"`
	Instead string `msgpack:"inst"` // the copy that is lost, "" for the driver's first
}

// TakeJob makes a job; its incarnation is the number that follows the last job's.
type TakeJob struct {
	Spec     wire.JobSpec `msgpack:"spec"` // without incarnation
	At       int64        `msgpack:"at"`   // nanoseconds since 1970
	MaxSlots int          `msgpack:"max"`  // that it has at once, 0 for any number; nodes of earlier versions stop at one
}

// ResumeJob is TakeJob of a job that begins with the log of one that has ended, which the
// spec's Resume names.
type ResumeJob TakeJob

// SubmitJob is TakeJob in logs of earlier versions; the incarnation is the command's
// index.
type SubmitJob struct {
	Spec wire.JobSpec `msgpack:"spec"` // without incarnation
	At   int64        `msgpack:"at"`   // nanoseconds since 1970
}

// AssignDriver makes a node's process the job's driver; the epoch is the
// command's index.
type AssignDriver struct {
	Incarnation uint64 `msgpack:"inc"`
	After       uint64 `msgpack:"after"` // epoch that is replaced, 0 for the first
	Node        string `msgpack:"node"`
	Crashed     bool   `msgpack:"crash"` // the process before died
}

// StartJob records a job's header, and of what kind its program is.
type StartJob struct {
	Incarnation uint64       `msgpack:"inc"`
	Epoch       uint64       `msgpack:"epoch"`
	Header      []byte       `msgpack:"h"`
	Kind        wire.JobKind `msgpack:"kind"` // logs of earlier versions don't say it
}

// RecordValue appends a recorded value.
type RecordValue struct {
	Incarnation uint64     `msgpack:"inc"`
	Epoch       uint64     `msgpack:"epoch"`
	Index       int        `msgpack:"i"`
	Value       wire.Value `msgpack:"v"`
}

// AllocateBatch appends a batch and applies completions.
type AllocateBatch struct {
	Incarnation uint64            `msgpack:"inc"`
	Epoch       uint64            `msgpack:"epoch"`
	Seq         uint64            `msgpack:"seq"`
	Data        []byte            `msgpack:"d"`
	Keep        uint64            `msgpack:"k"` // logs of earlier versions don't say it
	Completions []wire.Completion `msgpack:"c"`
}

// CompleteOutputs applies completions for which no allocation came.
type CompleteOutputs struct {
	Incarnation uint64            `msgpack:"inc"`
	Epoch       uint64            `msgpack:"epoch"`
	Completions []wire.Completion `msgpack:"c"`
}

// StopJob asks the job's driver for a graceful end.
type StopJob struct {
	Incarnation uint64 `msgpack:"inc"`
}

// EndJob puts a job into a final state, or, if it has failed under a driver and is to be
// started again, makes it go on under another one.
type EndJob struct {
	Incarnation uint64        `msgpack:"inc"`
	Epoch       uint64        `msgpack:"epoch"` // of the driver that says so, 0 for whoever it is
	State       wire.JobState `msgpack:"state"`
	Reason      string        `msgpack:"why"`
	At          int64         `msgpack:"at"`
}

// LeaveJob is EndJob that leaves a stream's log for a job that resumes it. Nodes of earlier
// versions don't know it, so that State.Ending chooses EndJob where nothing is left.
type LeaveJob EndJob

// DropLog drops the log that a job has left.
type DropLog struct {
	Incarnation uint64 `msgpack:"inc"`
}

// RegisterExecutor makes an executor daemon known.
type RegisterExecutor struct {
	ID       string `msgpack:"id"`
	Start    string `msgpack:"start"` // another value: another daemon process
	Address  string `msgpack:"addr"`
	Slots    int    `msgpack:"slots"`
	Platform string `msgpack:"plat"`
}

// LoseExecutor says that a daemon is gone, with its processes.
type LoseExecutor struct {
	ID    string `msgpack:"id"`
	Start string `msgpack:"start"`
}

// DrainExecutor takes a daemon's processes away and gives it no more, until another
// daemon process has its id.
type DrainExecutor struct {
	ID    string `msgpack:"id"`
	Start string `msgpack:"start"`
}

// ForgetExecutor forgets a daemon that is gone.
type ForgetExecutor struct {
	ID string `msgpack:"id"`
}

// ProcessReady adds a job's process on an executor; its instance is the
// command's index.
type ProcessReady struct {
	Executor    string `msgpack:"exec"`
	Start       string `msgpack:"start"` // of the executor
	Incarnation uint64 `msgpack:"inc"`
	Process     string `msgpack:"proc"`
	Address     string `msgpack:"addr"`
	Slots       int    `msgpack:"slots"`
}

// ProcessExited removes it. A fatal one says that the executor won't try again.
type ProcessExited struct {
	Executor    string `msgpack:"exec"`
	Start       string `msgpack:"start"` // of the executor
	Incarnation uint64 `msgpack:"inc"`
	Process     string `msgpack:"proc"` // "" for one that was never ready
	Fatal       bool   `msgpack:"fatal"`
	Reason      string `msgpack:"why"` // of a fatal exit
}

func (*FoundCluster) kind() kind     { return kindFound }
func (*AdmitDriver) kind() kind      { return kindAdmit }
func (*SubmitJob) kind() kind        { return kindSubmit }
func (*TakeJob) kind() kind          { return kindTake }
func (*AssignDriver) kind() kind     { return kindAssign }
func (*StartJob) kind() kind         { return kindStart }
func (*RecordValue) kind() kind      { return kindValue }
func (*AllocateBatch) kind() kind    { return kindAllocate }
func (*CompleteOutputs) kind() kind  { return kindComplete }
func (*StopJob) kind() kind          { return kindStop }
func (*EndJob) kind() kind           { return kindEnd }
func (*ResumeJob) kind() kind        { return kindResume }
func (*LeaveJob) kind() kind         { return kindLeave }
func (*DropLog) kind() kind          { return kindDropLog }
func (*RegisterExecutor) kind() kind { return kindRegister }
func (*LoseExecutor) kind() kind     { return kindLose }
func (*DrainExecutor) kind() kind    { return kindDrain }
func (*ForgetExecutor) kind() kind   { return kindForget }
func (*ProcessReady) kind() kind     { return kindReady }
func (*ProcessExited) kind() kind    { return kindExited }

// newCommand returns an empty command of a kind, nil if there is none.
func newCommand(k kind) Command {
	switch k {
	case kindFound:
		return new(FoundCluster)
	case kindAdmit:
		return new(AdmitDriver)
	case kindTake:
		return new(TakeJob)
	case kindSubmit:
		return new(SubmitJob)
	case kindAssign:
		return new(AssignDriver)
	case kindStart:
		return new(StartJob)
	case kindValue:
		return new(RecordValue)
	case kindAllocate:
		return new(AllocateBatch)
	case kindComplete:
		return new(CompleteOutputs)
	case kindStop:
		return new(StopJob)
	case kindEnd:
		return new(EndJob)
	case kindResume:
		return new(ResumeJob)
	case kindLeave:
		return new(LeaveJob)
	case kindDropLog:
		return new(DropLog)
	case kindRegister:
		return new(RegisterExecutor)
	case kindLose:
		return new(LoseExecutor)
	case kindDrain:
		return new(DrainExecutor)
	case kindForget:
		return new(ForgetExecutor)
	case kindReady:
		return new(ProcessReady)
	case kindExited:
		return new(ProcessExited)
	}
	return nil
}

// EncodeCommand returns a command as Raft's log holds it. One that decodeCommand
// wouldn't read is an error that wraps [wire.ErrTooLarge].
func EncodeCommand(c Command) ([]byte, error) {
	payload, err := wire.Encode(c)
	if err != nil {
		return nil, err
	}
	if len(payload) > wire.MaxMessage {
		return nil, fmt.Errorf("%w: a command of %d bytes, at most %d go",
			wire.ErrTooLarge, len(payload), wire.MaxMessage)
	}
	if err := wire.Check(payload); err != nil {
		return nil, fmt.Errorf("a command that can't be read again: %w", err)
	}
	return append([]byte{commandFormat, byte(c.kind())}, payload...), nil
}

// decodeCommand reads what EncodeCommand wrote. What it doesn't know is an error
// that wraps errUnknownCommand.
func decodeCommand(b []byte) (Command, error) {
	if len(b) < 2 {
		return nil, fmt.Errorf("%w: a command of %d bytes", wire.ErrMalformed, len(b))
	}
	if b[0] != commandFormat {
		return nil, fmt.Errorf("%w (command format %d, this version knows %d)", errUnknownCommand, b[0], commandFormat)
	}
	c := newCommand(kind(b[1]))
	if c == nil {
		return nil, fmt.Errorf("%w (command %d)", errUnknownCommand, b[1])
	}
	if err := wire.Decode(b[2:], c); err != nil {
		return nil, fmt.Errorf("command %d: %w", b[1], err)
	}
	return c, nil
}

package control

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
	kindFound    kind = 1  // foundCluster
	kindAdmit    kind = 20 // admitDriver
	kindSubmit   kind = 2  // submitJob
	kindAssign   kind = 3  // assignDriver
	kindStart    kind = 4  // startJob
	kindValue    kind = 5  // recordValue
	kindAllocate kind = 6  // allocateBatch
	kindComplete kind = 7  // completeOutputs
	kindStop     kind = 8  // stopJob
	kindEnd      kind = 9  // endJob
	kindRegister kind = 10 // registerExecutor
	kindLose     kind = 11 // loseExecutor
	kindReady    kind = 12 // processReady
	kindExited   kind = 13 // processExited
)

// errUnknownCommand stops the node: it never skips a command.
var errUnknownCommand = errors.New("a command that this version doesn't know; upgrade this node, it stops so as not to skip it")

// command is one of the commands below.
type command interface {
	kind() kind
	// apply changes the state. index is the command's in Raft's log. What it does
	// and returns depends on the state and the command alone; an error leaves the
	// state as it was.
	apply(s *state, index uint64) (result, error)
}

// result is what a command answers its proposer.
type result struct {
	index   uint64 // incarnation or epoch, of commands that make one
	existed bool   // it had been done before
}

// foundCluster names the cluster. The first one counts.
type foundCluster struct {
	ClusterID string `msgpack:"cid"`
}

// admitDriver makes a data directory a driver's: the votes and acknowledgements of
// the node count from then on.
type admitDriver struct {
	Node    string `msgpack:"node"`
	Copy    string `msgpack:"copy"`
	Instead string `msgpack:"inst"` // the copy that is lost, "" for the driver's first
}

// submitJob makes a job; its incarnation is the command's index.
type submitJob struct {
	Spec wire.JobSpec `msgpack:"spec"` // without incarnation
	At   int64        `msgpack:"at"`   // nanoseconds since 1970
}

// assignDriver makes a node's process the job's driver; the epoch is the
// command's index.
type assignDriver struct {
	Incarnation uint64 `msgpack:"inc"`
	After       uint64 `msgpack:"after"` // epoch that is replaced, 0 for the first
	Node        string `msgpack:"node"`
	Crashed     bool   `msgpack:"crash"` // the process before died
}

// startJob records a job's header.
type startJob struct {
	Incarnation uint64 `msgpack:"inc"`
	Epoch       uint64 `msgpack:"epoch"`
	Header      []byte `msgpack:"h"`
}

// recordValue appends a recorded value.
type recordValue struct {
	Incarnation uint64     `msgpack:"inc"`
	Epoch       uint64     `msgpack:"epoch"`
	Index       int        `msgpack:"i"`
	Value       wire.Value `msgpack:"v"`
}

// allocateBatch appends a batch and applies completions.
type allocateBatch struct {
	Incarnation uint64            `msgpack:"inc"`
	Epoch       uint64            `msgpack:"epoch"`
	Seq         uint64            `msgpack:"seq"`
	Data        []byte            `msgpack:"d"`
	Completions []wire.Completion `msgpack:"c"`
}

// completeOutputs applies completions for which no allocation came.
type completeOutputs struct {
	Incarnation uint64            `msgpack:"inc"`
	Epoch       uint64            `msgpack:"epoch"`
	Completions []wire.Completion `msgpack:"c"`
}

// stopJob asks the job's driver for a graceful end.
type stopJob struct {
	Incarnation uint64 `msgpack:"inc"`
}

// endJob puts a job into a final state.
type endJob struct {
	Incarnation uint64        `msgpack:"inc"`
	Epoch       uint64        `msgpack:"epoch"` // of the driver that says so, 0 for whoever it is
	State       wire.JobState `msgpack:"state"`
	Reason      string        `msgpack:"why"`
	At          int64         `msgpack:"at"`
}

// registerExecutor makes an executor daemon known.
type registerExecutor struct {
	ID       string `msgpack:"id"`
	Start    string `msgpack:"start"` // another value: another daemon process
	Address  string `msgpack:"addr"`
	Slots    int    `msgpack:"slots"`
	Platform string `msgpack:"plat"`
}

// loseExecutor says that a daemon is gone, with its processes.
type loseExecutor struct {
	ID    string `msgpack:"id"`
	Start string `msgpack:"start"`
}

// processReady adds a job's process on an executor; its instance is the
// command's index.
type processReady struct {
	Executor    string `msgpack:"exec"`
	Start       string `msgpack:"start"` // of the executor
	Incarnation uint64 `msgpack:"inc"`
	Process     string `msgpack:"proc"`
	Address     string `msgpack:"addr"`
	Slots       int    `msgpack:"slots"`
}

// processExited removes it. A fatal one says that the executor won't try again.
type processExited struct {
	Executor    string `msgpack:"exec"`
	Start       string `msgpack:"start"` // of the executor
	Incarnation uint64 `msgpack:"inc"`
	Process     string `msgpack:"proc"` // "" for one that was never ready
	Fatal       bool   `msgpack:"fatal"`
	Reason      string `msgpack:"why"` // of a fatal exit
}

func (*foundCluster) kind() kind     { return kindFound }
func (*admitDriver) kind() kind      { return kindAdmit }
func (*submitJob) kind() kind        { return kindSubmit }
func (*assignDriver) kind() kind     { return kindAssign }
func (*startJob) kind() kind         { return kindStart }
func (*recordValue) kind() kind      { return kindValue }
func (*allocateBatch) kind() kind    { return kindAllocate }
func (*completeOutputs) kind() kind  { return kindComplete }
func (*stopJob) kind() kind          { return kindStop }
func (*endJob) kind() kind           { return kindEnd }
func (*registerExecutor) kind() kind { return kindRegister }
func (*loseExecutor) kind() kind     { return kindLose }
func (*processReady) kind() kind     { return kindReady }
func (*processExited) kind() kind    { return kindExited }

// newCommand returns an empty command of a kind, nil if there is none.
func newCommand(k kind) command {
	switch k {
	case kindFound:
		return new(foundCluster)
	case kindAdmit:
		return new(admitDriver)
	case kindSubmit:
		return new(submitJob)
	case kindAssign:
		return new(assignDriver)
	case kindStart:
		return new(startJob)
	case kindValue:
		return new(recordValue)
	case kindAllocate:
		return new(allocateBatch)
	case kindComplete:
		return new(completeOutputs)
	case kindStop:
		return new(stopJob)
	case kindEnd:
		return new(endJob)
	case kindRegister:
		return new(registerExecutor)
	case kindLose:
		return new(loseExecutor)
	case kindReady:
		return new(processReady)
	case kindExited:
		return new(processExited)
	}
	return nil
}

// encodeCommand returns a command as Raft's log holds it. One that decodeCommand
// wouldn't read is an error that says [wire.ErrTooLarge].
func encodeCommand(c command) ([]byte, error) {
	payload, err := wire.Encode(c)
	if err != nil {
		return nil, err
	}
	if len(payload) > wire.MaxMessage {
		return nil, fmt.Errorf("%w: a command of %d bytes, at most %d go", wire.ErrTooLarge, len(payload), wire.MaxMessage)
	}
	if err := wire.Check(payload); err != nil {
		return nil, fmt.Errorf("a command that can't be read again: %w", err)
	}
	return append([]byte{commandFormat, byte(c.kind())}, payload...), nil
}

// decodeCommand reads what encodeCommand wrote. What it doesn't know is an error
// that says errUnknownCommand.
func decodeCommand(b []byte) (command, error) {
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

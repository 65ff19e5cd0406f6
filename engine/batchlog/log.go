package batchlog

import (
	"context"
	"errors"
	"sync"
)

// Errors of logs, for errors.Is.
var (
	// ErrCorrupt: the bytes of a log are broken.
	ErrCorrupt = errors.New("the batch log is damaged")
	// ErrFormat: bytes were written by a version that this one doesn't know.
	ErrFormat = errors.New("unknown format version")
	// ErrLocked: another process uses the log's directory.
	ErrLocked = errors.New("the checkpoint directory is in use")
)

// Log is where a job's driver writes down what it is about to do, before it does
// it. A driver that takes over reads it and goes on. One goroutine writes at a
// time.
type Log interface {
	// Recover returns what is recorded, and the newest driver's epoch.
	Recover(ctx context.Context) (State, uint64, error)
	// Start records that a driver takes over with the given header, and returns
	// its epoch, which is above all before it.
	Start(ctx context.Context, header []byte) (epoch uint64, err error)
	// RecordValue makes a value durable.
	RecordValue(ctx context.Context, v Value) error
	// Allocate makes a batch durable, along with completions: those that were reported since
	// the last call and those given. A log that holds the batch holds these, too. Its Seq
	// follows the last one's; the log sets its Epoch.
	Allocate(ctx context.Context, b Batch, done ...Completion) error
	// Complete reports that an output of a batch is done. It survives the death
	// of the process; it need not survive the machine's before the next Allocate.
	Complete(ctx context.Context, c Completion) error
	// Close ends the use of the log.
	Close() error
}

// Memory is a Log that ends with the process. The zero value is empty. It is safe
// for concurrent use.
type Memory struct {
	mu    sync.Mutex
	state State
	epoch uint64
}

// Recover returns what is recorded.
func (l *Memory) Recover(context.Context) (State, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Clone(), l.epoch, nil
}

// Start records a header in place of the one before.
func (l *Memory) Start(_ context.Context, header []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch++
	return l.epoch, l.state.Restart(header, nil)
}

// RecordValue adds a value.
func (l *Memory) RecordValue(_ context.Context, v Value) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.state.Record(len(l.state.Values), v, 0, nil)
	return err
}

// Allocate adds a batch and applies completions.
func (l *Memory) Allocate(_ context.Context, b Batch, done ...Completion) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.Epoch = l.epoch
	_, err := l.state.Allocate(b, done, 0, nil)
	return err
}

// Complete applies a completion.
func (l *Memory) Complete(_ context.Context, c Completion) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.state.Complete([]Completion{c}, nil)
	return err
}

// Close does nothing.
func (l *Memory) Close() error { return nil }

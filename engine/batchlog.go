package engine

import (
	"context"
	"sync"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// memoryLog is a BatchLog that ends with the process. The zero value is empty.
type memoryLog struct {
	mu    sync.Mutex
	state plan.LogState
}

// NewMemoryLog returns a log that lives as long as the process: a job without a
// checkpoint directory has one.
func NewMemoryLog() plan.Log { return &memoryLog{} }

func (l *memoryLog) Recover(context.Context) (plan.LogState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Clone(), nil
}

func (l *memoryLog) Start(_ context.Context, h plan.JobHeader) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Start(h), nil
}

func (l *memoryLog) RecordValue(_ context.Context, v plan.NamedValue) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Values = append(l.state.Values, v)
	return nil
}

func (l *memoryLog) Allocate(_ context.Context, a *plan.Allocation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Allocate(a)
	return nil
}

func (l *memoryLog) Complete(_ context.Context, c plan.Completion) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Complete(c)
	return nil
}

func (l *memoryLog) Close() error { return nil }

package task

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
)

// Context is what a task sees of the process that runs it. It is a
// context: it ends when the task is killed. One goroutine uses it, the task's.
type Context struct {
	context.Context

	Batch     uint64 // sequence number of the batch
	Partition int    // partition of the operator that is given the context
	Attempt   int    // counts from 0
	Epoch     uint64 // of the driver that launched the task: the next driver's is higher

	Shuffle   ShuffleReader // reads map output, local or remote
	Cache     Blocks        // partitions kept for the batch, nil outside executors
	Elsewhere Elsewhere     // those that other executors keep, nil if none is known
	Memory    Memory        // what the task may hold, nil outside executors, where nothing is limited
	Slot      *Slot         // what this worker keeps from task to task
	Process   *Process      // what the executor's process keeps

	// AskCommit asks the driver whether this attempt may commit its output and
	// waits for the answer; an error means that it may not. Nil outside executors.
	AskCommit func(ctx context.Context) error

	// FreeSlot lets the task's slot begin another task that waits at the executor: all
	// that is left to do is waiting, for acknowledgements. Slot isn't to be used
	// afterwards. The task's goroutine calls it. Nil outside executors.
	FreeSlot func()

	Metrics Metrics // filled by sources and sinks; see Counted

	asked uint32 // calls of Killed

	accumulated []accumulated // of the task's own: what it added to accumulators

	task   *Context         // the task's own, nil in that one
	others map[int]*Context // of the task's own: those of other partitions
	Pulled []runtime.Frame  // of the task's own: the stack of a panic that an iter.Pull cut off, for who tells whose it is
}

// At returns the context for an operator's partition, which below a Union is
// another than the task's: one for each partition.
func (tc *Context) At(partition int) *Context {
	if tc.Partition == partition {
		return tc
	}
	task := tc.Own()
	if task.Partition == partition {
		return task
	}
	if o := task.others[partition]; o != nil {
		return o
	}
	o := &Context{
		Context: tc.Context, Batch: tc.Batch, Partition: partition, Attempt: tc.Attempt, Epoch: tc.Epoch,
		Shuffle: tc.Shuffle, Cache: tc.Cache, Elsewhere: tc.Elsewhere, Memory: tc.Memory, Slot: tc.Slot, Process: tc.Process,
		AskCommit: tc.AskCommit, FreeSlot: tc.FreeSlot,
		task: task,
	}
	if task.others == nil {
		task.others = make(map[int]*Context)
	}
	task.others[partition] = o
	return o
}

// Own returns the context that the task was begun with.
func (tc *Context) Own() *Context {
	if tc.task != nil {
		return tc.task
	}
	return tc
}

// Counted returns what the task counted, in all partitions that it computed.
func (tc *Context) Counted() Metrics {
	task := tc.Own()
	m := task.Metrics
	for _, o := range task.others {
		m.Add(o.Metrics)
	}
	return m
}

// Killed reports that the task was told to end. Sources ask before each record
// and yield context.Cause as their last error then; so do operators that make many
// records of one. It looks at the context every 64 calls only, which costs
// nothing beside a record.
func (tc *Context) Killed() bool {
	tc.asked++
	return tc.asked%64 == 0 && tc.Err() != nil
}

// Metrics counts what one attempt of a task did.
type Metrics struct {
	RecordsRead    int64 `msgpack:"rr,omitempty"`  // records taken from sources
	BytesRead      int64 `msgpack:"br,omitempty"`  // bytes taken from sources
	RecordsWritten int64 `msgpack:"rw,omitempty"`  // records handed to a sink
	ShuffleRead    int64 `msgpack:"sr,omitempty"`  // bytes of blocks read
	ShuffleRemote  int64 `msgpack:"srr,omitempty"` // of ShuffleRead, bytes that came from other executors
	ShuffleWritten int64 `msgpack:"sw,omitempty"`  // bytes of blocks written
	BadRecords     int64 `msgpack:"bad,omitempty"` // records left out by the job's policy
	Lost           int64 `msgpack:"lo,omitempty"`  // of BadRecords, those that were deleted before they could be read
	NotKept        int64 `msgpack:"nk,omitempty"`  // partitions to be kept that the local disk didn't take
	CacheRemote    int64 `msgpack:"cr,omitempty"`  // bytes of kept partitions that came from other executors
}

// Add adds the counts of another attempt.
func (m *Metrics) Add(o Metrics) {
	m.RecordsRead += o.RecordsRead
	m.BytesRead += o.BytesRead
	m.RecordsWritten += o.RecordsWritten
	m.ShuffleRead += o.ShuffleRead
	m.ShuffleRemote += o.ShuffleRemote
	m.ShuffleWritten += o.ShuffleWritten
	m.BadRecords += o.BadRecords
	m.Lost += o.Lost
	m.NotKept += o.NotKept
	m.CacheRemote += o.CacheRemote
}

// ShuffleReader gives a reading task the blocks meant for it.
type ShuffleReader interface {
	// Blocks yields the blocks of one reduce partition in the order of the map
	// partitions that wrote them. A block isn't changed or reused afterwards, so
	// records may alias it. An error that says [FetchFailedError] makes the
	// scheduler run the map task again.
	Blocks(ctx context.Context, batch uint64, shuffle, reduce int) iter.Seq2[[]byte, error]
}

// BlockWriter takes what a map task writes. Blocks written for one reduce
// partition are read back in the order they were written.
type BlockWriter interface {
	// WriteBlock keeps what block says; the caller may use its bytes again.
	WriteBlock(reduce int, block []byte) error
}

// Slot is the memory of one worker: values that may be used by one task at a
// time, such as a compiled model with its scratch space.
type Slot struct{ values map[any]any }

// Local returns the slot's value for key, made by open when there is none. Keys
// follow the rule of context keys: a type of the caller's own.
func (s *Slot) Local(key any, open func() (any, error)) (any, error) {
	if v, ok := s.values[key]; ok {
		return v, nil
	}
	v, err := open()
	if err != nil {
		return nil, err
	}
	if s.values == nil {
		s.values = make(map[any]any)
	}
	s.values[key] = v
	return v, nil
}

// Drop forgets the values whose key satisfies gone.
func (s *Slot) Drop(gone func(key any) bool) {
	for k := range s.values {
		if gone(k) {
			delete(s.values, k)
		}
	}
}

// Process is the memory of an executor's process, shared by its slots:
// connections, weights. The zero value is ready to use.
type Process struct {
	// Alone says that no other process runs tasks of the program.
	Alone bool

	mu     sync.Mutex
	values map[any]*resource
	order  []*resource
	closed bool
}

// resource is opened once, by the first that asks.
type resource struct {
	once  sync.Once
	value any
	close func() error
	err   error
}

// Resource returns the process's value for key, opened by the first caller;
// others wait for it. An error is not kept: the next caller tries again.
// close, if not nil, runs when the process ends.
func (p *Process) Resource(key any, open func() (value any, close func() error, err error)) (any, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, context.Canceled
	}
	r := p.values[key]
	if r == nil {
		if p.values == nil {
			p.values = make(map[any]*resource)
		}
		r = &resource{}
		p.values[key] = r
		p.order = append(p.order, r)
	}
	p.mu.Unlock()
	r.once.Do(func() {
		r.err = errOpening // it stays if open panics
		defer func() {
			if r.err != nil {
				p.drop(key, r)
			}
		}()
		r.value, r.close, r.err = open()
	})
	return r.value, r.err
}

// drop takes off a resource that couldn't be opened.
func (p *Process) drop(key any, r *resource) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values[key] == r {
		delete(p.values, key)
		p.order = slices.DeleteFunc(p.order, func(o *resource) bool { return o == r })
	}
}

// errOpening is what those get who waited for an open that panicked.
var errOpening = errors.New("opening a resource of the process panicked")

// Close closes the resources, the last opened first, and refuses new ones. It
// returns the first error. Tasks must have ended.
func (p *Process) Close() error {
	p.mu.Lock()
	p.closed = true
	order := p.order
	p.order, p.values = nil, nil
	p.mu.Unlock()
	var first error
	for i := len(order) - 1; i >= 0; i-- {
		if r := order[i]; r.close != nil && r.err == nil {
			if err := r.close(); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

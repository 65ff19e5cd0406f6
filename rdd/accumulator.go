package rdd

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Accumulator is a sum to which tasks add and which the program reads. See
// [NewAccumulator].
type Accumulator[T any] struct {
	op     op
	name   string
	number int               // within the context
	zero   func() (T, error) // copies of it
	add    func(T, T) T
	codec  encoding.Codec[T]
	broken error // why it can't be used

	mu    sync.Mutex
	value T
}

// NewAccumulator makes a sum to which tasks of the context add, for counts and the like
// beside an action's result. Each task adds to a copy of zero, which must be neutral; when
// its action has succeeded, what the tasks added up is added to what the program reads,
// always in the same order. add must be associative and commutative; it may change and
// return its first argument. name is for people.
//
// What counts:
//   - What is added in an action's own tasks, those that compute its result, counts exactly
//     once, however often a task was tried: each partition that the action computes has
//     one attempt that counts.
//   - What is added before a shuffle counts at most once for each partition and action:
//     not if the shuffle was computed for an earlier action and is still there, and once
//     more if a later action computes it again.
//   - The same function is called by every action that computes its RDD, and adds each
//     time, unless the RDD is cached. Take, First, IsEmpty and operators that sample
//     compute some partitions, or parts of them.
//   - An action that fails adds nothing.
//
// Accumulators are for batch programs.
func NewAccumulator[T any](sc *Context, name string, zero T, add func(T, T) T) *Accumulator[T] {
	return newAccumulator(sc.op("accumulator", add), name, zero, add)
}

// NewSum makes an accumulator of numbers that are added up (Spark's longAccumulator and
// doubleAccumulator).
func NewSum[N Number](sc *Context, name string) *Accumulator[N] {
	return newAccumulator(sc.op("accumulator"), name, 0, plus[N])
}

func newAccumulator[T any](o op, name string, zero T, add func(T, T) T) *Accumulator[T] {
	a := &Accumulator[T]{op: o, name: name, add: add}
	if o.sc.lineage.TooLate(o.name, func() lineage.Site { return o.site }) {
		a.broken = errors.New("it was made in a task or an output")
	} else if a.broken = a.open(zero); a.broken != nil {
		o.fail(a.broken)
	}
	return a
}

// open makes the accumulator one of its context.
func (a *Accumulator[T]) open(zero T) (err error) {
	sc := a.op.sc
	if _, ok := sc.runner.(AccumulatingRunner); !ok {
		return fmt.Errorf("%w: nothing would bring to the program what tasks add; in a stream use Count, Reduce or another operator in its place", ErrAccumulator)
	}
	if a.codec, err = encoding.For[T](); err != nil {
		return err
	}
	if a.zero, err = copiesOf(zero); err != nil {
		return err
	}
	if a.value, err = a.zero(); err != nil {
		return err
	}
	a.number = len(sc.accumulators)
	sc.accumulators = append(sc.accumulators, a)
	return nil
}

// Add adds v in a task: p is the partition that a function of [MapPartitions],
// [ForEachPartition] or another operator is given.
func (a *Accumulator[T]) Add(p Part, v T) {
	s, err := a.sumIn(p.tc)
	if err != nil {
		panic(a.error(err))
	}
	s.value = a.add(s.value, v)
}

// sumIn returns what a task has added.
func (a *Accumulator[T]) sumIn(tc *task.Context) (*taskSum[T], error) {
	if a.broken != nil {
		return nil, a.broken
	}
	if tc == nil {
		return nil, fmt.Errorf("%w: Add needs the Part that a function in a task is given", ErrAccumulator)
	}
	switch s := tc.Accumulated(a.number).(type) {
	case nil:
		zero, err := a.zero()
		if err != nil {
			return nil, err
		}
		s0 := &taskSum[T]{a, zero}
		tc.Accumulate(a.number, s0)
		return s0, nil
	case *taskSum[T]:
		if s.of == a {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: it is of another context than the task", ErrAccumulator)
}

// Value returns the sum of what counts so far, in the program: don't change it. In a task
// it isn't known: that is a panic with an error that says [ErrAccumulator], and fails the
// task.
func (a *Accumulator[T]) Value() T {
	if lineage.InTask() {
		panic(a.error(fmt.Errorf("%w: Value is for the program; tasks can only Add", ErrAccumulator)))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.value
}

// Name returns the accumulator's name.
func (a *Accumulator[T]) Name() string { return a.name }

func (a *Accumulator[T]) error(err error) error {
	return a.op.error(fmt.Errorf("%q: %w", a.name, err))
}

// merge adds what a task added.
func (a *Accumulator[T]) merge(u task.Update) error {
	v, _, err := a.codec.Decode(u.Data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return a.op.onDriver(func() error {
		sum := a.add(a.value, v) // only the program's goroutine sets the value
		a.mu.Lock()
		defer a.mu.Unlock()
		a.value = sum
		return nil
	})
}

// taskSum is what a task has added to an accumulator. It implements task.Accumulated.
type taskSum[T any] struct {
	of    *Accumulator[T]
	value T
}

func (s *taskSum[T]) Name() string                      { return s.of.name }
func (s *taskSum[T]) Append(dst []byte) ([]byte, error) { return s.of.codec.Append(dst, s.value) }

func (s *taskSum[T]) Restore(sum []byte) (err error) {
	s.value, _, err = s.of.codec.Decode(sum)
	return err
}

// accumulator is an Accumulator without its type.
type accumulator interface {
	Name() string
	merge(u task.Update) error
}

// accumulate adds what the tasks of an action added.
func (sc *Context) accumulate(updates []task.Update) error {
	for _, u := range updates {
		if u.Accumulator < 0 || u.Accumulator >= len(sc.accumulators) || sc.accumulators[u.Accumulator].Name() != u.Name {
			return fmt.Errorf("%w: a task added to %q, which isn't of its context", ErrAccumulator, u.Name)
		}
		if err := sc.accumulators[u.Accumulator].merge(u); err != nil {
			return fmt.Errorf("accumulator %q: %w", u.Name, err)
		}
	}
	return nil
}

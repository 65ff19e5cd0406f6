package rdd

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// TryOption says what [TryMap] and its kind do: [OnBadRecord].
type TryOption func(*tryOptions)

type tryOptions struct{ bad BadRecords }

// OnBadRecord sets what becomes of records that a function refuses; the default is
// [Fail].
func OnBadRecord(p BadRecords) TryOption { return func(o *tryOptions) { o.bad = p } }

// BadRecords says what becomes of records that a function refuses, by an error or a
// panic: [Fail], [Skip] or [DeadLetter].
type BadRecords struct {
	policy badPolicy
	letter any // func(Part, T, error) error
}

type badPolicy int

const (
	badFail badPolicy = iota
	badSkip
	badDeadLetter
)

// Fail fails the task, and with its last attempt the job, with the record's coordinates
// in a [BadRecordError]. It is the default: nothing is lost in silence.
func Fail() BadRecords { return BadRecords{} }

// Skip leaves the record out and counts it in the task's metrics.
func Skip() BadRecords { return BadRecords{policy: badSkip} }

// DeadLetter hands the record to f, on executors, with the reason, a [*BadRecordError];
// leaves it out and counts it. An error that f returns fails the task. A record is handed
// over again when its partition is computed again. T must be the type of the records.
func DeadLetter[T any](f func(p Part, record T, err error) error) BadRecords {
	return BadRecords{badDeadLetter, f}
}

// BadRecordError says which record a function refused.
type BadRecordError struct {
	Partition int
	Index     int64 // of the record among those of its partition that the function was given, from 0
	Err       error
}

// Error gives the record's coordinates and the function's reason.
func (e *BadRecordError) Error() string {
	return fmt.Sprintf("bad record in partition %d at index %d: %v", e.Partition, e.Index, e.Err)
}

// Unwrap returns the function's error, a [PanicError] if it panicked.
func (e *BadRecordError) Unwrap() error { return e.Err }

// trier calls a function that may refuse records.
type trier[T any] struct {
	op
	policy badPolicy
	letter func(p Part, record T, err error) error
}

// try returns what an operator calls its function f with.
func try[T any](sc *Context, name string, f any, opts []TryOption) trier[T] {
	return trierOf[T](sc, name, []any{f}, opts)
}

// trierOf returns what an operator calls functions with, which may be its own.
func trierOf[T any](sc *Context, name string, functions []any, opts []TryOption) trier[T] {
	var with tryOptions
	for _, o := range opts {
		if o != nil {
			o(&with)
		}
	}
	if with.bad.policy == badDeadLetter {
		functions = append(functions, with.bad.letter)
	}
	t := trier[T]{op: sc.op(name, functions...), policy: with.bad.policy}
	if with.bad.policy == badDeadLetter {
		var ok bool
		if t.letter, ok = with.bad.letter.(func(Part, T, error) error); !ok {
			t.fail(fmt.Errorf("%w: the dead letters' function is a %T and must be a %T", ErrArgument, with.bad.letter, t.letter))
		}
	}
	return t
}

// attempt calls f, whose panic is an error like another.
func attempt[T, U any](f func(T) (U, error), v T) (u U, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = lineage.Recovered(p)
		}
	}()
	return f(v)
}

// remedy ends the error of a bad record.
const remedy = "to go on without such records use rdd.OnBadRecord(rdd.Skip()) or rdd.DeadLetter"

// refused applies the policy to a record that the function refused. It returns an error
// to fail the task.
func (t trier[T]) refused(tc *task.Context, index int64, record T, cause error) error {
	if tc.Err() != nil { // the function may have noticed
		return context.Cause(tc)
	}
	bad := &BadRecordError{tc.Partition, index, cause}
	policy := t.policy
	if errors.Is(cause, ErrBroadcast) || errors.Is(cause, ErrAccumulator) {
		policy = badFail // it is no fault of the record's
	}
	switch policy {
	case badSkip:
	case badDeadLetter:
		if err := t.letter(PartOf(tc), record, bad); err != nil {
			return t.error(fmt.Errorf("%w; it was to take the %w", err, bad))
		}
	default:
		if p, ok := cause.(*PanicError); ok { // it must stay one, for its stack
			p.Op, p.Site = t.name, t.site
			p.Value += fmt.Sprintf("; it came of the record in partition %d at index %d; %s", tc.Partition, index, remedy)
			return p
		}
		return t.error(fmt.Errorf("%w; %s", bad, remedy))
	}
	tc.Metrics.BadRecords++
	return nil
}

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

// untaken is a bad record that the dead letters' function didn't take. That the record stays a
// bad one, as its error may say, doesn't make the function's failure a permanent one: errors.As
// finds none in it.
type untaken struct{ bad *BadRecordError }

// Error gives the record's coordinates and the reason.
func (u untaken) Error() string { return u.bad.Error() }

// Is reports whether the reason is target.
func (u untaken) Is(target error) bool { return errors.Is(u.bad, target) }

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
	o, bad := sc.trying(name, functions, opts)
	t := trier[T]{op: o, policy: bad.policy}
	if bad.policy == badDeadLetter {
		var ok bool
		if t.letter, ok = bad.letter.(func(Part, T, error) error); !ok {
			t.failLetter(bad.letter, t.letter)
		}
	}
	return t
}

// trying returns an operator that is called with functions that may fail, and what becomes
// of bad records.
func (sc *Context) trying(name string, functions []any, opts []TryOption) (op, BadRecords) {
	var with tryOptions
	for _, o := range opts {
		if o != nil {
			o(&with)
		}
	}
	if with.bad.policy == badDeadLetter {
		functions = append(functions, with.bad.letter)
	}
	return sc.op(name, functions...), with.bad
}

// failLetter says that the dead letters' function is of the wrong type.
func (o op) failLetter(is, want any) {
	o.fail(fmt.Errorf("%w: the dead letters' function is a %T and must be a %T", ErrArgument, is, want))
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
	return t.op.refused(tc, index, t.policy, cause, func(bad error) error { return t.letter(PartOf(tc), record, bad) })
}

// refused applies a policy to a record, which letter hands to the dead letters' function.
func (o op) refused(tc *task.Context, index int64, policy badPolicy, cause error, letter func(bad error) error) error {
	if tc.Err() != nil { // the function may have noticed
		return context.Cause(tc)
	}
	bad := &BadRecordError{tc.Partition, index, cause}
	if errors.Is(cause, ErrBroadcast) || errors.Is(cause, ErrAccumulator) {
		policy = badFail // it is no fault of the record's
	}
	switch policy {
	case badSkip:
	case badDeadLetter:
		if err := letter(bad); err != nil {
			return o.error(fmt.Errorf("%w; it was to take the %w", err, untaken{bad}))
		}
	default:
		if p, ok := cause.(*PanicError); ok { // it must stay one, for its stack
			p.Op, p.Site = o.name, o.site
			p.Value += fmt.Sprintf("; it came of the record in partition %d at index %d; %s", tc.Partition, index, remedy)
			return p
		}
		return o.error(fmt.Errorf("%w; %s", bad, remedy))
	}
	tc.Metrics.BadRecords++
	return nil
}

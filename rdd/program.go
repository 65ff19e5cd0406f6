package rdd

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Value runs f once, on the driver, and returns its result in every copy of the
// program: time, random numbers, files and requests belong in it, since what a program
// does on its own it does in every process. f may use what actions have returned. The
// result is encoded like a record of a shuffle. If f panics, or its result can't be
// encoded, the zero value is returned and the program fails at its next action;
// [TryValue] is for functions that may fail.
func Value[T any](sc *Context, f func() T) T {
	o := sc.op("value", f)
	v, err := value(o, func() (T, error) { return f(), nil })
	if err != nil && sc.lineage.Err() == nil {
		sc.lineage.Fail(err)
	}
	return v
}

// TryValue is [Value] for a function that may fail: its error, as text, is the same in
// every copy of the program too.
func TryValue[T any](sc *Context, f func() (T, error)) (T, error) { return value(sc.op("value", f), f) }

// value asks the runner for a value, unless the program is in error already.
func value[T any](o op, f func() (T, error)) (v T, err error) {
	if err := o.sc.lineage.Err(); err != nil {
		return v, err
	}
	codec, err := encoding.For[T]()
	if err != nil {
		return v, o.error(err)
	}
	if o.sc.runner == nil {
		return v, o.error(ErrNoActions)
	}
	data, err := o.sc.runner.Value(o.site, func() ([]byte, error) {
		v, err := f()
		if err != nil {
			return nil, err
		}
		return codec.Append(nil, v)
	})
	if err != nil {
		return v, o.error(err)
	}
	if v, _, err = codec.Decode(data); err != nil {
		return v, o.error(fmt.Errorf("%w: the value: %w", ErrEncoding, err))
	}
	return v, nil
}

// OnDriver runs f in the driver's copy of the program and nothing in the others:
// effects, such as printing and files, belong in it. What f sets is set on the driver
// only, so nothing that the program does afterwards may depend on it. If f fails or
// panics, so does the program, at its next action.
func (sc *Context) OnDriver(f func() error) {
	o := sc.op("onDriver", f)
	switch {
	case sc.lineage.Err() != nil: // the program can't run
	case sc.runner == nil:
		o.fail(ErrNoActions)
	default:
		o.fail(sc.runner.OnDriver(o.site, f))
	}
}

package rdd

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Broadcast is a value that tasks read: a table, say, that is too large to be made by each
// process. See [NewBroadcast].
type Broadcast[T any] struct {
	site   lineage.Site
	decode func() (T, error) // once
}

// NewBroadcast makes a value of the program one that functions on executors can use. It is
// encoded once, on the driver; each process decodes those bytes once, when the value is
// first asked for. So all tasks see what the driver's copy of the program made, also if
// another process's copy would have made something else.
//
// A value that any process makes alike, cheaply, needs no broadcast: functions can use the
// program's variables.
func NewBroadcast[T any](sc *Context, v T) *Broadcast[T] {
	o := sc.op("broadcast")
	b := &Broadcast[T]{site: o.site}
	bytes, err := o.broadcast(func() ([]byte, error) {
		codec, err := encoding.For[T]()
		if err != nil {
			return nil, err
		}
		return codec.Append(nil, v)
	})
	if err != nil {
		o.fail(err)
		bytes = func() ([]byte, error) { return nil, err }
	}
	b.decode = once(func() (v T, err error) {
		encoded, err := bytes()
		if err != nil {
			return v, err
		}
		codec, err := encoding.For[T]()
		if err != nil {
			return v, err
		}
		v, _, err = codec.Decode(encoded)
		return v, err
	})
	return b
}

// broadcast returns what gives the bytes of a new broadcast value.
func (o op) broadcast(encode func() ([]byte, error)) (bytes func() ([]byte, error), err error) {
	sc := o.sc
	if sc.lineage.TooLate(o.name, func() lineage.Site { return o.site }) {
		return func() ([]byte, error) { return nil, errLateBroadcast }, nil
	}
	d := Declared{Number: sc.broadcasts, Site: o.site}
	sc.broadcasts++
	var encoded []byte
	switch r := sc.runner.(type) {
	case BroadcastingRunner:
		return r.Broadcast(d, encode)
	case valueRunner:
		encoded, err = r.Value(o.site, encode)
	default:
		encoded, err = encode()
	}
	return func() ([]byte, error) { return encoded, nil }, err
}

// valueRunner is a Runner that has a value computed on the driver and returns its bytes in
// every copy of the program.
type valueRunner interface {
	Value(site lineage.Site, compute func() ([]byte, error)) ([]byte, error)
}

var errLateBroadcast = errors.New("it was made in a task or an output")

// Value returns the value, in a function on executors or in the program. It is the
// process's only one: don't change it. If the driver's bytes can't be had the task fails,
// by a panic with an error that says [ErrBroadcast].
func (b *Broadcast[T]) Value() T {
	v, err := b.decode()
	if err != nil {
		panic(&OpError{Op: "broadcast", Site: b.site, Err: fmt.Errorf("%w: %w", ErrBroadcast, err)})
	}
	return v
}

// once returns f that is called until it succeeds, by one goroutine at a time.
func once[T any](f func() (T, error)) func() (T, error) {
	var (
		mu    sync.Mutex
		done  bool
		value T
	)
	return func() (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return value, nil
		}
		v, err := f()
		if err == nil {
			value, done, f = v, true, nil // what f holds may be large
		}
		return v, err
	}
}

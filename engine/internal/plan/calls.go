package plan

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Calls are the functions of the program that run now in this process, so that
// one that doesn't return can be named. The methods of nil note nothing.
//
// THREADING: all methods are safe for concurrent use. Functions run on goroutines of their own,
// which are kept for the next ones, since each that is new grows its stack first; while a driver
// runs ([Calls.Inline]) on their callers', but for those of [Calls.Apart]. Close ends those that
// are idle; others end when their functions return.
type Calls struct {
	exits atomic.Pointer[func(error)] // see Inline; nil for goroutines of their own

	mu      sync.Mutex
	begun   uint64
	running map[uint64]call
	idle    []*helper // the one that was used last at the end
	closed  bool
}

// maxIdle bounds the goroutines that are kept: whoever calls functions one after the other
// needs one.
const maxIdle = 4

// call is a function of the program that hasn't returned.
type call struct {
	what  any // printed when somebody asks
	since time.Time
}

// Begin notes a call; end says that it has returned.
func (c *Calls) Begin(what any) (end func()) {
	if c == nil {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		c.running = make(map[uint64]call)
	}
	c.begun++
	id := c.begun
	c.running[id] = call{what, time.Now()}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.running, id)
	}
}

// Guard calls a function of the program and turns a panic into an error, which
// doesn't say what was called: the caller's does.
func (c *Calls) Guard(what any, f func() error) error {
	defer c.Begin(what)()
	if c != nil {
		if exits := c.exits.Load(); exits != nil {
			return inline("", f, func() { (*exits)(fmt.Errorf("%v: %w", what, errGoexit)) })
		}
	}
	return c.apart(f)
}

// Apart is Guard for a caller whose goroutine goes on whatever the function does: also while others
// are called inline it has a goroutine of its own.
func (c *Calls) Apart(what any, f func() error) error {
	defer c.Begin(what)()
	return c.apart(f)
}

// Inline has Guard call functions on its callers' goroutines until end is called: a batch calls
// several, and handing each to another goroutine and back costs more than most of them do.
// A function that ends its goroutine (runtime.Goexit) ends its caller's, and the error of that is
// given to exits.
func (c *Calls) Inline(exits func(error)) (end func()) {
	if c == nil {
		return func() {}
	}
	c.exits.Store(&exits)
	return func() { c.exits.Store(nil) }
}

// apart is [Guard] on a goroutine that is there already, if one is.
func (c *Calls) apart(f func() error) error {
	if c == nil {
		return Guard("", f)
	}
	h := c.take()
	there, err := h.do("", f)
	if there {
		c.keep(h)
	}
	return err
}

// take returns the idle helper that was used last, or a new one.
func (c *Calls) take() *helper {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.idle) - 1
	if last < 0 {
		return startHelper()
	}
	h := c.idle[last]
	c.idle[last] = nil
	c.idle = c.idle[:last]
	return h
}

// keep makes a helper idle, or ends it if there are enough.
func (c *Calls) keep(h *helper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= maxIdle {
		close(h.calls)
		return
	}
	c.idle = append(c.idle, h)
}

// Close ends the goroutines that no function runs on. Functions may be called still.
func (c *Calls) Close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	for _, h := range idle {
		close(h.calls)
		<-h.done
	}
}

// maxNamed bounds the calls that a message names.
const maxNamed = 8

// String names the calls that run, the oldest first.
func (c *Calls) String() string {
	if c == nil {
		return "unknown"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]call, 0, len(c.running))
	for _, r := range c.running {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b call) int { return a.since.Compare(b.since) })
	var names []string
	for _, r := range all[:min(len(all), maxNamed)] {
		names = append(names, fmt.Sprintf("%v (for %s)", r.what, time.Since(r.since).Round(100*time.Millisecond)))
	}
	if more := len(all) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if len(names) == 0 {
		return "none of the program's functions"
	}
	return strings.Join(names, ", ")
}

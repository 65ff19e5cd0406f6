package plan

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Calls are the functions of the program that run now in this process, so that
// one that doesn't return can be named. The methods of nil note nothing.
type Calls struct {
	mu      sync.Mutex
	begun   uint64
	running map[uint64]call
}

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
	return Guard("", f)
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

package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/scheduler"
)

// calls are the functions of the program that run now in this process, so that
// one that doesn't return can be named. The methods of nil do nothing but call.
type calls struct {
	mu      sync.Mutex
	begun   uint64
	running map[uint64]call
}

// call is a function of the program that hasn't returned.
type call struct {
	what  any // printed when somebody asks
	since time.Time
}

// begin notes a call; end says that it has returned.
func (c *calls) begin(what any) (end func()) {
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

// guard calls a function of the program and turns a panic into an error, which
// doesn't say what was called: the caller's does.
func (c *calls) guard(what any, f func() error) error {
	defer c.begin(what)()
	return guardDriver("", f)
}

// maxNamed bounds the calls that a message names.
const maxNamed = 8

// String names the calls that run, the oldest first.
func (c *calls) String() string {
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

// taskCall is a task that runs in this process.
type taskCall struct {
	node *rdd.Node // the last operator that it computes
	id   scheduler.TaskID
}

// String names the task by its operator.
func (t taskCall) String() string {
	return fmt.Sprintf("a task of %s at %s (%s)", t.node.Op, t.node.Site, t.id)
}

package kafka

import (
	"math"
	"sync"
	"time"
)

// pace passes on that there is something to read once a limit lets a record of each partition
// into the next batch, not before: that would be empty.
//
// THREADING: mu guards all but ready, which is called by the timer's goroutine with it held.
type pace struct {
	ready func()        // doesn't block
	gap   time.Duration // in which the limit lets a record in

	mu     sync.Mutex
	next   time.Time   // when the next plan may come
	timer  *time.Timer // calls tell
	closed bool
}

// newPace returns the pace of a limit in records per second.
func newPace(maxRate float64, ready func()) *pace {
	gap := min(math.Ceil(float64(time.Second)/maxRate), math.MaxInt64/4) // long after any interval
	p := &pace{ready: ready, gap: time.Duration(gap)}
	p.timer = time.AfterFunc(p.gap, p.tell)
	p.timer.Stop()
	return p
}

// planning says that a plan is made now, which takes up all that was told before.
func (p *pace) planning() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = time.Now().Add(p.gap)
	p.timer.Stop()
}

// more says that there is something to read beyond the plan.
func (p *pace) more() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.timer.Reset(time.Until(p.next))
	}
}

// tell is called when it is time, unless a plan has come first.
func (p *pace) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && !time.Now().Before(p.next) {
		p.ready()
	}
}

// close ends it: ready isn't called any more.
func (p *pace) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.timer.Stop()
}

package receivers

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// received keeps what is received until it is processed.
type received interface {
	// Append appends records and returns when batches will have them. It waits while there is no
	// room. Any goroutine may call it; the generator calls the others.
	Append(ctx context.Context, records ...[]byte) error
	// Full reports whether a record may have to wait for room.
	Full() bool
	// plan says what the next batch reads of what was received.
	plan(ctx context.Context, req engine.PlanRequest) (engine.Plan, error)
	// completed is told of a batch that is complete.
	completed(ranges []byte) error
	Close() error
}

// planner runs a stream's receiver and plans its batches, on the driver.
//
// THREADING: the generator plans; one goroutine, which Close ends and waits for, runs the
// receiver. mu guards what both use.
type planner struct {
	source
	log received

	stop  context.CancelFunc
	ended chan struct{} // closed when the receiver has ended

	mu    sync.Mutex
	ready func() // unless nil, told of records
	held  string // why nothing is received
	since time.Time
}

// openPlanner opens the stream's log and starts the receiver.
func openPlanner(ctx context.Context, s source) (*planner, error) {
	log, err := openReceived(ctx, s)
	if err != nil {
		return nil, err
	}
	p := &planner{source: s, log: log, ended: make(chan struct{})}
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx)) // Close ends it
	go p.run(ctx)
	return p, nil
}

// openReceived opens the log of a stream.
func openReceived(ctx context.Context, s source) (received, error) {
	if s.shared {
		return openShared(ctx, s)
	}
	return openLocal(s)
}

// Close waits for the receiver so long, and longer where it may be writing a file.
const (
	closePatience  = 10 * time.Second
	sharedPatience = 35 * time.Second
)

// Close ends the receiver and closes the log. A receiver that doesn't end is left to itself: what
// it still stores is an error.
func (p *planner) Close() error {
	p.stop()
	most := closePatience
	if p.shared {
		most = sharedPatience
	}
	patience := time.NewTimer(most)
	defer patience.Stop()
	select {
	case <-p.ended:
	case <-patience.C:
		p.logger.Warn("a receiver goes on although its context has ended: it should return then", "stream", p.op, "after", most)
	}
	return p.log.Close()
}

// Pauses before a receiver is called again, or a file removed: from the first, doubled, to the longest.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// run calls the receiver again and again, until ctx ends or it says that nothing more comes.
func (p *planner) run(ctx context.Context) {
	defer close(p.ended)
	pause := firstPause
	for {
		var stored atomic.Bool
		err := p.once(ctx, &stored)
		if err == nil {
			p.note("")
		}
		if ctx.Err() != nil || err == nil {
			return
		}
		if stored.Load() {
			pause = firstPause
		}
		p.note(fmt.Sprintf("nothing is received: %v; it is tried again after %s", err, pause))
		p.logger.Warn("a receiver has ended and is started again", "stream", p.op, "pause", pause, "err", err)
		if !slept(ctx, pause) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// slept waits for so long. It reports false if ctx ends before.
func slept(ctx context.Context, pause time.Duration) bool {
	again := time.NewTimer(pause)
	defer again.Stop()
	select {
	case <-again.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once calls the receiver, whose panic is an error, and says whether it has stored anything.
func (p *planner) once(ctx context.Context, stored *atomic.Bool) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = lineage.Recovered(v)
		}
	}()
	return p.receive(ctx, func(own context.Context, records ...[]byte) error {
		if len(records) > 0 {
			if err := p.append(ctx, own, records); err != nil {
				return err
			}
			stored.Store(true)
			p.tell()
		}
		p.note("")
		return nil
	})
}

// append appends records unless the receiver's context ends meanwhile, or that which it gave to
// store.
func (p *planner) append(ctx, own context.Context, records [][]byte) error {
	if own != ctx {
		var cancel context.CancelCauseFunc
		own, cancel = context.WithCancelCause(own)
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	}
	return p.log.Append(own, records...)
}

// note takes why nothing is received, "" if something is.
func (p *planner) note(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == "" {
		p.since = time.Now()
	}
	p.held = why
}

// tell tells that there are records.
func (p *planner) tell() {
	p.mu.Lock()
	ready := p.ready
	p.mu.Unlock()
	if ready != nil {
		ready()
	}
}

// Notify makes the planner tell when there are records.
func (p *planner) Notify(ready func()) {
	p.mu.Lock()
	p.ready = ready
	p.mu.Unlock()
	ready()
}

// Plan says what of what was received the batch reads.
func (p *planner) Plan(ctx context.Context, req engine.PlanRequest) (engine.Plan, error) {
	plan, err := p.log.plan(ctx, req)
	if why, since := p.holds(); why != "" {
		plan.Held, plan.HeldSince = why, since
	}
	return plan, err
}

// holds says what holds the stream up, and since when if that is known.
func (p *planner) holds() (why string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != "" {
		return p.held, p.since
	}
	if p.log.Full() {
		why = fmt.Sprintf("the log of what is received is full: nothing more is taken from the source until batches are complete that read it, and no window or state reaches back to them; should it stay so, raise receivers.MaxBytes(%d)", p.options.maxBytes)
	}
	return why, time.Time{}
}

// Completed notes that a batch's records were read.
func (p *planner) Completed(_ context.Context, encoded []byte) error { return p.log.completed(encoded) }

package receivers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// planner runs a stream's receiver and plans its batches, on the driver.
//
// THREADING: the generator plans; one goroutine, which Close ends and waits for, runs the
// receiver. mu guards what both use.
type planner struct {
	source
	logs      *segments.Log
	temporary string // its directory, if it is one that is removed
	complete  int64  // records before this one are in batches that are complete

	stop     context.CancelFunc
	received chan struct{} // closed when the receiver has ended

	mu    sync.Mutex
	ready func() // unless nil, told of records
	held  string // why nothing is received
	since time.Time
}

// openPlanner opens the stream's log and starts the receiver.
func openPlanner(ctx context.Context, s source) (_ *planner, err error) {
	p := &planner{source: s, received: make(chan struct{})}
	dir := s.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "hibana-received-"); err != nil {
			return nil, fmt.Errorf("making a directory for what is received: %w", err)
		}
		p.temporary = dir
	}
	p.logs, err = segments.Open(segments.Options{Dir: dir, Most: s.options.maxBytes, Durable: s.dir != "", Logger: s.log})
	if err != nil {
		return nil, errors.Join(err, p.removeTemporary())
	}
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx)) // Close ends it
	go p.run(ctx)
	return p, nil
}

func (p *planner) removeTemporary() error {
	if p.temporary == "" {
		return nil
	}
	return os.RemoveAll(p.temporary)
}

// closePatience is how long Close waits for the receiver.
const closePatience = 10 * time.Second

// Close ends the receiver and closes the log. A receiver that doesn't end is left to itself: what
// it still stores is an error.
func (p *planner) Close() error {
	p.stop()
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-p.received:
	case <-patience.C:
		p.log.Warn("a receiver goes on although its context has ended: it should return then", "stream", p.op, "after", closePatience)
	}
	return errors.Join(p.logs.Close(), p.removeTemporary())
}

// Pauses before a receiver is called again: from the first, doubled, to the longest.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// run calls the receiver again and again, until ctx ends or it says that nothing more comes.
func (p *planner) run(ctx context.Context) {
	defer close(p.received)
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
		p.log.Warn("a receiver has ended and is started again", "stream", p.op, "pause", pause, "err", err)
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
		pause = min(2*pause, longestPause)
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
	return p.logs.Append(own, records...)
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

// Plan cuts what the batch may hold from what was received and not planned.
func (p *planner) Plan(_ context.Context, req engine.PlanRequest) (engine.Plan, error) {
	from := p.logs.Begin()
	if req.Previous != nil {
		before, err := decodeRanges(req.Previous)
		if err != nil {
			return engine.Plan{}, fmt.Errorf("the records of the batch before: %w", err)
		}
		if before.dir == "" || before.dir == p.temporary { // else the log before has ended with its process
			from = before.until
		}
	}
	if err := p.release(req.Kept); err != nil {
		return engine.Plan{}, err
	}
	parts, until, left, err := p.logs.Cut(from, req.Budget, p.parallelism)
	if err != nil {
		return engine.Plan{}, err
	}
	if err := p.logs.Sync(); err != nil {
		return engine.Plan{}, err
	}
	plan := engine.Plan{Records: until.Record - from.Record, Backlog: left}
	plan.Held, plan.HeldSince = p.holds()
	plan.Ranges, err = encodeRanges(ranges{dir: p.temporary, parts: parts, from: from.Record, until: until})
	return plan, err
}

// holds says what holds the stream up, and since when if that is known.
func (p *planner) holds() (why string, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held != "" {
		return p.held, p.since
	}
	if p.logs.Full() {
		why = fmt.Sprintf("the log of what is received is full: nothing more is taken from the source until batches are complete that read it, and no window or state reaches back to them; should it stay so, raise receivers.MaxBytes(%d)", p.options.maxBytes)
	}
	return why, time.Time{}
}

// release deletes what no batch reads any more: before the first one that isn't complete, and
// before the first that others reach back to, whose ranges are kept.
func (p *planner) release(kept []byte) error {
	before := int64(math.MaxInt64)
	if kept != nil {
		r, err := decodeRanges(kept)
		if err != nil {
			return fmt.Errorf("the records of an earlier batch: %w", err)
		}
		before = r.from
	}
	if err := p.logs.Release(min(before, p.complete)); err != nil { // it is tried again at the next plan
		p.log.Warn("a log of what is received can't be made smaller", "stream", p.op, "err", err)
	}
	return nil
}

// Completed notes that a batch's records were read.
func (p *planner) Completed(_ context.Context, encoded []byte) error {
	r, err := decodeRanges(encoded)
	if err == nil {
		p.complete = r.until.Record
	}
	return err
}

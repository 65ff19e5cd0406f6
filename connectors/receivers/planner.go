package receivers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine"
)

// planner runs the receiver of a stream whose log is on this machine, and plans its batches, on
// the driver.
//
// THREADING: the generator plans; the receiver's goroutines store, until Close has waited for
// them.
type planner struct {
	source
	log    *localLog
	caller *caller
	stop   context.CancelFunc
	state
}

// openPlanner opens the stream's log and starts the receiver.
func openPlanner(ctx context.Context, s source) (*planner, error) {
	log, err := openLocal(s)
	if err != nil {
		return nil, err
	}
	p := &planner{source: s, log: log}
	p.caller = &caller{source: s, append: p.append, note: p.note}
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx)) // Close ends it
	p.caller.begin(ctx)
	return p, nil
}

// append appends to the log, and tells that there are records.
func (p *planner) append(ctx context.Context, records ...[]byte) error {
	err := p.log.Append(ctx, records...)
	if err == nil {
		p.tell()
	}
	return err
}

// closePatience is how long Close waits for the receiver.
const closePatience = 10 * time.Second

// Close ends the receiver and closes the log.
func (p *planner) Close() error {
	p.stop()
	p.caller.await(closePatience)
	return p.log.Close()
}

// Plan says what of what was received the batch reads.
func (p *planner) Plan(_ context.Context, req engine.PlanRequest) (engine.Plan, error) {
	plan, err := p.log.plan(req)
	plan.Held, plan.HeldSince = p.holds()
	if plan.Held == "" && p.log.Full() {
		plan.Held = fullLog(p.source)
	}
	return plan, err
}

// fullLog says that the log is full.
func fullLog(s source) string {
	return fmt.Sprintf("the log of what is received is full: nothing more is taken from the source until batches are complete that read it, and no window or state reaches back to them; should it stay so, raise receivers.MaxBytes(%d)", s.options.maxBytes)
}

// Completed notes that a batch's records were read.
func (p *planner) Completed(_ context.Context, encoded []byte) error { return p.log.completed(encoded) }

// state is what a stream's receiver says of itself. It is safe for concurrent use.
type state struct {
	mu    sync.Mutex
	ready func() // unless nil, told of records
	held  string // why nothing is received
	since time.Time
}

// note takes why nothing is received, "" if something is.
func (s *state) note(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == "" {
		s.since = time.Now()
	}
	s.held = why
}

// holds says what holds the stream up, and since when.
func (s *state) holds() (why string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == "" {
		return "", time.Time{}
	}
	return s.held, s.since
}

// tell tells that there are records.
func (s *state) tell() {
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	if ready != nil {
		ready()
	}
}

// Notify makes the planner tell when there are records.
func (s *state) Notify(ready func()) {
	s.mu.Lock()
	s.ready = ready
	s.mu.Unlock()
	ready()
}

package engine

import (
	"context"
	"iter"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Input is a source of a stream, as a connector implements it. Open runs on the
// active driver only; Generate runs in every process and is a function of the
// ranges alone.
type Input[T any] interface {
	// Open prepares planning on the driver.
	Open(ctx context.Context) (Planner, error)
	// Generate returns the number of partitions that a batch's ranges make and
	// how a task reads one. It does no I/O.
	Generate(ranges []byte) (partitions int, read func(tc *task.Context, partition int) iter.Seq2[T, error], err error)
}

// Prefetcher is an Input that can begin to read before a batch's tasks run.
type Prefetcher interface {
	// Prefetch is told on an executor what a batch that was just planned will
	// read. It must not block. The function that it returns, unless it is nil, is called when
	// the batch is complete: what is left of it other executors have read.
	Prefetch(p *task.Process, ranges []byte) (forget func())
}

// A Receiver is an Input with a part that runs all the time, on one executor: beside its tasks
// and without a slot, if the planner is a [Receiving]. Which executor the driver decides. When
// that is lost another one runs it, also if the first has only lost its connection and goes on
// for some seconds, until it has noticed: so two may run at a time, and nothing of the one may
// depend on the other.
type Receiver interface {
	// Receive runs until ctx ends, for whose return the stream's end waits 40 seconds and an
	// executor's a second, or until nothing more comes: then, as a rule, it isn't called again
	// until the job has another driver. It is if the driver doesn't learn that it has
	// returned, since the connection broke first. A panic fails the stream. tell hands a
	// message to the planner, in order and without waiting; when the stream or the connection
	// has ended it does nothing. A message may be lost with the driver or the executor: what
	// mustn't be has to lie where the planner can find it.
	Receive(ctx context.Context, tell func(message []byte))
}

// Positioner is an Input that can say, for people, how far a job has read.
type Positioner interface {
	// Positions returns where a batch's ranges end.
	Positions(ranges []byte) ([]Position, error)
}

// Position is how far one partition of an input's source was read.
type Position = plan.Position

// Planner plans an input's batches on the driver. One goroutine uses it.
type Planner interface {
	// Plan returns what the next batch reads.
	Plan(ctx context.Context, req PlanRequest) (Plan, error)
	// Completed is told when a batch is complete, in order, before the next plan and within some
	// seconds; its error is logged and nothing else.
	Completed(ctx context.Context, ranges []byte) error
	// Close releases what the planner holds.
	Close() error
}

// Notifier is a Planner that knows when there is something to read. Others are
// asked at multiples of the batch interval only, where a program plans as soon as
// possible (--asap).
type Notifier interface {
	// Notify makes the planner call ready, until it is closed, when there may be
	// records beyond the last plan, at once if there are. It returns at once. ready
	// may be called by any goroutine and too often, and doesn't block.
	Notify(ready func())
}

// Neighbour is a Planner that has a use for the process of its input's tasks, where
// that is the driver's (local mode): what it has read while it waited for records need
// not be read again.
type Neighbour interface {
	// Beside is called before Notify.
	Beside(p *task.Process)
}

// Receiving is a Planner whose input must be a [Receiver], which an executor runs. Any goroutine
// may call its methods, until Close. They don't block.
type Receiving interface {
	// Told takes a message of the receiver's, several receivers' maybe.
	Told(message []byte)
	// Lost is called when no executor runs the input's receiver, with the reason: any more,
	// or yet. When one does nothing is called: the receiver may tell that.
	Lost(why string)
}

// Bounded is a Planner that can leave to others what comes later. A program that
// is to read until the end (--until-end) needs inputs that are.
type Bounded interface {
	// UntilEnd makes what can be read now all that is planned: the plan that
	// reaches its end says so (Plan.Ended), and those after it are empty and say it
	// too. It is called once, before the first plan.
	UntilEnd(ctx context.Context) error
}

// PlanRequest says what a plan follows and how much it may hold.
type PlanRequest struct {
	Seq      uint64
	Time     time.Time
	Interval time.Duration
	Previous []byte // ranges of the batch before, nil for a job's first
	// Kept are the ranges of the first batch that this one and later ones may reach back
	// to, by windows and states, nil if they reach back to none: what lies before them, and
	// before the first batch that isn't complete, is never read again.
	Kept []byte
	// Elapsed is the time for which the batch reads: since the batch before, an
	// interval for a job's first or after a pause in which nothing ran. A rate
	// times it is what the batch may hold.
	Elapsed time.Duration
	// Budget is how many records the batch may hold, 0 for any number. It may be a
	// fraction: those are carried over to the next batch by whoever rounds.
	Budget float64
	// Waiting, unless nil, takes what Plan waits for, such as a broker that doesn't
	// answer: it stands in the job's status until Plan returns. It may be called again
	// with something new.
	Waiting func(why string)
}

// Plan is one input's share of a batch.
type Plan struct {
	Ranges  []byte // in the input's own encoding
	Records int64  // how many records they hold at most
	Backlog int64  // how many more were waiting
	// Blocked is how many of Backlog the batch couldn't have held whatever its
	// budget: those of a transaction that is still open, or over a rate's limit. An
	// input's part of the next budget goes by the others, so that it takes none
	// away from inputs that can use it.
	Blocked int64
	// Pace is for how long after the plan began a rate's limit lets in no record that the plan
	// doesn't hold, 0 without one. No batch is planned for Backlog in that time;
	// [Notifier]'s ready is called when it is over.
	Pace time.Duration
	// Lost is how many records were deleted before they were planned, and are left out by
	// the program's policy. They are counted in the batch's metrics, unless a driver that
	// takes over runs the batch: the log doesn't have them.
	Lost int64
	// Held says why the batch doesn't hold what is there although it may, e.g.
	// that an open transaction is waited for. It is empty when nothing is in the
	// way; the driver logs when that changes.
	Held string
	// HeldSince is since when that is so; zero stands for since this plan.
	HeldSince time.Time
	// Ended says, after UntilEnd, that nothing is left to read behind the plan.
	Ended bool
	// Lags are, of an input with partitions, how many records of each wait behind the
	// batch: those of Backlog by partition.
	Lags []Lag
}

// Lag says how many records of a partition were waiting behind a batch.
type Lag = plan.Lag

// NewInput declares a stream that reads from in, under an operator name. functions
// are the functions of the user that in calls: they tell the stream from others.
func NewInput[T any](ssc *StreamingContext, op string, in Input[T], functions ...any) *DStream[T] {
	decl := plan.Declared(op, functions...)
	graph := &ssc.program.Graph
	node := &plan.Input{Stream: graph.AddStream(decl), Source: in, Open: func(ctx context.Context) (plan.Planner, error) {
		p, err := in.Open(ctx)
		if err != nil {
			return nil, err
		}
		return planner{p}, nil
	}}
	if p, ok := in.(Prefetcher); ok {
		node.Prefetch = p.Prefetch
	}
	if r, ok := in.(Receiver); ok {
		node.Receive = r.Receive
	}
	if p, ok := in.(Positioner); ok {
		node.Positions = p.Positions
	}
	if !graph.Frozen() {
		graph.Inputs = append(graph.Inputs, node)
	}
	return &DStream[T]{ssc: ssc, node: node.Stream, make: func(g *plan.Generation) *rdd.RDD[T] {
		a := g.Alloc.Input(node.ID)
		if a == nil { // the batch was planned before the program had this input
			return rdd.Source[T](g.RDDs, op, decl.Site, 0, nil)
		}
		type source struct {
			partitions int
			read       func(tc *task.Context, partition int) iter.Seq2[T, error]
			err        error
		}
		s := g.Made(node.ID, func() any {
			partitions, read, err := in.Generate(a.Ranges)
			return source{partitions, read, err}
		}).(source)
		partitions, read, err := s.partitions, s.read, s.err
		if err != nil {
			g.Lineage.Fail(&rdd.OpError{Op: op, Site: decl.Site, Err: err})
			partitions, read = 0, nil
		}
		return rdd.Source(g.RDDs, op, decl.Site, partitions, read)
	}}
}

// planner is a Planner as the driver sees it.
type planner struct{ Planner }

func (p planner) Plan(ctx context.Context, req plan.PlanRequest) (plan.Share, error) {
	share, err := p.Planner.Plan(ctx, PlanRequest(req))
	return plan.Share(share), err
}

func (p planner) Beside(process *task.Process) error {
	if n, ok := p.Planner.(Neighbour); ok {
		n.Beside(process)
	}
	return nil
}

func (p planner) Notify(ready func()) error {
	if n, ok := p.Planner.(Notifier); ok {
		n.Notify(ready)
	}
	return nil
}

func (p planner) Receiving() plan.Receiving {
	if r, ok := p.Planner.(Receiving); ok {
		return r
	}
	return nil
}

func (p planner) UntilEnd(ctx context.Context) error {
	if b, ok := p.Planner.(Bounded); ok {
		return b.UntilEnd(ctx)
	}
	return ErrEndless
}

package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// Config says what a driver works with.
type Config struct {
	Program      *plan.Program // the driver's copy
	Header       plan.JobHeader
	Epoch        uint64
	Recovered    plan.LogState // before this driver took over
	Batches      plan.Log
	Cluster      Cluster
	Participants []Participant
	States       StateKeeper // saves states at the end; nil if that isn't wanted
	Models       plan.ModelControl
	Planners     []plan.Planner   // of the inputs in the graph's order, as far as they are open already; New takes them over
	Listeners    []plan.Listener  // beside the program's
	Troubles     *plan.Troubles   // takes what is wrong while it lasts; may be nil
	Failing      func(err error)  // is told at once why the stream fails, the first time; may be nil
	Clock        func() time.Time // that batches' times go by; nil for time.Now
	Log          *slog.Logger
}

// Driver runs one job on the active driver: it plans a batch at each tick, logs
// it, generates its RDDs and runs its outputs.
//
// THREADING: Run starts six kinds of goroutines and waits for all of them. The
// generator owns planners, the rate estimator and what is beside them in the struct,
// and runs planned batches itself (runHere) or sends them to the runner over queue, which it
// closes; before it plans one it puts a token into room, which who runs the batch takes out. The
// runner starts streaming.concurrentJobs goroutines, which run one batch after the other and
// take turns, so that one after the other finishes its batch, and who does owns the summary.
// Driver tasks belong to the user, a participant's goroutine to the participant; one has
// executors run the inputs' receivers and waits for these. What the runner tells the generator
// goes through ran, rides and completed; listeners are called under busLock.
type Driver struct {
	Config

	abort, stop context.CancelCauseFunc // end work, and planning
	failed      sync.Once

	planners     []plan.Planner // one for each input, nil until it is open
	names        names
	history      plan.History
	reach        time.Duration   // how far batches reach back, 0 for not at all
	apart        time.Duration   // least time from a batch to the next as soon as possible, 0 for none
	slides       []time.Duration // of streams that don't have an RDD in every batch
	stateOutputs map[int32]int32 // the last output that is made of each state, by its stream
	kept         atomic.Uint64   // the first batch that the history holds for others
	held         []heldLog
	demand       []int64         // of each input: records that it had to read at the last plan
	rate         *rateController // of all inputs together
	longest      time.Duration   // processing time of late
	room         chan struct{}   // holds a token for each batch that is being planned or waits
	queue        chan *plannedBatch
	under        atomic.Int64  // batches that are planned and not complete
	freed        chan struct{} // holds a token when one was completed
	rides        chan *ride    // as soon as possible, of the batch that is done when the generator waits for it
	ended        bool          // the generator has planned all that was there at the start
	summary      summary

	busLock sync.Mutex

	last lastBatch

	doneLock  sync.Mutex
	usual     time.Duration // processing time of late
	ran       []ranBatch
	completed []*plan.Allocation
}

// New returns a driver that is to be run.
func New(c Config) *Driver {
	if l := c.Program.Listener; l != nil {
		c.Listeners = append([]plan.Listener{l}, c.Listeners...)
	}
	d := &Driver{Config: c, planners: make([]plan.Planner, len(c.Program.Graph.Inputs)), names: namesOf(&c.Program.Graph)}
	copy(d.planners, c.Planners)
	return d
}

// Cluster is what the driver needs of those who compute.
type Cluster interface {
	// Process is what the process keeps that the tasks run in, nil unless that is
	// this one.
	Process() *task.Process
	// Invoke tells the executors of a batch: they generate the same RDDs and
	// compare the lineage's hash.
	Invoke(ctx context.Context, gen *plan.Generation, inv plan.Invocation) error
	// Receive has executors run inputs' receivers, each on one of them at a time, until ctx
	// ends. Then it ends the receivers and waits for them, as long as r.Patience. It returns
	// the inputs whose receivers go on; they are heard no longer.
	Receive(ctx context.Context, r plan.Reception) (left []int32)
	// Run runs the job of one output.
	Run(ctx context.Context, gen *plan.Generation, output int32) (*scheduler.JobResult, error)
	// Remember tells the executors of a batch that is complete and that others reach
	// back to, before they are invoked.
	Remember(a *plan.Allocation) error
	// Forget drops what is kept of the batches before until, which are complete, but for
	// what those reach back to that come: of batches before keep all is dropped.
	Forget(until, keep uint64)
}

// plannedBatch is a batch on its way from the generator to the runner.
type plannedBatch struct {
	alloc    *plan.Allocation
	gen      *plan.Generation
	done     map[int32]bool // outputs that were done before a restart
	info     plan.BatchInfo
	lost     int64     // records that the plan left out, since they were deleted
	queued   time.Time // when it was ready to run
	replayed bool
	left     leftOver
}

// ranBatch is what the generator learns of a batch whose outputs are done.
type ranBatch struct {
	info   plan.BatchInfo
	lost   int64         // of info.Records, those that tasks have found deleted
	waited time.Duration // behind other batches
	at     time.Time
}

// fail ends planning and work if err isn't nil, and says so at once: what still
// runs may take its time.
func (d *Driver) fail(err error) {
	if err == nil {
		return
	}
	d.failed.Do(func() {
		if d.Failing != nil {
			d.Failing(err)
		}
	})
	d.abort(err)
	d.stop(err)
}

// open brings the participants in, runs the program's effects and opens its
// inputs and outputs.
func (d *Driver) open(ctx context.Context) error {
	for _, p := range d.Participants {
		if err := p.Open(ctx, d.Epoch, &d.Recovered); err != nil {
			return err
		}
	}
	for _, f := range d.Program.OnDriver {
		what := fmt.Sprintf("OnDriver at %s", f.Site)
		if err := d.Program.Calls.Guard(what, func() error { return f.Run(ctx) }); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	d.rate = newRateController(&d.Program.Settings, d.Program.Interval, d.Recovered.Last)
	if d.Program.Cadence != plan.ByInterval {
		d.rate.pace = 0
	}
	d.demand = make([]int64, len(d.Program.Graph.Inputs))
	for i, in := range d.Program.Graph.Inputs {
		if d.planners[i] == nil {
			p, err := OpenInput(ctx, in, d.Program.Calls)
			if err != nil {
				return err
			}
			d.planners[i] = p
		}
		d.held = append(d.held, heldLog{log: d.Log})
		if d.Program.Cadence == plan.UntilEnd {
			if err := d.planners[i].UntilEnd(ctx); err != nil {
				return &rdd.OpError{Op: in.Op, Site: in.Site, Err: err}
			}
		}
	}
	for _, out := range d.Program.Graph.Outputs {
		if out.Open == nil {
			continue
		}
		what := fmt.Sprintf("%s at %s", out.Op, out.Site)
		if err := d.Program.Calls.Guard(what, func() error { return out.Open(ctx) }); err != nil {
			return &rdd.OpError{Op: out.Op, Site: out.Site, Err: err}
		}
	}
	return nil
}

// close closes the planners.
func (d *Driver) close() error {
	var errs []error
	for i, p := range d.planners {
		if p != nil {
			errs = append(errs, p.Close())
			d.planners[i] = nil
		}
	}
	return errors.Join(errs...)
}

// tell calls the listeners, one event at a time.
func (d *Driver) tell(e plan.Event) {
	d.busLock.Lock()
	defer d.busLock.Unlock()
	for _, l := range d.Listeners {
		l(e)
	}
}

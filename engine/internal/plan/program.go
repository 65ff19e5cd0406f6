package plan

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Program is one copy of the user's program: what a StreamingContext was given
// and what the build function declared in it. The driver runs the driver's copy,
// an executor its own. It is complete when [Program.Build] has returned, or
// [Program.BuildBatch].
type Program struct {
	App         string
	Interval    time.Duration
	Cadence     Cadence
	Settings    Settings
	Parallelism int  // partition count of shuffles that name none
	Durable     bool // the batch log outlives the process
	Looking     bool // only the build function runs, for what is printed of the job
	Values      *ValueLog
	Log         *slog.Logger
	Stdout      io.Writer

	// Body is a batch program, nil for a stream. It is called once in each copy.
	Body    func(sc *rdd.Context) error
	Brokers string      // of a batch program: what its connectors are to reach
	shared  map[any]any // of a batch program's connectors

	Graph       Graph
	OnDriver    []Effect
	DriverTasks []DriverTask
	OnStop      []Effect
	Listener    Listener // nil for none
	Errs        []error  // of operators that can't be built
	Calls       *Calls   // of the program's functions in this process; nil where nobody asks for them

	driver atomic.Pointer[Driver] // nil unless this copy is the active driver's
}

// Effect is a function that runs on the driver alone.
type Effect struct {
	Site lineage.Site // where it was declared
	Run  func(ctx context.Context) error
}

// DriverTask is a task of the user that runs beside the stream.
type DriverTask struct {
	Name string
	Run  func(ctx context.Context) error
}

// Driver is what a program may ask of the active driver.
type Driver struct {
	Epoch  uint64          // which driver of the job it is
	Stop   func()          // asks for a graceful stop
	Fail   func(err error) // fails the stream
	Models ModelControl
}

// ModelControl brings in versions of models.
type ModelControl interface {
	// Publish brings in a version, given as its file, and returns its digest.
	Publish(ctx context.Context, model string, file []byte) (digest string, err error)
	// Rollback goes back to an earlier version, "" for the one before.
	Rollback(ctx context.Context, model, version string) (digest string, err error)
	// Update makes what a batch has taught the version that follows the batch's.
	Update(ctx context.Context, model string, a *Allocation, file []byte) error
}

// Activate makes this copy the active driver's.
func (p *Program) Activate(d *Driver) { p.driver.Store(d) }

// Driver returns the active driver, nil if this copy isn't the driver's.
func (p *Program) Driver() *Driver { return p.driver.Load() }

// Open reports whether the program can still declare; what comes too late is
// noted.
func (p *Program) Open(op string) bool {
	return !p.Graph.Frozen() || p.Graph.Open(op, lineage.Caller())
}

// Fail records an error of an operator with its place in the user's program.
func (p *Program) Fail(op string, err error) {
	if !p.Open(op) {
		return
	}
	p.Errs = append(p.Errs, &rdd.OpError{Op: op, Site: lineage.Caller(), Err: err})
}

// Failed records errors that have their place, unless it is too late: then whoever
// declares the operator is told so.
func (p *Program) Failed(errs []error) {
	if !p.Graph.Frozen() {
		p.Errs = append(p.Errs, errs...)
	}
}

// Build runs declare, which declares the program's streams, and returns what is
// wrong with the program.
func (p *Program) Build(declare func() error) error {
	end := p.Calls.Begin("the build function")
	err := Guard("the build function", func() error { return lineage.Declare(declare) })
	end()
	p.Graph.Freeze()
	p.Graph.dropUnused()
	errs := slices.Concat(p.Errs, p.Graph.ambiguous(), p.Graph.slidesApart(p.Interval))
	if err != nil {
		errs = append(errs, err)
	} else if len(errs) == 0 && len(p.Graph.Outputs) == 0 {
		errs = append(errs, fmt.Errorf("it declares no output: add Print, ForEachBatch or a sink"))
	}
	if len(errs) > 0 {
		return &BuildError{App: p.App, Errs: errs}
	}
	return nil
}

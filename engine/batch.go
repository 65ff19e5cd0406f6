package engine

import (
	"context"
	"fmt"

	"github.com/hibana-engine/hibana/engine/internal/launch"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// BatchFunc is a batch program: it makes RDDs, brings their results to the driver with
// actions, and may decide by these what it does next. It runs once on the driver and
// once in every executor process, which is given the results of actions: so what it
// does must depend on the program's flags, on these results and on [rdd.Value] alone,
// and effects belong in [rdd.Context.OnDriver].
type BatchFunc func(sc *rdd.Context) error

// Batch runs a batch program and ends the process: it parses the command line, calls
// program, and exits with one of the Exit codes. The first interrupt (Ctrl-C, SIGTERM)
// kills what runs, so that the program's action fails with [ErrInterrupted]; the second
// ends the process at once.
func (a *App) Batch(program BatchFunc) {
	a.batch = true
	a.runProcess(func() (*launch.Job, error) { return a.newBatch(program) })
}

// RunBatch is Batch for programs and tests that want the error back. When ctx ends the
// program is interrupted. args are the command line without the program's name.
func (a *App) RunBatch(ctx context.Context, args []string, program BatchFunc) error {
	a.batch = true
	return a.run(ctx, a.parse(args), func() (*launch.Job, error) { return a.newBatch(program) }, (*launch.Job).Run)
}

// newBatch returns the batch program's job.
func (a *App) newBatch(program BatchFunc) (*launch.Job, error) {
	if program == nil {
		return nil, fmt.Errorf("%w: the batch program is nil", ErrBuild)
	}
	for _, name := range streamFlags() {
		if flagGiven(a.flags, name) {
			return nil, fmt.Errorf("%w: --%s is for streams; %s is a batch program, which runs from its beginning to its end", ErrUsage, name, a.name)
		}
	}
	j, err := a.newJob()
	if err != nil {
		return nil, err
	}
	j.Batch = true
	brokers := a.opts.brokers
	j.Build = func(_ context.Context, p *plan.Program) error {
		p.Brokers = brokers
		return p.BuildBatch(program)
	}
	return j, nil
}

// streamFlags are those that a batch program refuses.
func streamFlags() []string {
	return append(localFlags(), "batch-interval", "asap", "until-end", "checkpoint")
}

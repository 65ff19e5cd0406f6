package driver

import (
	"context"
	"fmt"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// OpenInput opens the planner of an input. Panics of the connector are errors.
func OpenInput(ctx context.Context, in *plan.Input, calls *plan.Calls) (plan.Planner, error) {
	p := &guardedPlanner{what: fmt.Sprintf("%s at %s", in.Op, in.Site), calls: calls}
	err := calls.Guard(p.what, func() (err error) {
		p.planner, err = in.Open(ctx)
		return err
	})
	if err != nil {
		return nil, &rdd.OpError{Op: in.Op, Site: in.Site, Err: err}
	}
	return p, nil
}

// guardedPlanner is a planner of a connector, whose panics are errors.
type guardedPlanner struct {
	planner plan.Planner
	what    string // operator and place
	calls   *plan.Calls
}

func (p *guardedPlanner) Plan(ctx context.Context, req plan.PlanRequest) (share plan.Share, err error) {
	err = p.calls.Guard(p.what, func() (err error) {
		share, err = p.planner.Plan(ctx, req)
		return err
	})
	return share, err
}

func (p *guardedPlanner) Beside(process *task.Process) error {
	return p.calls.Guard(p.what, func() error { return p.planner.Beside(process) })
}

func (p *guardedPlanner) Notify(ready func()) error {
	return p.calls.Guard(p.what, func() error { return p.planner.Notify(ready) })
}

// Receiving returns what the connector has, as it is: who calls it guards it.
func (p *guardedPlanner) Receiving() plan.Receiving { return p.planner.Receiving() }

func (p *guardedPlanner) UntilEnd(ctx context.Context) error {
	return p.calls.Guard(p.what, func() error { return p.planner.UntilEnd(ctx) })
}

func (p *guardedPlanner) Completed(ctx context.Context, ranges []byte) error {
	return p.calls.Guard(p.what, func() error { return p.planner.Completed(ctx, ranges) })
}

func (p *guardedPlanner) Close() error { return p.calls.Guard(p.what, p.planner.Close) }

package driver

import (
	"context"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// receive has executors receive for the inputs that are received for, until ctx ends.
func (d *Driver) receive(ctx context.Context) {
	planners := make(map[int32]plan.Receiving)
	var r plan.Reception
	for i, in := range d.Program.Graph.Inputs {
		if p := d.planners[i].Receiving(); p != nil {
			planners[in.ID] = p
			r.Inputs = append(r.Inputs, in.ID)
		}
	}
	if len(r.Inputs) == 0 {
		return
	}
	r.Told = func(input int32, message []byte) { d.telling(func() { planners[input].Told(message) }) }
	r.Lost = func(input int32, why string) { d.telling(func() { planners[input].Lost(why) }) }
	d.Cluster.Receive(ctx, r)
}

// telling tells a connector's planner something. Its panic fails the stream.
func (d *Driver) telling(tell func()) {
	d.fail(d.Program.Calls.Guard("a planner of what is received", func() error { tell(); return nil }))
}

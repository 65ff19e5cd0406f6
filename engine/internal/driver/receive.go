package driver

import (
	"context"
	"errors"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// receiveEnd is how long receivers may take to end when the stream does.
const receiveEnd = 40 * time.Second

// errNoReceiver: nothing would ever come.
var errNoReceiver = errors.New("its planner is an engine.Receiving, but the input isn't an engine.Receiver: executors have nothing to run")

// receive has executors run the inputs' receivers, until ctx ends and they have ended.
func (d *Driver) receive(ctx context.Context) error {
	inputs := make(map[int32]*plan.Input)
	planners := make(map[int32]plan.Receiving)
	r := plan.Reception{Patience: receiveEnd}
	for i, in := range d.Program.Graph.Inputs {
		p := d.planners[i].Receiving()
		if p == nil {
			continue
		}
		if in.Receive == nil {
			return &rdd.OpError{Op: in.Op, Site: in.Site, Err: errNoReceiver}
		}
		inputs[in.ID], planners[in.ID] = in, p
		r.Inputs = append(r.Inputs, in.ID)
	}
	if len(r.Inputs) == 0 {
		return nil
	}
	r.Told = func(input int32, message []byte) {
		d.telling(inputs[input], func() { planners[input].Told(message) })
	}
	r.Lost = func(input int32, why string) {
		d.telling(inputs[input], func() { planners[input].Lost(why) })
	}
	r.Failed = func(input int32, err error) {
		d.fail(&rdd.OpError{Op: inputs[input].Op, Site: inputs[input].Site, Err: err})
	}
	for _, input := range d.Cluster.Receive(ctx, r) {
		d.Log.Warn("the receiver of an input hasn't ended and isn't waited for any longer", "input", inputs[input].Op, "at", inputs[input].Site, "after", receiveEnd)
	}
	return nil
}

// telling tells a connector's planner something. Its panic fails the stream. The caller is a
// receiver, or hears an executor.
func (d *Driver) telling(in *plan.Input, tell func()) {
	if err := d.Program.Calls.Apart("a planner of what is received", func() error { tell(); return nil }); err != nil {
		d.fail(&rdd.OpError{Op: in.Op, Site: in.Site, Err: err})
	}
}

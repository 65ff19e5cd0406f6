package engine

import (
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Slice returns the RDDs that the stream has in b and in the batches before it, of times
// from until to, both included, the oldest first. It is for the function of [Transform] or
// [TransformWith], where b is the batch that the function is given: a window whose shape the
// batch decides. Batches that the job hasn't had, since it began later, are left out; none is
// later than b.
//
// [StreamingContext.Remember] says how far back a program reaches: to ask for batches before
// that is an error, and without it for any but b. What is remembered of the stream's partitions is what is cached of them
// ([DStream.Cache], [DStream.Persist]); the others are computed again from the inputs.
func (d *DStream[T]) Slice(b Batch, from, to time.Time) []*rdd.RDD[T] {
	const op = "slice"
	if b.in == nil {
		if d.ssc.program.Open(op) {
			d.ssc.fail(op, errNoBatch)
		}
		return nil
	}
	if err := d.sliced(b, from, to); err != nil {
		b.in.Lineage.Fail(&rdd.OpError{Op: op, Site: lineage.Caller(), Err: err})
		return nil
	}
	var rdds []*rdd.RDD[T]
	batches := []*plan.Generation{b.in.Generation}
	if from.Before(b.Time) { // else nothing need be known of the batch before
		batches = b.in.Within(b.Time.Sub(from) + 1)
	}
	for _, batch := range batches {
		if at := batch.Alloc.Time(); !at.Before(from) && !at.After(to) && batch.Due(d.node.Slide) {
			rdds = append(rdds, d.at(batch))
		}
	}
	return rdds
}

// sliced says why a function that is given b can't have the stream's RDDs of these times.
func (d *DStream[T]) sliced(b Batch, from, to time.Time) error {
	remembered := d.ssc.program.Graph.Remembered
	switch {
	case d.ssc != b.in.ssc:
		return fmt.Errorf("%w: the stream is of another program", rdd.ErrForeign)
	case d.node.ID >= b.in.stream:
		return fmt.Errorf("%w: the stream isn't declared before the one that the function makes", rdd.ErrForeign)
	case from.After(to) || !from.Before(b.Time) || from.After(b.Time.Add(-remembered)):
		return nil
	}
	back := b.Time.Sub(from)
	return fmt.Errorf("%w: it reaches back %s from the batch's time, and %s is remembered: declare ssc.Remember(%s) or more",
		ErrWindow, back, remembered, back+d.ssc.program.Interval)
}

package driver

import (
	"context"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
)

// turn is a batch's place behind the batch before, where several run at a time: each output
// is done for one batch after the other, and so are batches.
//
// THREADING: the batch's goroutine calls the methods; what is closed is the next one's to
// wait for.
type turn struct {
	before  *turn           // nil for the first, and when the batch is done
	outputs []chan struct{} // closed when the output is done, by index
	done    chan struct{}   // closed when the batch is
	waited  time.Duration   // for the batch before
}

// newTurn returns the turn that follows another one, of a batch of so many outputs.
func newTurn(before *turn, outputs int) *turn {
	t := &turn{before: before, done: make(chan struct{})}
	for range outputs {
		t.outputs = append(t.outputs, make(chan struct{}))
	}
	return t
}

// await waits until the batch before has done an output, or ctx ends.
func (t *turn) await(ctx context.Context, output int32) error {
	if t.before == nil {
		return nil
	}
	return t.wait(ctx, t.before.outputs[output])
}

// awaitStates waits until the batch before has computed the states that an output of b reads,
// or ctx ends. Until then a job would compute them along with the batch's own.
func (t *turn) awaitStates(ctx context.Context, b *plannedBatch, output int32, last map[int32]int32) error {
	if len(last) == 0 || !t.waits() {
		return nil
	}
	for stream := range streamsOf(b.gen.Actions[output].Final) {
		if after, ok := last[stream]; ok {
			if err := t.await(ctx, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// streamsOf returns the streams of which an RDD is made.
func streamsOf(final *lineage.Node) map[int32]bool {
	streams, seen := make(map[int32]bool), make(map[*lineage.Node]bool)
	var visit func(n *lineage.Node)
	visit = func(n *lineage.Node) {
		if seen[n] {
			return
		}
		seen[n], streams[n.ID.DStream] = true, true
		for _, d := range n.Deps {
			visit(d.ParentNode())
		}
	}
	visit(final)
	return streams
}

// awaitBatch waits until the batch before is done, or ctx ends.
func (t *turn) awaitBatch(ctx context.Context) error {
	if t.before == nil {
		return nil
	}
	return t.wait(ctx, t.before.done)
}

// wait waits until the batch before has done something, or ctx ends.
func (t *turn) wait(ctx context.Context, done <-chan struct{}) error {
	began := time.Now()
	defer func() { t.waited += time.Since(began) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waits reports whether the batch before isn't done.
func (t *turn) waits() bool {
	if t.before == nil {
		return false
	}
	select {
	case <-t.before.done:
		return false
	default:
		return true
	}
}

// outputDone says that the batch has done an output.
func (t *turn) outputDone(output int32) { close(t.outputs[output]) }

// batchDone says that the batch is done.
func (t *turn) batchDone() {
	t.before = nil
	close(t.done)
}

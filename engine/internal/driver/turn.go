package driver

import "context"

// turn is a batch's place behind the batch before, where several run at a time: each output
// is done for one batch after the other, and so are batches.
//
// THREADING: the batch's goroutine calls the methods; what is closed is the next one's to
// wait for.
type turn struct {
	before  *turn           // nil for the first, and when the batch is done
	outputs []chan struct{} // closed when the output is done, by index
	done    chan struct{}   // closed when the batch is
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
	return await(ctx, t.before.outputs[output])
}

// awaitBatch waits until the batch before is done, or ctx ends.
func (t *turn) awaitBatch(ctx context.Context) error {
	if t.before == nil {
		return nil
	}
	return await(ctx, t.before.done)
}

func await(ctx context.Context, done <-chan struct{}) error {
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

package remote

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// outbox holds what an executor is to be sent on a stream, in order. What can be
// posted is bounded by the executor's slots and the batches in flight.
//
// THREADING: anybody posts, one goroutine sends. mu guards all but wake; no other
// lock is taken meanwhile.
type outbox struct {
	wake chan struct{} // holds a token when there are messages

	mu          sync.Mutex
	isOpen      bool                        // there is a stream: messages are taken
	messages    []*ToExecutor               // nil stands for what invocations has next: an executor that is behind keeps none in memory
	invocations *recordReader               // of the stream; the sender reads
	late        *time.Timer                 // wakes the sender for messages that wait for others, nil if there are none
	sent        map[*shuffle.Outputs]uint32 // numbers of what the executor was told on this stream
	number      uint32
}

// forgetDelay is how long an executor keeps what there is of a complete batch while nothing else
// is sent to it.
const forgetDelay = 100 * time.Millisecond

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// open takes messages from now on, these first.
func (o *outbox) open(invocations *recordReader, first ...*ToExecutor) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.invocations = invocations
	o.isOpen, o.sent, o.number = true, make(map[*shuffle.Outputs]uint32), 0
	for _, m := range first {
		o.push(m)
	}
}

// shut drops what wasn't sent and takes nothing more.
func (o *outbox) shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.take(nil)
	o.isOpen, o.sent = false, nil
}

// post hands a message to the sender, unless there is no stream.
func (o *outbox) post(m *ToExecutor) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.isOpen {
		o.push(m)
	}
}

// push is called with mu held.
func (o *outbox) push(m *ToExecutor) {
	o.messages = append(o.messages, m)
	o.wakeUp()
}

func (o *outbox) wakeUp() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns what is posted; what comes goes into next. It is called with mu held.
func (o *outbox) take(next []*ToExecutor) []*ToExecutor {
	if o.late != nil {
		o.late.Stop()
		o.late = nil
	}
	posted := o.messages
	o.messages = next
	return posted
}

// launch posts a task, after what it reads, if that is new to the executor. Its
// inputs are sendable. Without a stream the executor's loss is reported.
func (o *outbox) launch(task scheduler.Task) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.isOpen {
		return
	}
	m := &Launch{ID: task.ID, Elsewhere: task.Elsewhere}
	for _, outs := range task.Inputs {
		n, known := o.sent[outs]
		if !known {
			o.number++
			n = o.number
			o.sent[outs] = n
			o.push(&ToExecutor{Outputs: &MapOutputs{Number: n, Outputs: *outs}})
		}
		m.Inputs = append(m.Inputs, n)
	}
	o.push(&ToExecutor{Launch: m})
}

// maxSizes bounds the sizes of blocks in one message: map times reduce partitions.
const maxSizes = wire.MaxPayload / 8

// sendable makes sure that map outputs fit into a message.
func sendable(outs *shuffle.Outputs) error {
	sizes := 0
	for i := range outs.Maps {
		sizes += len(outs.Maps[i].Bytes)
	}
	if sizes > maxSizes {
		return fmt.Errorf("%w: shuffle %d of batch %d has %d map partitions and %d blocks, at most %d can be described to executors; use fewer partitions",
			wire.ErrTooLarge, outs.Shuffle, outs.Batch, len(outs.Maps), sizes, maxSizes)
	}
	return nil
}

// forget posts that batches are complete. It goes with what comes next, if that comes soon: a
// message of its own would wake the executor for nothing that anyone waits for.
func (o *outbox) forget(f Forget) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.isOpen {
		return
	}
	for outs := range o.sent {
		if outs.Batch < f.Until {
			delete(o.sent, outs)
		}
	}
	o.messages = append(o.messages, &ToExecutor{Forget: &f})
	if o.late == nil {
		o.late = time.AfterFunc(forgetDelay, o.wakeUp)
	}
}

// forgetShuffles posts that no task reads some shuffles any more.
func (o *outbox) forgetShuffles(f *ForgetShuffles) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.isOpen {
		return
	}
	for outs := range o.sent {
		if f.covers(outs) {
			delete(o.sent, outs)
		}
	}
	o.push(&ToExecutor{ForgetShuffles: f})
}

// send sends what is posted until ctx ends or the stream breaks.
func (o *outbox) send(ctx context.Context, s *end[ToExecutor, FromExecutor]) error {
	var batch []*ToExecutor
	for {
		select {
		case <-o.wake:
		case <-ctx.Done():
			return nil
		}
		o.mu.Lock()
		batch = o.take(batch[:0])
		invocations := o.invocations
		o.mu.Unlock()
		for i, m := range batch {
			if m == nil {
				if !invocations.isNear() { // what came before doesn't wait for the disk
					if err := s.flush(); err != nil {
						return err
					}
				}
				next, err := invocations.next()
				if err != nil {
					return err
				}
				if next == nil { // it was forgotten
					continue
				}
				m = &ToExecutor{Invoke: next}
			}
			if err := s.add(m); err != nil {
				return err
			}
			batch[i] = nil
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
}

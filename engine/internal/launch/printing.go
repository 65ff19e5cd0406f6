package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// printing prints states and offsets of the job for the daemon that asks.
//
// THREADING: ask is called by the goroutine that receives events; each request has a
// goroutine of its own, which close waits for. There are few, the daemon bounds them. close
// may be called more than once, by several goroutines.
type printing struct {
	daemon wire.JobLogClient
	log    *slog.Logger
	ctx    context.Context // of reading what there is to print
	stop   context.CancelFunc
	sends  context.Context // of sending it, which may go on for endPatience
	giveUp context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool // nothing is begun any more

	ready  chan struct{} // closed when it is known what there is to print
	source *printed
}

// printed is what a job can print.
type printed struct {
	keeper *state.Keeper
	store  *state.Store // nil for a job without states
	graph  *plan.Graph
	// numbers are the log's, which offsets reads.
	numbers *plan.Numbers
	offsets plan.Log
}

// Times of printing.
const (
	sourcePatience = 30 * time.Second // until a driver that has just begun knows its program
	holdPatience   = 30 * time.Second // until the next batch is complete and its state saved
	endPatience    = 2 * time.Second  // until who asked is told that the job's driver ends
)

// errDriverEnds: the store of what is printed is about to be closed.
var errDriverEnds = errors.New("the job's driver ends; ask again, or if the job has ended let its program print it, --program")

func newPrinting(ctx context.Context, daemon wire.JobLogClient, log *slog.Logger) *printing {
	p := &printing{daemon: daemon, log: log, ready: make(chan struct{})}
	p.ctx, p.stop = context.WithCancel(ctx)
	p.sends, p.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	return p
}

// serve says what there is to print. It is called once; p may be nil.
func (p *printing) serve(source *printed) {
	if p != nil {
		p.source = source
		close(p.ready)
	}
}

// ask prints what an event asks for. When the driver ends it does nothing: who asks is told
// that the process has ended.
func (p *printing) ask(epoch uint64, e *wire.PrintEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.work.Go(func() {
		to := &printer{p: p, answer: wire.Printed{Epoch: epoch, ID: e.ID}}
		err := p.print(to, e.What)
		if p.ctx.Err() != nil && err != nil {
			err = errDriverEnds
		}
		to.answer.Part, to.answer.End = wire.PrintPart{}, true
		if err != nil {
			to.answer.Failure = err.Error()
		}
		if err := to.send(); err != nil {
			p.log.Debug("nobody was told that a state is printed", "err", err)
		}
	})
}

// print prints a state, or offsets.
func (p *printing) print(to *printer, what wire.Print) error {
	ctx, cancel := context.WithTimeout(p.ctx, sourcePatience)
	defer cancel()
	select {
	case <-p.ready:
	case <-ctx.Done():
		return fmt.Errorf("the job's driver has just begun, and hasn't built the program yet; try again")
	}
	switch {
	case p.source == nil:
		return fmt.Errorf("the job is a batch program, which has no state and no offsets")
	case what.State == "":
		return p.printOffsets(ctx, to)
	}
	return p.printState(to, what)
}

func (p *printing) printOffsets(ctx context.Context, to *printer) error {
	s, err := p.source.offsets.Recover(ctx)
	if err != nil {
		return err
	}
	p.source.numbers.Translate(&s, p.source.graph)
	out := bufio.NewWriterSize(to, wire.ChunkSize)
	note, err := printOffsets(out, p.source.graph, p.source.numbers, &s)
	if err != nil {
		return err
	}
	if err := to.note(note); err != nil {
		return err
	}
	return out.Flush()
}

func (p *printing) printState(to *printer, what wire.Print) error {
	ctx, cancel := context.WithTimeout(p.ctx, holdPatience)
	defer cancel()
	m, stale, release, err := p.source.keeper.Hold(ctx, what.State)
	if err != nil {
		return err
	}
	defer release()
	if p.ctx.Err() != nil {
		return p.ctx.Err() // it isn't for want of a batch that the checkpoint is stale
	}
	note := fmt.Sprintf("after batch %d, of %s", m.Seq, time.Unix(0, m.TimeNanos).Format(time.RFC3339Nano))
	if stale {
		note += fmt.Sprintf(": the newest checkpoint, since no batch was complete and saved within %s", holdPatience)
	}
	if err := to.note(note); err != nil {
		return err
	}
	out := bufio.NewWriterSize(to, wire.ChunkSize)
	if err := p.source.store.Print(p.ctx, out, m, what.Key); err != nil {
		return err
	}
	return out.Flush()
}

// close ends what is being printed, and waits for that: not for long if who asked is slow.
// p may be nil.
func (p *printing) close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	late := time.AfterFunc(endPatience, p.giveUp)
	defer late.Stop()
	p.work.Wait()
	p.giveUp()
}

// printer hands what is printed to the daemon, and so to who asked, piece by piece.
type printer struct {
	p      *printing
	answer wire.Printed
}

// note says of when it is.
func (t *printer) note(s string) error {
	t.answer.Part = wire.PrintPart{Note: s}
	return t.send()
}

// Write implements io.Writer.
func (t *printer) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		if err := t.p.ctx.Err(); err != nil {
			return done, err
		}
		n := min(len(b)-done, wire.ChunkSize)
		t.answer.Part = wire.PrintPart{Data: b[done : done+n]}
		if err := t.send(); err != nil {
			return done, err
		}
		done += n
	}
	return len(b), nil
}

func (t *printer) send() error {
	ctx, cancel := context.WithTimeout(t.p.sends, 2*wire.CallTimeout) // who asked may be slow
	defer cancel()
	return t.p.daemon.Printed(ctx, &t.answer)
}

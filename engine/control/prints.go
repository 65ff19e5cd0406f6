package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// maxPrints bounds what a job's driver process prints at once.
const maxPrints = 4

// printPatience is how long the process may take between two pieces: a state is printed
// when the next batch is complete and saved.
const printPatience = 2 * time.Minute

// prints are what a job's driver process is asked to print, and who waits for it.
type prints struct {
	job      uint64
	requests chan *wire.PrintEvent // to be sent to the process

	mu    sync.Mutex
	asked uint64                        // the last request's id
	takes map[uint64]chan *wire.Printed // of who waits, by request
}

func newPrints(job uint64) *prints {
	return &prints{job: job, requests: make(chan *wire.PrintEvent, maxPrints), takes: make(map[uint64]chan *wire.Printed)}
}

// request asks the process. The pieces come on a channel, until forget is called.
func (p *prints) request(what wire.Print) (pieces <-chan *wire.Printed, forget func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &wire.PrintEvent{ID: p.asked + 1, What: what}
	if len(p.takes) >= maxPrints {
		return nil, nil, fmt.Errorf("%w: job %d prints %d states already; try again", wire.ErrNotReady, p.job, maxPrints)
	}
	select {
	case p.requests <- e:
	default: // who asked has gone, and the process hasn't taken what was asked for
		return nil, nil, fmt.Errorf("%w: the driver process of job %d hasn't taken what it was asked to print before; try again", wire.ErrNotReady, p.job)
	}
	c := make(chan *wire.Printed)
	p.asked, p.takes[e.ID] = e.ID, c
	return c, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.takes, e.ID)
	}, nil
}

// hand hands a piece to who waits for it.
func (p *prints) hand(ctx context.Context, piece *wire.Printed) error {
	p.mu.Lock()
	c := p.takes[piece.ID]
	p.mu.Unlock()
	late := time.NewTimer(wire.CallTimeout)
	defer late.Stop()
	if c != nil {
		select {
		case c <- piece:
			return nil
		case <-late.C:
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("%w: nobody waits for it any more", wire.ErrInvalid)
}

// Print implements wire.ControlServer.
func (c *controlService) Print(req *wire.PrintRequest, out grpc.ServerStreamingServer[wire.PrintPart]) error {
	r, err := c.lead.current()
	if err != nil {
		return err
	}
	st, err := r.status(req.Job)
	if err != nil {
		return err
	}
	inc := st.Spec.Incarnation
	if st.State.Final() {
		return fmt.Errorf("%w: job %d is %s, and has no process that could print", wire.ErrJobEnded, inc, st.State)
	}
	process, err := r.processOf(inc)
	if err != nil {
		return err
	}
	pieces, forget, err := process.prints.request(req.What)
	if err != nil {
		return err
	}
	defer forget()
	late := time.NewTimer(printPatience)
	defer late.Stop()
	for {
		select {
		case p := <-pieces:
			if p.End && p.Failure != "" {
				return fmt.Errorf("%w: %s", wire.ErrInvalid, p.Failure)
			}
			if p.End {
				return nil
			}
			if err := out.Send(&p.Part); err != nil {
				return err
			}
			late.Reset(printPatience)
		case <-late.C:
			return fmt.Errorf("%w: the driver process of job %d doesn't print it; engine-submit status %d says what is wrong", wire.ErrInvalid, inc, inc)
		case <-process.ctx.Done():
			return fmt.Errorf("%w: the driver process of job %d has ended meanwhile", wire.ErrNotReady, inc)
		case <-out.Context().Done():
			return context.Cause(out.Context())
		}
	}
}

// processOf returns what a job's driver process may say.
func (r *leadership) processOf(incarnation uint64) (*jobService, error) {
	if d := r.runners.of(incarnation); d != nil {
		if process := d.process(); process != nil {
			return process, nil
		}
	}
	return nil, fmt.Errorf("%w: job %d has no driver process at this moment", wire.ErrNotReady, incarnation)
}

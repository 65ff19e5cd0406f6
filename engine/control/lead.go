package control

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// lead is whether this node leads, which changes.
type lead struct {
	n     *node
	begun atomic.Int64 // how often it began

	mu         sync.Mutex
	leadership *leadership // nil while this node doesn't lead
}

// current returns the node's leadership, or says who leads.
func (l *lead) current() (*leadership, error) {
	l.mu.Lock()
	r := l.leadership
	l.mu.Unlock()
	if r == nil {
		return nil, &wire.NotLeaderError{Leader: l.n.leaderAddress()}
	}
	select {
	case <-r.ready:
		return r, nil
	default:
		return nil, fmt.Errorf("%w: this engine-driver has just become the leader", wire.ErrNotReady)
	}
}

// run begins a leadership when the node becomes the leader and ends it when it
// isn't any more, until ctx ends.
func (l *lead) run(ctx context.Context) {
	for {
		select {
		case leads := <-l.n.Leading():
			l.succeed(ctx, leads)
		case <-ctx.Done():
			l.succeed(ctx, false)
			return
		}
	}
}

// succeed ends the leadership that there is, and begins another if the node leads.
func (l *lead) succeed(ctx context.Context, leads bool) {
	l.mu.Lock()
	old := l.leadership
	l.leadership = nil
	l.mu.Unlock()
	if old != nil {
		old.end()
		l.n.log.Info("this driver doesn't lead any more")
	}
	if !leads {
		return
	}
	r := newLeadership(ctx, l.n)
	l.begun.Add(1)
	l.mu.Lock()
	l.leadership = r
	l.mu.Unlock()
	r.work.Go(r.run)
}

// drain waits until the job driver processes have finished what is planned, but not
// longer than it may take.
func (l *lead) drain(within time.Duration) {
	l.mu.Lock()
	r := l.leadership
	l.mu.Unlock()
	if r == nil {
		return
	}
	patience := time.After(within)
	for _, d := range r.runners.all() {
		select {
		case <-d.done:
		case <-patience:
			l.n.log.Warn("job drivers haven't finished what is planned; whoever leads next runs it again")
			return
		case <-l.n.Failed():
			return
		}
	}
}

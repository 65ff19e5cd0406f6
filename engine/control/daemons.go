package control

import (
	"fmt"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Limits of executors.
const (
	// executorSilence is how long a daemon that is connected may say nothing.
	executorSilence = 6 * wire.HeartbeatInterval
	// executorReturn is how long a daemon whose stream broke may take to come
	// back, and after a change of leader to come at all.
	executorReturn = 3 * time.Second
)

// daemon is an executor daemon as the leader sees it. The mu of daemons guards it.
type daemon struct {
	start   string         // of the daemon
	heard   time.Time      // when it last said something
	conn    *wire.Register // of its stream, nil while it has none
	dropped chan struct{}  // closed when the leader gives the stream up
}

// daemons are the executor daemons that follow the leader.
type daemons struct {
	n     *node
	began time.Time // when the leadership had begun; set before anything else is called

	mu   sync.Mutex
	byID map[string]*daemon // by executor
}

func newDaemons(n *node) *daemons { return &daemons{n: n, byID: make(map[string]*daemon)} }

// connect registers a daemon's stream. It fails while another daemon with the same id
// is connected.
func (r *daemons) connect(reg *wire.Register) (*daemon, error) {
	known := "" // start of the daemon that the state has
	r.n.View(func(s *state.State) {
		if e := s.Executors[reg.ID]; e != nil && e.Lost == 0 {
			known = e.Start
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.byID[reg.ID]
	switch {
	case old == nil && known != "" && known != reg.Start && time.Since(r.began) < executorReturn:
		// Whoever had the id before the change of leader comes first.
		return nil, fmt.Errorf("%w: another executor %q may come back yet", wire.ErrNotReady, reg.ID)
	case old != nil && old.conn != nil && old.start != reg.Start:
		return nil, fmt.Errorf("%w: %q; another engine-executor at %s has it, give this one another --id",
			wire.ErrExecutorTaken, reg.ID, old.conn.Address)
	case old != nil && old.conn != nil: // the same daemon on a new connection
		close(old.dropped)
	}
	f := &daemon{start: reg.Start, heard: time.Now(), conn: reg, dropped: make(chan struct{})}
	r.byID[reg.ID] = f
	return f, nil
}

// disconnect records that a daemon's stream has ended.
func (r *daemons) disconnect(reg *wire.Register) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.byID[reg.ID]; f != nil && f.conn == reg {
		f.conn, f.heard = nil, time.Now()
	}
}

// hear records that a daemon has said something on a stream.
func (r *daemons) hear(reg *wire.Register) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.byID[reg.ID]; f != nil && f.conn == reg {
		f.heard = time.Now()
	}
}

// loseSilent records which executors are gone.
func (r *daemons) loseSilent() {
	alive := make(map[string]string) // start by id
	r.n.View(func(s *state.State) {
		for id, e := range s.Executors {
			if e.Lost == 0 {
				alive[id] = e.Start
			}
		}
	})
	for id, start := range alive {
		if !r.silent(id) {
			continue
		}
		r.n.log.Warn("an executor is lost", "executor", id)
		if err := r.n.Record(&state.LoseExecutor{ID: id, Start: start}, raftgroup.Never); err != nil {
			r.n.log.Warn("losing an executor", "executor", id, "err", err)
			return // the leadership is about to end
		}
	}
}

// silent reports whether an executor is to be given up, and drops its stream.
func (r *daemons) silent(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.byID[id]
	if f == nil {
		return time.Since(r.began) > executorReturn
	}
	if f.conn != nil && time.Since(f.heard) > executorSilence {
		close(f.dropped)
		delete(r.byID, id)
		return true
	}
	if f.conn == nil && time.Since(f.heard) > executorReturn {
		delete(r.byID, id)
		return true
	}
	return false
}

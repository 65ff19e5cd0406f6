package control

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"time"

	"google.golang.org/grpc"

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

// daemon is an executor daemon as the leader sees it. The leadership's mu guards it.
type daemon struct {
	start   string         // of the daemon
	heard   time.Time      // when it last said something
	conn    *wire.Register // of its stream, nil while it has none
	dropped chan struct{}  // closed when the leader gives the stream up
}

// executorService is what executor daemons follow.
type executorService struct{ s *server }

var _ wire.ExecutorsServer = (*executorService)(nil)

// Follow implements wire.ExecutorsServer.
func (e *executorService) Follow(stream grpc.BidiStreamingServer[wire.DaemonReport, wire.Assignments]) error {
	r, err := e.s.current()
	if err != nil {
		return err
	}
	reports := receive(&e.s.streams, stream.Recv)
	defer reports.leave()
	first, err := reports.next(r.ctx, executorSilence)
	if err != nil {
		return err
	}
	reg := first.Register
	if err := checkRegister(reg, e.s.ClusterID()); err != nil {
		return err
	}
	f, err := r.connect(reg)
	if err != nil {
		return err
	}
	defer r.disconnect(reg)
	c := &state.RegisterExecutor{ID: reg.ID, Start: reg.Start, Address: reg.Address, Slots: reg.Slots, Platform: reg.Platform}
	if err := e.s.Record(c, raftgroup.Never); err != nil {
		return fmt.Errorf("registering executor %s: %w", reg.ID, err)
	}
	e.s.log.Info("an executor follows", "executor", reg.ID, "address", reg.Address, "slots", reg.Slots)
	return r.follow(stream, reports, reg, f)
}

// checkRegister refuses a daemon that can't belong here.
func checkRegister(reg *wire.Register, cluster string) error {
	switch {
	case reg == nil:
		return fmt.Errorf("%w: an executor says first who it is", wire.ErrInvalid)
	case !state.ValidID(reg.ID):
		return fmt.Errorf("%w: executor id %q; letters, digits, '-', '_' and '.' go, at most %d",
			wire.ErrInvalid, reg.ID, state.MaxID)
	case !state.ValidID(reg.Start) || !validPlatform(reg.Platform):
		return fmt.Errorf("%w: executor %s with start %q and platform %q",
			wire.ErrInvalid, reg.ID, reg.Start, reg.Platform)
	case reg.Slots < 1 || reg.Slots > state.MaxSlots:
		return fmt.Errorf("%w: executor %s has %d slots; from 1 to %d go",
			wire.ErrInvalid, reg.ID, reg.Slots, state.MaxSlots)
	case reg.ClusterID != "" && reg.ClusterID != cluster:
		return fmt.Errorf("%w: executor %s followed cluster %s before, this is %s; give it another --data directory",
			wire.ErrOtherCluster, reg.ID, reg.ClusterID, cluster)
	}
	if _, _, err := net.SplitHostPort(reg.Address); err != nil || len(reg.Address) > state.MaxName {
		return fmt.Errorf("%w: executor %s has address %q; it takes host:port", wire.ErrInvalid, reg.ID, reg.Address)
	}
	return nil
}

// validPlatform reports whether s may be a platform, such as linux/amd64.
func validPlatform(s string) bool {
	os, arch, ok := strings.Cut(s, "/")
	return ok && state.ValidID(os) && state.ValidID(arch)
}

// connect registers a daemon's stream. It fails while another daemon with the same id
// is connected.
func (r *leadership) connect(reg *wire.Register) (*daemon, error) {
	known := "" // start of the daemon that the state has
	r.s.View(func(s *state.State) {
		if e := s.Executors[reg.ID]; e != nil && e.Lost == 0 {
			known = e.Start
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.daemons[reg.ID]
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
	r.daemons[reg.ID] = f
	return f, nil
}

// disconnect records that a daemon's stream has ended.
func (r *leadership) disconnect(reg *wire.Register) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.daemons[reg.ID]; f != nil && f.conn == reg {
		f.conn, f.heard = nil, time.Now()
	}
}

// follow serves a daemon's stream: it sends assignments and handles reports,
// until the stream or the leadership ends.
func (r *leadership) follow(stream grpc.BidiStreamingServer[wire.DaemonReport, wire.Assignments], reports *inbox[wire.DaemonReport], reg *wire.Register, f *daemon) error {
	var sent *wire.Assignments
	alive := time.NewTicker(wire.HeartbeatInterval)
	defer alive.Stop()
	for {
		changed := r.s.Watch()
		now := &wire.Assignments{ClusterID: r.s.ClusterID()}
		here := false
		r.s.View(func(s *state.State) { now.Jobs, here = s.Assignments(reg.ID), s.Has(reg.ID, reg.Start) })
		if !here {
			return fmt.Errorf("%w: executor %s was given up while it came back; it registers again",
				wire.ErrNotReady, reg.ID)
		}
		if sent == nil || !reflect.DeepEqual(sent, now) {
			if err := wire.SendAssignments(stream, now); err != nil {
				return err
			}
			sent = now
		}
		select {
		case m, ok := <-reports.messages:
			if !ok {
				return reports.err
			}
			if err := r.handle(m, reg); err != nil {
				return err
			}
		case <-changed:
		case <-alive.C:
			if err := stream.Send(&wire.Assignments{Alive: &wire.Alive{}}); err != nil {
				return err
			}
		case <-f.dropped:
			return fmt.Errorf("%w: nothing was heard of executor %s", wire.ErrNotReady, reg.ID)
		case <-r.ctx.Done():
			return &wire.NotLeaderError{Leader: r.s.leaderAddress()}
		}
	}
}

// handle records what one report says.
func (r *leadership) handle(m *wire.DaemonReport, reg *wire.Register) error {
	r.mu.Lock()
	if f := r.daemons[reg.ID]; f != nil && f.conn == reg {
		f.heard = time.Now()
	}
	r.mu.Unlock()
	var err error
	switch {
	case m.Ready != nil:
		p := m.Ready
		if _, _, err := net.SplitHostPort(p.Address); err != nil || len(p.Address) > state.MaxName || !state.ValidID(p.Process) || p.Slots < 1 || p.Slots > state.MaxSlots {
			return fmt.Errorf("%w: process %q at %q with %d slots", wire.ErrInvalid, p.Process, p.Address, p.Slots)
		}
		err = r.s.Record(&state.ProcessReady{Executor: reg.ID, Start: reg.Start, Incarnation: p.Incarnation, Process: p.Process, Address: p.Address, Slots: p.Slots}, raftgroup.Never)
		if err == nil {
			r.s.log.Info("a job's process is ready", "job", p.Incarnation, "executor", reg.ID, "address", p.Address)
		}
	case m.Exited != nil:
		x := m.Exited
		reason := x.Reason[:min(len(x.Reason), state.MaxReasonText)]
		r.s.log.Warn("a job's process has died",
			"job", x.Incarnation, "executor", reg.ID, "crashes", x.Crashes, "fatal", x.Fatal, "reason", reason)
		if d := r.runner(x.Incarnation); d != nil {
			d.setTrouble(fmt.Sprintf("executor %s: %s", reg.ID, reason))
			if p := d.process(); p != nil && x.Died != nil {
				p.tellDied(wire.ProcessDied{
					Executor: reg.ID, Address: wire.Clip(x.Died.Address, state.MaxName),
					Status: wire.Clip(x.Died.Status, state.MaxReasonText), LastWords: wire.Clip(x.Died.LastWords, state.MaxReasonText),
				})
			}
		}
		err = r.s.Record(&state.ProcessExited{Executor: reg.ID, Start: reg.Start, Incarnation: x.Incarnation, Process: x.Process, Fatal: x.Fatal, Reason: reason}, raftgroup.Never)
	}
	if errors.Is(err, wire.ErrJobEnded) || errors.Is(err, wire.ErrNoJob) {
		return nil // the daemon hears of it with its assignments
	}
	return err
}

// loseSilent records which executors are gone.
func (r *leadership) loseSilent() {
	alive := make(map[string]string) // start by id
	r.s.View(func(s *state.State) {
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
		r.s.log.Warn("an executor is lost", "executor", id)
		if err := r.s.Record(&state.LoseExecutor{ID: id, Start: start}, raftgroup.Never); err != nil {
			r.s.log.Warn("losing an executor", "executor", id, "err", err)
			return // the leadership is about to end
		}
	}
}

// silent reports whether an executor is to be given up, and drops its stream.
func (r *leadership) silent(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.daemons[id]
	if f == nil {
		return time.Since(r.began) > executorReturn
	}
	if f.conn != nil && time.Since(f.heard) > executorSilence {
		close(f.dropped)
		delete(r.daemons, id)
		return true
	}
	if f.conn == nil && time.Since(f.heard) > executorReturn {
		delete(r.daemons, id)
		return true
	}
	return false
}

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

// executorService is what executor daemons follow.
type executorService struct {
	n    *node
	lead *lead
}

// Follow implements wire.ExecutorsServer.
func (e *executorService) Follow(stream grpc.BidiStreamingServer[wire.DaemonReport, wire.Assignments]) error {
	r, err := e.lead.current()
	if err != nil {
		return err
	}
	reports := receive(&e.n.streams, stream.Recv)
	defer reports.leave()
	first, err := reports.next(r.ctx, executorSilence)
	if err != nil {
		return err
	}
	reg := first.Register
	if err := checkRegister(reg, e.n.ClusterID()); err != nil {
		return err
	}
	f, err := r.daemons.connect(reg)
	if err != nil {
		return err
	}
	defer r.daemons.disconnect(reg)
	c := &state.RegisterExecutor{ID: reg.ID, Start: reg.Start, Address: reg.Address, Slots: reg.Slots, Platform: reg.Platform}
	if err := e.n.Record(c, raftgroup.Never); err != nil {
		return fmt.Errorf("registering executor %s: %w", reg.ID, err)
	}
	e.n.log.Info("an executor follows", "executor", reg.ID, "address", reg.Address, "slots", reg.Slots)
	return e.follow(r, stream, reports, reg, f)
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
	case reg.Slots < 1 || reg.Slots > state.MaxExecutorSlots:
		return fmt.Errorf("%w: executor %s has %d slots; from 1 to %d go",
			wire.ErrInvalid, reg.ID, reg.Slots, state.MaxExecutorSlots)
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

// follow serves a daemon's stream: it sends assignments and handles reports,
// until the stream or the leadership ends.
func (e *executorService) follow(r *leadership, stream grpc.BidiStreamingServer[wire.DaemonReport, wire.Assignments], reports *inbox[wire.DaemonReport], reg *wire.Register, f *daemon) error {
	var sent *wire.Assignments
	alive := time.NewTicker(wire.HeartbeatInterval)
	defer alive.Stop()
	for {
		changed := e.n.Watch()
		now := &wire.Assignments{ClusterID: e.n.ClusterID()}
		here := false
		e.n.View(func(s *state.State) { now.Jobs, here = s.Assignments(reg.ID), s.Has(reg.ID, reg.Start) })
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
			if err := e.handle(r, m, reg); err != nil {
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
			return &wire.NotLeaderError{Leader: e.n.leaderAddress()}
		}
	}
}

// processName returns what a job's processes are called, "" for a job that is forgotten.
func (e *executorService) processName(job uint64) (name string) {
	e.n.View(func(s *state.State) {
		if j := s.Jobs[job]; j != nil {
			name = j.Spec.ProcessName()
		}
	})
	return name
}

// handle records what one report says.
func (e *executorService) handle(r *leadership, m *wire.DaemonReport, reg *wire.Register) error {
	r.daemons.hear(reg)
	var err error
	switch {
	case m.Ready != nil:
		p := m.Ready
		if _, _, err := net.SplitHostPort(p.Address); err != nil || len(p.Address) > state.MaxName || !state.ValidID(p.Process) || p.Slots < 1 || p.Slots > state.MaxExecutorSlots {
			return fmt.Errorf("%w: process %q at %q with %d slots", wire.ErrInvalid, p.Process, p.Address, p.Slots)
		}
		err = e.n.Record(&state.ProcessReady{Executor: reg.ID, Start: reg.Start, Incarnation: p.Incarnation, Process: p.Process, Address: p.Address, Slots: p.Slots}, raftgroup.Never)
		if err == nil {
			e.n.log.Info("a job's process is ready", "job", p.Incarnation, "executor", reg.ID, "address", p.Address)
		}
	case m.Exited != nil:
		x := m.Exited
		reason := x.Reason[:min(len(x.Reason), state.MaxReasonText)]
		e.n.log.Warn("a job's process has died",
			"job", x.Incarnation, "process", e.processName(x.Incarnation), "executor", reg.ID, "crashes", x.Crashes, "fatal", x.Fatal, "reason", reason)
		if d := r.runners.of(x.Incarnation); d != nil {
			d.health.setTroubleOn(reg.ID, fmt.Sprintf("executor %s: %s", reg.ID, reason))
			if p := d.process(); p != nil && x.Died != nil {
				p.tellDied(wire.ProcessDied{
					Executor: reg.ID, Address: wire.Clip(x.Died.Address, state.MaxName),
					Status: wire.Clip(x.Died.Status, state.MaxReasonText), LastWords: wire.Clip(x.Died.LastWords, state.MaxReasonText),
				})
			}
		}
		err = e.n.Record(&state.ProcessExited{Executor: reg.ID, Start: reg.Start, Incarnation: x.Incarnation, Process: x.Process, Fatal: x.Fatal, Reason: reason}, raftgroup.Never)
	}
	if errors.Is(err, wire.ErrJobEnded) || errors.Is(err, wire.ErrNoJob) {
		return nil // the daemon hears of it with its assignments
	}
	return err
}

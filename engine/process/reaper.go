package process

import (
	"os/exec"
	"sync"

	"github.com/hibana-engine/hibana/engine/offspring"
)

// Reaper ends what jobs' processes leave behind, also in sessions of its own. A daemon
// has one, for all its processes. The methods of nil do nothing.
//
// Every process of a job adopts what its descendants leave behind (see role.OpenParent).
// So a child of the daemon that the daemon hasn't started was left behind by a process
// that has ended, and may be killed.
type Reaper struct {
	mu  sync.Mutex
	own map[int]bool // processes that the daemon has started and that run
}

// NewReaper makes this process adopt what its processes leave behind. It must start no
// other processes than those of [Run].
func NewReaper() (*Reaper, error) {
	return &Reaper{own: make(map[int]bool)}, offspring.Adopt()
}

// start starts a process that is known from its beginning.
func (r *Reaper) start(start func() (*exec.Cmd, error)) (*exec.Cmd, error) {
	if r == nil {
		return start()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	cmd, err := start()
	if err == nil {
		r.own[cmd.Process.Pid] = true
	}
	return cmd, err
}

// ended kills what a process has left behind.
func (r *Reaper) ended(pid int) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.own, pid)
	return offspring.Kill(func(child int) bool { return r.own[child] })
}

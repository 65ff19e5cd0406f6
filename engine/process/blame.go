package process

import (
	"syscall"

	"github.com/hibana-engine/hibana/engine/role"
)

// blame says whether a process that nobody here ended did so by itself. Signals
// that people and machines send to end a process come from outside, but for the
// one that the kernel sends when memory is used up; starved says that it sent some. A
// program that catches such a signal exits with role.ExitInterrupted.
func (e *Exit) blame(status syscall.WaitStatus, starved bool) {
	if !status.Signaled() {
		e.ByItself = status.ExitStatus() != role.ExitInterrupted
		return
	}
	switch status.Signal() {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
	case syscall.SIGKILL:
		e.Killed, e.ByItself = !starved, starved
		if starved {
			e.Status += " (the machine or its container was out of memory)"
		}
	default:
		e.ByItself = true
	}
}

// isClosed reports whether a channel that only closes is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c: // never, if it is nil
		return true
	default:
		return false
	}
}

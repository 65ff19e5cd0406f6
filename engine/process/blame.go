package process

import (
	"bytes"
	"os"
	"strconv"
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
		if e.ByItself = starved; starved {
			e.Status += " (the machine or its container was out of memory)"
		}
	default:
		e.ByItself = true
	}
}

// outOfMemory returns how many processes the kernel has killed for want of memory;
// 0 where it doesn't say.
func outOfMemory() (kills int) {
	b, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if n, ok := bytes.CutPrefix(line, []byte("oom_kill ")); ok {
			kills, _ = strconv.Atoi(string(bytes.TrimSpace(n)))
		}
	}
	return kills
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

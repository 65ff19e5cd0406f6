package offspring

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Adopt makes this process the parent of its descendants that lose theirs.
func Adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopting what processes leave behind: %w", err)
	}
	return nil
}

// Times of Kill.
const (
	again   = 2 * time.Millisecond // between two looks at the processes
	atWorst = 5 * time.Second      // for what forks without end
)

// ErrAlive: processes go on, such as those that wait for a disk.
var ErrAlive = errors.New("processes that a program has left behind don't end")

// Kill kills the descendants of this process, but for the children that are spared and
// what is below them. It stops them first, so that none forks while it is done.
func Kill(spared func(child int) bool) error {
	self := os.Getpid()
	stopped := make(map[int]bool)
	for deadline := time.Now().Add(atWorst); ; time.Sleep(again) {
		all, err := below(self, spared)
		if err != nil || len(all) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w within %s: %d of them", ErrAlive, atWorst, len(all))
		}
		news := false
		for _, pid := range all {
			if !stopped[pid] {
				stopped[pid], news = true, true
				_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
			}
		}
		if news && len(stopped) < mostStopped {
			continue // they may have forked before
		}
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		for _, pid := range all { // those that have become children of this process
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// mostStopped is how many processes are stopped before the killing begins.
const mostStopped = 10_000

// below lists the descendants of a process, but for the children that are spared and
// what is below them.
func below(root int, spared func(child int) bool) ([]int, error) {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, e := range entries {
		if pid, parent, ok := parentOf(e); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	var all []int
	for _, child := range children[root] {
		if spared == nil || !spared(child) {
			all = append(all, child)
		}
	}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// parentOf reads a process's number and its parent's.
func parentOf(dir string) (pid, parent int, ok bool) {
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, 0, false // it has ended
	}
	pid, err = strconv.Atoi(filepath.Base(dir))
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name before it may hold anything
	if err != nil || len(fields) < 2 {
		return 0, 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return pid, parent, err == nil
}

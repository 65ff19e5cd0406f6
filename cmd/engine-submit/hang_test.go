package main

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/minicluster"
	"github.com/hibana-engine/hibana/engine/wire"
)

// testHangs stops processes, which closes no connection, while a job runs: its
// driver process and an executor process, which are replaced, and the leader.
func testHangs(t *testing.T, c *minicluster.Cluster, self string) {
	if code := run(&around(0).process, []string{"--detach", "--submission", "hangs", self, "--batches", "1000000"}); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	first := awaitStatus(t, c, "two executors and a batch", func(st *wire.JobStatus) bool {
		return len(st.Executors) == 2 && st.Progress.LastBatch > 0
	})
	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, childOf(t, c, leader))
	stop(t, childOf(t, c, "e1"))
	second := awaitStatus(t, c, "a new driver and a new process on e1", func(st *wire.JobStatus) bool {
		return st.Epoch > first.Epoch && len(st.Executors) == 2 && st.Executors[0].Instance > first.Executors[0].Instance &&
			st.Progress.LastBatch > first.Progress.LastBatch
	})
	stop(t, c.PID(leader))
	third := awaitStatus(t, c, "a new leader's driver", func(st *wire.JobStatus) bool {
		return st.Node != leader && len(st.Executors) == 2 && st.Progress.LastBatch > second.Progress.LastBatch
	})
	t.Logf("executor processes before the leader hung: %+v, after: %+v", second.Executors, third.Executors)
	// One that goes on after so long ends itself if it had been writing.
	if err := errors.Join(c.Kill(leader), c.Restart(leader)); err != nil {
		t.Fatal(err)
	}
	if code := run(&around(0).process, []string{"kill", "hangs"}); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// awaitStatus waits until a job is as it should be.
func awaitStatus(t *testing.T, c *minicluster.Cluster, what string, good func(*wire.JobStatus) bool) *wire.JobStatus {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last *wire.JobStatus
	for deadline := time.After(time.Minute); ; {
		st, err := c.Client.Status(t.Context(), wire.JobRef{Submission: "hangs"})
		if err == nil && good(st) {
			return st
		}
		if err == nil {
			last = st
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waiting for %s: %+v, %v", what, last, err)
		}
	}
}

// stop stops a process until the test ends.
func stop(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatalf("stopping process %d: %v", pid, err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // it may have been killed
}

// childOf returns the id of the one process that a daemon has started.
func childOf(t *testing.T, c *minicluster.Cluster, daemon string) int {
	t.Helper()
	child, err := c.Child(daemon)
	if err != nil {
		t.Fatal(err)
	}
	return child
}

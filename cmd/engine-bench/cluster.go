package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/minicluster"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
)

// masterCluster as --master means a cluster of daemons that the benchmark starts.
const masterCluster = "cluster"

// The cluster that a benchmark starts, and how results describe it.
const (
	clusterDrivers   = 3
	clusterExecutors = 2
	clusterSlots     = 1
	clusterIs        = "cluster of 3 engine-drivers (raft-wal on disk; one append and fsync a batch on each) and 2 engine-executors of 1 slot"
)

// inJob reports whether this process is one of a job that the benchmark submitted.
func inJob() bool { return os.Getenv(role.Env) != "" }

// streamArgs returns the command line of a stream that is measured. Where a job of
// a cluster runs was said when it was submitted.
func streamArgs(master, brokers string) []string {
	args := []string{"--brokers", brokers, "--log-level", "error"}
	if !inJob() {
		args = append(args, "--master", master)
	}
	return args
}

// localUsage says where a workload's engine runs whose process is measured.
const localUsage = "where the engine runs; its process is measured, so local[N]"

// checkLocal refuses a master that isn't in this process.
func checkLocal(master string) error {
	if master != "local" && !strings.HasPrefix(master, "local[") {
		return fmt.Errorf("%w: --master %s: the engine's process is measured, so it is local[N]", errUsage, master)
	}
	return nil
}

// testCluster is a cluster and a directory for the results of its jobs.
type testCluster struct {
	*minicluster.Cluster
	dir string
}

// daemons returns the directory of this program, where the daemons are too.
func daemons() (bin string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	bin = filepath.Dir(self)
	for _, name := range []string{"engine-driver", "engine-executor"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return "", fmt.Errorf("%w: --master cluster needs %s beside engine-bench: run make build, then bin/engine-bench", errUsage, name)
		}
	}
	return bin, nil
}

// startCluster starts daemons from the directory of this program.
func startCluster(ctx context.Context) (*testCluster, error) {
	bin, err := daemons()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "engine-bench-")
	if err != nil {
		return nil, err
	}
	c, err := minicluster.Start(ctx, minicluster.Config{
		Bin: bin, Dir: filepath.Join(dir, "cluster"), Drivers: clusterDrivers, Executors: clusterExecutors, Slots: clusterSlots,
	})
	if err != nil {
		_ = os.RemoveAll(dir) // the first error says more
		return nil, err
	}
	return &testCluster{c, dir}, nil
}

// close ends the daemons and removes their files, unless something failed. What goes wrong is
// printed, and returned to those whose figures need the daemons' own.
func (c *testCluster) close(failure error) error {
	err := c.Close()
	if err != nil {
		err = fmt.Errorf("ending the cluster: %w", err)
		complain(err)
	}
	if failure != nil {
		fmt.Fprintln(os.Stderr, "engine-bench: the cluster's logs and data are in", c.dir)
		return err
	}
	removeDir(c.dir)
	return err
}

// submit submits this program with a command line.
func (c *testCluster) submit(ctx context.Context, args ...string) (wire.JobRef, error) {
	self, err := os.Executable()
	if err != nil {
		return wire.JobRef{}, err
	}
	job, err := c.Client.Submit(ctx, client.Submission{Binary: self, Name: "bench", Args: args})
	return job.JobRef, err
}

// run submits this program, waits for its job's end and reads what its driver
// left in a file.
func (c *testCluster) run(ctx context.Context, into any, args ...string) error {
	file := filepath.Join(c.dir, "result")
	_ = os.Remove(file) // of the job before, if there was one
	job, err := c.submit(ctx, append(args, "--result", file)...)
	if err != nil {
		return err
	}
	st, err := c.Client.Watch(ctx, job, func(*wire.JobStatus) {})
	if err != nil {
		return err
	}
	if st.State != wire.JobFinished {
		return fmt.Errorf("the job %s: %s", st.State, st.Reason)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/minicluster"
	"github.com/hibana-engine/hibana/engine/minicluster/clustertest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd"
)

// TestMain lets the test's binary be the program that is submitted: pagerank, with a gate
// after each round.
func TestMain(m *testing.M) {
	if os.Getenv(role.Env) == "" || !slices.Contains(os.Args, "--gates") {
		os.Exit(m.Run())
	}
	app := engine.NewApp("pagerank")
	dir := app.Flags().String("gates", "", "the `directory` of the gates")
	result := app.Flags().String("result", "", "a `file` for the ranks")
	opt := options{nodes: 300, rounds: killedRounds, seed: 2, every: 3}
	app.Flags().StringVar(&opt.checkpoints, "checkpoints", "", "a `directory`")
	app.Batch(func(sc *rdd.Context) error {
		opt.after = func(round int, ranks *rdd.RDD[Rank]) *rdd.RDD[Rank] {
			return ranks.Filter(func(Rank) bool { gate{*dir, round}.pass(); return true })
		}
		ranks, err := ranks(sc, opt)
		if err != nil {
			return err
		}
		all, err := rdd.Collect(ranks)
		if err != nil {
			return err
		}
		sc.OnDriver(func() error { return os.WriteFile(*result, fmt.Append(nil, all), 0o600) })
		return nil
	})
}

// killedRounds are the rounds of the program that is killed.
const killedRounds = 8

// gate is where tasks of a round wait, in other processes than the test's, as long as there
// is a file that says so.
type gate struct {
	dir   string
	round int
}

func (g gate) shut() string    { return filepath.Join(g.dir, fmt.Sprint("shut-", g.round)) }
func (g gate) arrived() string { return filepath.Join(g.dir, fmt.Sprint("arrived-", g.round)) }

// pass is called by a task.
func (g gate) pass() {
	for {
		if _, err := os.Stat(g.shut()); errors.Is(err, fs.ErrNotExist) {
			return
		}
		_ = os.WriteFile(g.arrived(), nil, 0o600) // else the test says that nobody came
		time.Sleep(10 * time.Millisecond)
	}
}

// killing kills parts of a cluster while a program's tasks wait at gates.
type killing struct {
	*testing.T
	ctx     context.Context
	cluster *minicluster.Cluster
	dir     string
	program string
}

// TestKilledCluster kills an executor, the job's driver process and the leading engine-driver
// in the middle of the rounds, and then the driver process of a program that had made a
// checkpoint. The seed chooses when. The ranks are those of a run that nobody disturbs, to
// the last bit.
func TestKilledCluster(t *testing.T) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip("the job's processes are found in /proc")
	}
	rng := rand.New(rand.NewPCG(clustertest.Seed(t), 4))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, _ := clustertest.Start(t, 2)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k := &killing{t, ctx, c, t.TempDir(), self}

	want, _ := k.run("undisturbed", nil)
	kills := []func(){k.executor, k.jobDriver, k.leader}
	rng.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	at := rng.Perm(killedRounds)[:len(kills)]
	slices.Sort(at)
	disturbed := make(map[int]func())
	for i, kill := range kills {
		disturbed[1+at[i]] = kill
	}
	if got, log := k.run("killed", disturbed); got != want || strings.Contains(log, "going on") {
		t.Errorf("after kills in rounds %d the ranks are\n%s\nwithout\n%s", at, got, want)
	}
	got, log := k.run("checkpoints", map[int]func(){4 + rng.IntN(2): k.jobDriver}, "--checkpoints", t.TempDir())
	if got != want || !strings.Contains(log, "going on after round 3\n") {
		t.Errorf("a program that has made a checkpoint: the ranks are\n%s\nwithout\n%s\nits last driver says: %s", got, want, log)
	}
}

// run runs the program, calls kills while its tasks wait in given rounds, and returns what it
// has found and what its last driver process has said.
func (k *killing) run(name string, kills map[int]func(), args ...string) (result, log string) {
	k.Helper()
	gates, file := filepath.Join(k.dir, name), filepath.Join(k.dir, name+".ranks")
	if err := os.Mkdir(gates, 0o700); err != nil {
		k.Fatal(err)
	}
	for round := range kills {
		if err := os.WriteFile(gate{gates, round}.shut(), nil, 0o600); err != nil {
			k.Fatal(err)
		}
	}
	job, err := k.cluster.Client.Submit(k.ctx, client.Submission{
		Binary: k.program, Name: name, Args: append([]string{"--gates", gates, "--result", file}, args...),
	})
	if err != nil {
		k.Fatal(err)
	}
	for round := range killedRounds + 1 {
		if kill := kills[round]; kill != nil {
			g := gate{gates, round}
			k.await(g)
			kill()
			if err := os.Remove(g.shut()); err != nil {
				k.Fatal(err)
			}
		}
	}
	st, err := k.cluster.Client.Watch(k.ctx, job.JobRef, func(*wire.JobStatus) {})
	if err != nil || st.State != wire.JobFinished {
		k.Fatalf("job %s ended: %+v, %v", name, st, err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		k.Fatal(err)
	}
	var out bytes.Buffer
	if err := k.cluster.Client.Logs(k.ctx, job.JobRef, client.LogOptions{}, &out); err != nil {
		k.Fatal(err)
	}
	return string(b), out.String()
}

// await waits until tasks wait at a gate.
func (k *killing) await(g gate) {
	k.Helper()
	k.poll(fmt.Sprint("tasks of round ", g.round), func() error {
		_, err := os.Stat(g.arrived())
		return err
	})
}

// poll calls f every few milliseconds until it has no error.
func (k *killing) poll(what string, f func() error) {
	k.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for err := f(); err != nil; err = f() {
		select {
		case <-tick.C:
		case <-k.ctx.Done():
			k.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// executor kills an engine-executor, and with it the job's process, and starts it again.
func (k *killing) executor() { k.daemon("e1") }

// leader kills the leading engine-driver, and with it the job's driver process, and starts
// it again.
func (k *killing) leader() { k.daemon(k.leading()) }

// jobDriver kills the job's driver process, once that of the job before has ended.
func (k *killing) jobDriver() {
	k.Helper()
	leader := k.leading()
	k.poll("the only process of the leader", func() error {
		pid, err := k.cluster.Child(leader)
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	})
}

func (k *killing) daemon(id string) {
	k.Helper()
	if err := errors.Join(k.cluster.Kill(id), k.cluster.Restart(id)); err != nil {
		k.Fatal(err)
	}
}

func (k *killing) leading() string {
	k.Helper()
	id, err := k.cluster.Leader(k.ctx)
	if err != nil {
		k.Fatal(err)
	}
	return id
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/minicluster"
	"github.com/hibana-engine/hibana/engine/minicluster/clustertest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// clusterPatience bounds the chaos test, on a machine that does other things too.
const clusterPatience = 5 * time.Minute

// TestKilledCluster submits the program to a cluster of real daemons and kills
// the leading engine-driver, the job's driver process, engine-executors and the
// job's processes on them with SIGKILL while images flow. Another program then
// compares the topics. The seed chooses whom to kill after how many results.
func TestKilledCluster(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("the job's processes are found in /proc")
	}
	rng := rand.New(rand.NewPCG(clustertest.Seed(t), 3))
	ctx, cancel := context.WithTimeout(t.Context(), clusterPatience)
	defer cancel()
	addr := kafkatest.Fake(t).Addrs[0]
	c, bin := clustertest.Start(t, 1, ".", "./mnist-verify")
	topics := []string{"--brokers", addr, "--images-topic", "chaos-images", "--digits-topic", "chaos-digits"}
	job, err := c.Client.Submit(ctx, client.Submission{
		Binary: filepath.Join(bin, "mnist-stream"), Name: "chaos",
		Args: append(topics, "--model", "mlp", "--images", strconv.Itoa(chaosImages), "--rate", "5000", "--batch-interval", "50ms", "--json"),
	})
	if err != nil {
		t.Fatal(err)
	}
	k := &killer{t: t, ctx: ctx, cluster: c, addr: addr, rng: rng}
	kinds := slices.Concat(slices.Repeat([]string{"leader"}, chaosKills), slices.Repeat([]string{"job driver"}, chaosKills),
		slices.Repeat([]string{"executor"}, chaosKills), slices.Repeat([]string{"job executor"}, chaosKills))
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	space := int64(chaosImages*4/5) / int64(len(kinds))
	for i, kind := range kinds {
		k.awaitDigits(int64(i)*space + 1 + rng.Int64N(space))
		k.kill(kind)
	}
	st, err := c.Client.Watch(ctx, job.JobRef, func(*wire.JobStatus) {})
	if err != nil || st.State != wire.JobFinished {
		t.Fatalf("the job ended: %+v, %v", st, err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "mnist-verify"), topics...).CombinedOutput()
	var found struct {
		Images, Lost, Duplicates, Foreign int
		DoubleBatches                     int `json:"double_batches"`
	}
	if jerr := json.Unmarshal(out, &found); jerr != nil {
		t.Fatalf("mnist-verify: %v, %v\n%s", err, jerr, out)
	}
	t.Logf("%d kills: %s", len(kinds), bytes.TrimSpace(out))
	if err != nil || found.Images < chaosImages {
		t.Errorf("%d kills: %+v, %v", len(kinds), found, err)
	}
}

// killer kills parts of a cluster and starts daemons again.
type killer struct {
	t       *testing.T
	ctx     context.Context
	cluster *minicluster.Cluster
	addr    string
	rng     *rand.Rand
	last    int // process that was killed last
}

// kill kills one of a kind.
func (k *killer) kill(kind string) {
	k.t.Helper()
	executor := "e" + strconv.Itoa(1+k.rng.IntN(2))
	switch kind {
	case "leader":
		k.daemon(k.leader())
	case "executor":
		k.daemon(executor)
	case "job driver":
		k.child(func() int { return k.cluster.PID(k.leader()) })
	case "job executor":
		k.child(func() int { return k.cluster.PID(executor) })
	}
}

func (k *killer) leader() string {
	k.t.Helper()
	id, err := k.cluster.Leader(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	return id
}

// daemon kills a daemon and starts it again.
func (k *killer) daemon(id string) {
	k.t.Helper()
	if err := k.cluster.Kill(id); err != nil {
		k.t.Fatal(err)
	}
	if err := k.cluster.Restart(id); err != nil {
		k.t.Fatal(err)
	}
}

// child kills the process that a daemon runs for the job, once it has one.
func (k *killer) child(daemon func() int) {
	k.t.Helper()
	k.poll("a process of the job", func() bool {
		children := childrenOf(daemon())
		if len(children) == 0 || children[0] == k.last {
			return false
		}
		k.last = children[0]
		return syscall.Kill(k.last, syscall.SIGKILL) == nil
	})
}

// awaitDigits waits until there are as many results.
func (k *killer) awaitDigits(n int64) {
	k.t.Helper()
	k.poll(strconv.FormatInt(n, 10)+" results", func() bool {
		ends, err := kafka.EndOffsets(k.ctx, []string{k.addr}, "chaos-digits")
		if err != nil {
			return false // the topic isn't there yet
		}
		have := int64(0)
		for _, end := range ends["chaos-digits"] {
			have += end
		}
		return have >= n
	})
}

// poll calls f every few milliseconds until it returns true.
func (k *killer) poll(what string, f func() bool) {
	k.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-k.ctx.Done():
			k.t.Fatalf("waiting for %s: %v", what, k.ctx.Err())
		}
	}
}

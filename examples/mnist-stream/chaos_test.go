package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine/minicluster/clustertest"
)

// What TestKilledProcesses kills, and while how many images flow.
const (
	chaosImages = 50_000
	chaosKills  = 5 // of each kind
)

// TestKilledProcesses kills the job's driver process and its executor processes
// with SIGKILL, again and again, while images flow, and then has another program
// compare the topics. A seed chooses whom to kill after how many results, so the
// schedule follows the stream's progress, not the clock.
func TestKilledProcesses(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("the executors' processes are found in /proc")
	}
	path, verify := program(t, "mnist-stream"), program(t, "mnist-verify")
	rng := rand.New(rand.NewPCG(clustertest.Seed(t), 2))
	kinds := slices.Concat(slices.Repeat([]string{"driver"}, chaosKills), slices.Repeat([]string{"executor"}, chaosKills))
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })

	addr := kafkatest.Fake(t).Addrs[0]
	j := &victim{t: t, path: path, addr: addr, digits: "chaos-digits", args: []string{
		"--master", "local-cluster[2,1]", "--brokers", addr, "--checkpoint", t.TempDir(), "--model", "mlp",
		"--images", strconv.Itoa(chaosImages), "--rate", "5000", "--batch-interval", "50ms",
		"--images-topic", "chaos-images", "--digits-topic", "chaos-digits", "--json", "--log-level", "error",
	}}
	j.start()
	space := int64(chaosImages*4/5) / int64(len(kinds))
	for i, kind := range kinds {
		j.awaitDigits(int64(i)*space + 1 + rng.Int64N(space))
		switch kind {
		case "driver":
			j.kill(j.cmd.Process.Pid)
			_ = j.cmd.Wait()
			j.start()
		case "executor":
			j.kill(j.executor(rng.IntN(2)))
		}
	}
	if err := j.cmd.Wait(); err != nil {
		t.Fatalf("the job ended with %v\n%s", err, j.stderr)
	}
	out, err := exec.Command(verify, "--brokers", addr, "--images-topic", "chaos-images", "--digits-topic", "chaos-digits").CombinedOutput()
	var found struct{ Images, Lost, Duplicates, Foreign, DoubleBatches int }
	if jerr := json.Unmarshal(bytes.ReplaceAll(out, []byte("double_batches"), []byte("DoubleBatches")), &found); jerr != nil {
		t.Fatalf("mnist-verify: %v, %v\n%s", err, jerr, out)
	}
	t.Logf("%d kills: %s", len(kinds), out)
	// Tasks write as they run: a batch is repeated as often as a kill meets it.
	if err != nil || found.Images < chaosImages || found.DoubleBatches > len(kinds) {
		t.Errorf("%d kills: %+v, %v", len(kinds), found, err)
	}
}

// victim is a running job.
type victim struct {
	t            *testing.T
	path, addr   string
	digits       string
	args         []string
	cmd          *exec.Cmd
	stderr       *bytes.Buffer
	lastExecutor int
}

// start starts the job's driver process, which starts the others.
func (v *victim) start() {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	v.t.Cleanup(cancel)
	v.cmd, v.stderr = exec.CommandContext(ctx, v.path, v.args...), &bytes.Buffer{}
	v.cmd.Stderr, v.cmd.WaitDelay = v.stderr, 5*time.Second
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) kill(pid int) {
	v.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		v.t.Fatalf("killing process %d: %v\n%s", pid, err, v.stderr)
	}
}

// poll calls f every few milliseconds until it returns true.
func (v *victim) poll(what string, f func() bool) {
	v.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			v.t.Fatalf("waiting for %s\n%s", what, v.stderr)
		}
	}
}

// awaitDigits waits until there are as many results.
func (v *victim) awaitDigits(n int64) {
	v.t.Helper()
	v.poll(fmt.Sprintf("%d results", n), func() bool {
		ends, err := kafka.EndOffsets(v.t.Context(), []string{v.addr}, v.digits)
		if err != nil {
			return false // the topic isn't there yet
		}
		have := int64(0)
		for _, end := range ends[v.digits] {
			have += end
		}
		return have >= n
	})
}

// executor returns the process of one of the job's executors. One that was
// killed isn't chosen again: it may not have gone from the list.
func (v *victim) executor(which int) (pid int) {
	v.t.Helper()
	v.poll("two executor processes", func() bool {
		children := childrenOf(v.cmd.Process.Pid)
		children = slices.DeleteFunc(children, func(pid int) bool { return pid == v.lastExecutor })
		if len(children) != 2 {
			return false
		}
		pid = children[which]
		return true
	})
	v.lastExecutor = pid
	return pid
}

// childrenOf returns the processes that a process started and that run, ascending.
func childrenOf(parent int) (children []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …; a name may hold anything.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			children = append(children, pid)
		}
	}
	slices.Sort(children)
	return children
}

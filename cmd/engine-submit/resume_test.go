package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/minicluster"
	"github.com/hibana-engine/hibana/engine/minicluster/clustertest"
	"github.com/hibana-engine/hibana/rdd"
)

// runOrders is the program that is killed and changed: it adds up, in a state, what
// records say of their keys, and appends each sum to a file.
func runOrders() {
	app := engine.NewApp("orders")
	f := app.Flags()
	f.Bool("orders", true, "be this program")
	topic := f.String("topic", "", "what it reads")
	out := f.String("out", "", "what it writes")
	changed := f.Bool("changed", false, "be changed: another map, another output, other partitions")
	unfit := f.Bool("unfit", false, "be changed so that the state holds something else")
	app.Stream(50*time.Millisecond, func(ssc *engine.StreamingContext) error {
		in := engine.Map(kafka.Direct(ssc, kafka.Subscribe(*topic), kafka.StringValue), func(s string) rdd.Pair[string, int] {
			key, value, _ := strings.Cut(s, " ")
			n, _ := strconv.Atoi(value)
			return rdd.Pair[string, int]{Key: strings.Clone(key), Value: n}
		})
		if *unfit {
			engine.MapWithState(in, "sums", func(key string, n *int, s *engine.State[string]) (string, bool) { return "", false }).Print(1)
			return nil
		}
		partitions := 2
		if *changed {
			partitions = 3
			in = engine.Map(in, func(p rdd.Pair[string, int]) rdd.Pair[string, int] { return p })
			engine.ForEachBatch(in, func(engine.Batch, []rdd.Pair[string, int]) error { return nil })
		}
		sums := engine.MapWithState(in, "sums", func(key string, n *int, s *engine.State[int]) (string, bool) {
			sum, _ := s.Get()
			s.Update(sum + *n)
			return fmt.Sprint(key, " ", sum+*n, "\n"), true
		}, engine.Partitions(partitions))
		engine.ForEachBatch(sums, func(_ engine.Batch, lines []string) error { return appendTo(*out, lines) })
		return nil
	})
}

// appendTo appends lines to a file, all at once.
func appendTo(path string, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(lines, ""))
	return errors.Join(err, f.Close())
}

// orders is a job of that program, and what it should have done.
type orders struct {
	t       *testing.T
	cluster *minicluster.Cluster
	broker  *kafkatest.Broker
	self    string
	topic   string
	out     string
	args    []string
	rng     *rand.Rand

	sums  map[string]int
	lines map[string]bool // that must be written, in any order and at least once
	sent  int
}

// TestKilledAndResumed kills a job with a state at its driver process, at an executor and at
// the leader, in the order that a seed says, while records flow, and changes its program:
// its outputs and its state are those of a job that nothing befell.
func TestKilledAndResumed(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("the job's processes are found in /proc")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := &orders{
		t: t, cluster: real(t), broker: kafkatest.Fake(t), self: self, out: filepath.Join(dir, "sums"),
		rng: rand.New(rand.NewPCG(clustertest.Seed(t), 5)), sums: make(map[string]int), lines: make(map[string]bool),
	}
	o.topic = o.broker.Topic(t, 2)
	o.args = []string{
		"--orders", "--brokers", o.broker.Addrs[0], "--topic", o.topic, "--out", o.out,
		"--conf", "checkpoint.store=" + filepath.Join(dir, "state"), "--conf", "checkpoint.interval=300ms",
	}
	first := o.submit()
	kinds := []string{"job driver", "executor", "leader"}
	o.rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, kind := range kinds {
		o.send(200)
		o.await(o.sent - 1 - o.rng.IntN(150))
		o.kill(kind)
	}
	o.send(100)
	o.await(o.sent)
	o.check(first)

	// What it can't go on with is said, and nothing is lost by it.
	o.run(exitFailed, "is running, and only a job that has ended can be resumed: end it first", "--resume", first, self, "--")
	o.run(exitOK, "is finished", "kill", "--graceful", first)
	o.run(exitFailed, "state sums: it holds string to int", "plan", first, self, "--", "--unfit")
	o.run(exitFailed, "this would be lost", "submit", "--resume", first, self, "--", "--unfit")
	o.send(100)
	o.await(o.sent - 100)
	if plan := o.run(exitOK, "", "plan", first, self, "--", "--changed"); !strings.Contains(plan, "migrated    state sums: from 2 to 3 partitions") || !strings.Contains(plan, "kept        input kafka.Direct") {
		t.Errorf("plan says\n%s", plan)
	}
	o.checkSums(o.run(exitOK, "", "state", "--program", self, first, "sums"), false)
	second := o.submit("--resume", first, "--changed")
	o.await(o.sent)
	o.send(100)
	o.kill(kinds[0])
	o.await(o.sent)
	o.check(second)
	o.run(exitFailed, "job "+first+" was resumed as job "+second, "submit", "--resume", first, self, "--")
	o.run(exitOK, "is killed", "kill", second)
	third := o.submit("--resume", second)
	o.send(100)
	o.await(o.sent)
	o.check(third)
	o.run(exitOK, "is killed", "kill", third)
	o.checkOffsets(o.run(exitOK, "", "offsets", "--program", self, third))
	fourth := strings.TrimSpace(o.run(exitOK, "as job", "--detach", "--resume", third, "--allow-non-restored-state", self, "--", "--unfit"))
	if got := o.run(exitOK, "after batch", "state", fourth, "sums"); got != "" {
		t.Errorf("a state that was dropped holds %s", got)
	}
	o.run(exitOK, "is killed", "kill", fourth)
	o.run(exitOK, "can't be resumed any more", "forget", fourth)
	o.run(exitFailed, "isn't there any more", "submit", "--resume", fourth, self, "--")
}

// run runs a command, which exits with a code and says something, and returns what it
// printed. Behind "--" the program's arguments are added.
func (o *orders) run(code int, says string, args ...string) string {
	o.t.Helper()
	if i := slices.Index(args, "--"); i >= 0 {
		args = slices.Insert(slices.Clone(args), i+1, o.args...)
	}
	s := around(0)
	if got := run(&s.process, args); got != code || !strings.Contains(s.err.String(), says) {
		o.t.Fatalf("engine-submit %q: exit code %d, expected %d\nstdout: %s\nstderr: %s, expected %q", args, got, code, s.out.String(), s.err.String(), says)
	}
	return s.out.String()
}

// submit submits the program and returns the job's number. Of what is added --resume is
// engine-submit's.
func (o *orders) submit(more ...string) string {
	o.t.Helper()
	args := []string{"submit", "--detach"}
	if len(more) > 1 {
		args, more = append(args, more[:2]...), more[2:]
	}
	return strings.TrimSpace(o.run(exitOK, "as job", slices.Concat(args, []string{o.self, "--"}, more)...))
}

// send writes records, whose keys have a partition each.
func (o *orders) send(n int) {
	o.t.Helper()
	var records []*kgo.Record
	for range n {
		k, value := o.rng.IntN(7), 1+o.rng.IntN(9)
		key := fmt.Sprint("k", k)
		o.sums[key] += value
		o.lines[fmt.Sprint(key, " ", o.sums[key])] = true
		records = append(records, &kgo.Record{Partition: int32(k % 2), Value: fmt.Appendf(nil, "%s %d", key, value)})
	}
	o.broker.Produce(o.t, o.topic, []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner())}, records...)
	o.sent += n
}

// await waits until so many different lines are written, each of which is right.
func (o *orders) await(n int) {
	o.t.Helper()
	seen := make(map[string]bool)
	kafkatest.Until(o.t, fmt.Sprint(n, " sums"), func() bool {
		b, _ := os.ReadFile(o.out) // there is none before the first batch with records
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); !o.lines[line] {
				o.t.Fatalf("the sum %q is wrong", line)
			}
			seen[line] = true
		}
		return len(seen) >= n
	})
}

// kill kills a process of the job, or daemons that run them.
func (o *orders) kill(kind string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	id := fmt.Sprint("e", 1+o.rng.IntN(2))
	if kind != "executor" {
		leader, err := o.cluster.Leader(ctx)
		if err != nil {
			o.t.Fatal(err)
		}
		id = leader
	}
	o.t.Logf("killing the %s (%s)", kind, id)
	if kind == "job driver" {
		if err := syscall.Kill(childOf(o.t, o.cluster, id), syscall.SIGKILL); err != nil {
			o.t.Fatal(err)
		}
		return
	}
	if err := errors.Join(o.cluster.Kill(id), o.cluster.Restart(id)); err != nil {
		o.t.Fatal(err)
	}
}

// check asks a job that runs for its state and its offsets.
func (o *orders) check(job string) {
	o.t.Helper()
	o.checkSums(o.run(exitOK, "after batch", "state", job, "sums"), true)
	key := slices.Sorted(maps.Keys(o.sums))[0]
	if got := o.run(exitOK, "after batch", "state", job, "sums", key); !strings.Contains(got, fmt.Sprintf(`{"key":%q,"value":%d,`, key, o.sums[key])) || strings.Count(got, "\n") != 1 {
		o.t.Errorf("the state of %s: %s", key, got)
	}
	o.run(exitFailed, `there is no state "nonsense": the job has ["sums"]`, "state", job, "nonsense")
	o.checkOffsets(o.run(exitOK, "where batch", "offsets", job))
}

// checkSums compares a state with what it should be: now, or at any time.
func (o *orders) checkSums(printed string, now bool) {
	o.t.Helper()
	got := make(map[string]int)
	for line := range strings.Lines(printed) {
		var l struct {
			Key   string
			Value int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || !o.lines[fmt.Sprint(l.Key, " ", l.Value)] {
			o.t.Errorf("%q is wrong; %v", line, err)
		}
		got[l.Key] = l.Value
	}
	if now && !maps.Equal(got, o.sums) || len(got) != len(o.sums) {
		o.t.Errorf("the state is\n%v, want\n%v", got, o.sums)
	}
}

// checkOffsets compares what a job has read with what there is.
func (o *orders) checkOffsets(printed string) {
	o.t.Helper()
	ends := o.broker.Ends(o.t, o.topic, true)
	var want []string
	for _, p := range slices.Sorted(maps.Keys(ends)) {
		want = append(want, fmt.Sprintf(`{"input":"kafka.Direct(%s)","source":%[1]q,"partition":%d,"next":%d}`, o.topic, p, ends[p]))
	}
	if got := strings.Fields(printed); !slices.Equal(got, want) {
		o.t.Errorf("the offsets are\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

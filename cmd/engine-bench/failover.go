package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// gap is what one kill cost.
type gap struct {
	Killed string  `json:"killed"`
	MS     float64 `json:"ms"` // from the kill to the completion of a batch that was planned after it
}

// What a failover measurement kills.
const (
	killLeader    = "leader"
	killJobDriver = "job-driver"
	killExecutor  = "executor"
)

// gapPatience bounds one failover.
const gapPatience = time.Minute

// runFailover kills parts of a cluster while a job runs.
func runFailover(ctx context.Context, f *flag.FlagSet, args []string) (_ report, err error) {
	kills := f.Int("kills", 20, "how often to kill each kind")
	kinds := f.String("kinds", strings.Join([]string{killLeader, killJobDriver, killExecutor}, ","), "what to kill")
	interval := f.Duration("interval", 100*time.Millisecond, "batch interval")
	seed := f.Uint64("seed", 1, "chooses when to kill and which executor")
	brokers := f.String("brokers", "", "Kafka addresses; none: an embedded broker in this process")
	topic := f.String("topic", "", topicUsage("made"))
	keys := f.Int("keys", 0, "keys of a state that the job holds, checkpointed every 10 s; 0: it has none")
	file := f.String("result", "", internal+"file for the job to write its batches to")
	if err := parse(f, args, "kills", "interval"); err != nil {
		return nil, err
	}
	o := &overhead{topic: *topic, interval: *interval}
	if inJob() {
		return nil, noteBatches(ctx, o, *brokers, *file, *keys)
	}
	addr, kind, stop, err := broker(ctx, *brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	var remove func()
	o.topic, remove = topicFor(ctx, o.topic, *brokers, "failover")
	defer remove()
	if err := kafka.EnsureTopic(ctx, addresses(addr), o.topic, 4); err != nil {
		return nil, err
	}
	c, err := startCluster(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { c.close(err) }()
	x := &failover{cluster: c, file: filepath.Join(c.dir, "batches"), rng: rand.New(rand.NewPCG(*seed, 1)), interval: *interval}
	if _, err := c.submit(ctx, "failover", "--brokers", addr, "--topic", o.topic, "--interval", interval.String(), "--result", x.file, "--keys", strconv.Itoa(*keys)); err != nil {
		return nil, err
	}
	r := &result{Master: clusterIs, Brokers: kind, IntervalMS: ms(*interval)}
	for kind := range strings.SplitSeq(*kinds, ",") {
		for i := range *kills {
			d, err := x.kill(ctx, kind)
			if err != nil {
				return r, fmt.Errorf("kill %d of a %s: %w", i+1, kind, err)
			}
			r.Gaps = append(r.Gaps, gap{kind, ms(d)})
		}
	}
	return r, nil
}

// printGaps prints the median and the worst of each kind.
func printGaps(w io.Writer, gaps []gap) {
	of := make(map[string][]float64)
	var kinds []string
	for _, g := range gaps {
		if of[g.Killed] == nil {
			kinds = append(kinds, g.Killed)
		}
		of[g.Killed] = append(of[g.Killed], g.MS)
	}
	for _, k := range kinds {
		fmt.Fprintf(w, "  %s killed %d times: next new batch complete after %.0f ms (median), %.0f ms (worst)\n", k, len(of[k]), median(of[k]), slices.Max(of[k]))
	}
}

// noteBatches runs the job: its driver writes a line for each batch.
func noteBatches(ctx context.Context, o *overhead, addr, path string, keys int) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	app := engine.NewApp("bench")
	args := []string{"--brokers", addr, "--log-level", "warn", "--conf", "checkpoint.store=" + filepath.Join(filepath.Dir(path), "states")}
	return app.Run(ctx, args, o.interval, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(batchNotes{file})
		ssc.DriverTask("producer", func(ctx context.Context) error { return o.produce(ctx, addr) })
		lines := kafka.Direct(ssc, kafka.Subscribe(o.topic), kafka.StringValue)
		if keys > 0 {
			lengths := engine.Map(lines, func(s string) rdd.Pair[uint64, int64] { return rdd.KV(uint64(len(s)), int64(1)) })
			engine.ForEachBatch(sums(lengths, keys), discard)
			return nil
		}
		engine.ForEachBatch(engine.CountByValue(lines), discard)
		return nil
	})
}

// discard drops a batch's rows.
func discard[T any](engine.Batch, []T) error { return nil }

// batchNotes writes when batches were complete. It is a listener.
type batchNotes struct{ file *os.File }

// OnBatchCompleted writes the batch's time and now, in nanoseconds since 1970.
func (n batchNotes) OnBatchCompleted(b engine.BatchInfo) {
	if !b.Replayed {
		_, _ = fmt.Fprintf(n.file, "%d %d\n", b.Time.UnixNano(), time.Now().UnixNano()) // a line that is missing is waited for
	}
}

// failover kills and measures.
type failover struct {
	cluster  *testCluster
	file     string
	rng      *rand.Rand
	interval time.Duration
}

// kill kills one of a kind at a moment that the seed chooses, and returns the
// time to the completion of the first batch that was planned afterwards. It
// brings the cluster back to strength.
func (x *failover) kill(ctx context.Context, kind string) (time.Duration, error) {
	if err := x.cluster.AwaitExecutors(ctx, clusterExecutors); err != nil {
		return 0, err
	}
	if _, err := x.completedAfter(ctx, time.Now().Add(5*x.interval)); err != nil { // it runs as before
		return 0, err
	}
	timer := time.NewTimer(time.Duration(x.rng.Int64N(int64(x.interval))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	leader, err := x.cluster.Leader(ctx)
	if err != nil {
		return 0, err
	}
	victim := leader
	if kind == killExecutor {
		victim = fmt.Sprintf("e%d", 1+x.rng.IntN(clusterExecutors))
	}
	at := time.Now()
	switch kind {
	case killLeader, killExecutor:
		err = x.cluster.Kill(victim)
	case killJobDriver:
		err = killChild(x.cluster.PID(leader))
	default:
		err = fmt.Errorf("%w: --kinds %q; there are %s, %s and %s", errUsage, kind, killLeader, killJobDriver, killExecutor)
	}
	if err != nil {
		return 0, err
	}
	done, err := x.completedAfter(ctx, at)
	if err != nil {
		return 0, err
	}
	if kind != killJobDriver {
		err = x.cluster.Restart(victim)
	}
	return done.Sub(at), err
}

// killChild kills the process that a daemon runs.
func killChild(daemon int) error {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …; a name may hold anything.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(daemon) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}
	return fmt.Errorf("the daemon with process id %d runs no process", daemon)
}

// completedAfter waits for a batch whose time is later, and returns when it was
// complete.
func (x *failover) completedAfter(ctx context.Context, t time.Time) (time.Time, error) {
	deadline := time.After(gapPatience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, ok := x.find(t); ok {
			return done, nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return time.Time{}, fmt.Errorf("no new batch within %s", gapPatience)
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// find looks for the first batch whose time is later.
func (x *failover) find(t time.Time) (done time.Time, ok bool) {
	f, err := os.Open(x.file)
	if err != nil {
		return done, false // the job hasn't begun
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var at, completed int64
		if n, err := fmt.Sscan(s.Text(), &at, &completed); n == 2 && err == nil && at > t.UnixNano() {
			return time.Unix(0, completed), true
		}
	}
	return done, false
}

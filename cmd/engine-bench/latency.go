package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
)

// latency measures how long records take from the moment when each is due, through
// Kafka, a job and Kafka again, until a consumer has them.
type latency struct {
	traffic
	brokers    string
	topics     topics // of the runs
	rate       int
	partitions int
	size       int // bytes of a record
	interval   time.Duration
	warm, last time.Duration
	master     string // where the engine runs
	dir        string // for batch logs; none: they are in memory
}

// traffic is what a job is given, and what comes back.
type traffic struct {
	key   func(n int) []byte                    // of the record with that number, from 1 on; nil for none
	due   func(value []byte) (time.Time, error) // tells when a record was due that came back
	share float64                               // of the records that come back
	late  time.Duration                         // by which a record may come after the last has been written
}

// dueOf reads when a record was due.
func dueOf(value []byte) (time.Time, error) {
	if len(value) < 8 {
		return time.Time{}, fmt.Errorf("a record of %d bytes came back, which says no time", len(value))
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(value))), nil
}

func runLatency(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	l := &latency{traffic: traffic{due: dueOf, share: 1, late: 500 * time.Millisecond}}
	f.IntVar(&l.rate, "rate", 10_000, "records a second")
	f.IntVar(&l.partitions, "partitions", 5, "partitions of the two topics")
	f.IntVar(&l.size, "record-bytes", 100, "bytes of a record")
	f.DurationVar(&l.interval, "interval", 0, "batch interval; 0: as soon as possible")
	f.DurationVar(&l.warm, "warm", 2*time.Second, "time before what counts, in each round")
	f.DurationVar(&l.last, "for", 4*time.Second, "time that counts, in each round")
	rounds := f.Int("rounds", 5, "rounds of baseline and engine in turn")
	brokers := f.String("brokers", "", "Kafka addresses; none: an embedded broker in a process of its own")
	f.StringVar(&l.master, "master", localMaster, "where the engine runs: local[N], local-cluster[N,CORES], or cluster for 3 engine-drivers and 2 engine-executors")
	durable := f.Bool("checkpoint", false, "the engine keeps its batch log on disk")
	f.StringVar(&l.dir, "dir", "", internal+"directory of a job's batch log; none: it is in memory")
	job := f.String("job", "", internal+"be a job that is measured, engine, loop or cluster, from the topic in `NAME`-in to NAME-out")
	topic := f.String("topic", "", internal+"NAME of a job's topics")
	if err := parse(f, args, "rounds"); err != nil {
		return nil, err
	}
	if *job != "" {
		l.brokers = *brokers
		return nil, l.job(ctx, *job, *topic)
	}
	if l.rate < 1 || l.partitions < 1 || l.size < 8 || l.last <= 0 {
		return nil, fmt.Errorf("%w: --rate, --partitions and --for are above 0, and a record has 8 bytes at least", errUsage)
	}
	if l.master == masterCluster {
		if *durable {
			return nil, fmt.Errorf("%w: --checkpoint: on a cluster the batch log is on its drivers' disks anyway", errUsage)
		}
		if _, err := daemons(); err != nil {
			return nil, err
		}
	}
	addr, kind, stop, err := brokerProcess(ctx, *brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	l.brokers, l.topics = addr, newTopics(*brokers)
	defer l.topics.remove(ctx)
	if *durable {
		if l.dir, err = os.MkdirTemp("", "engine-bench-"); err != nil {
			return nil, err
		}
		defer removeDir(l.dir)
	}
	r := &latencyResult{Rate: l.rate, Master: l.master, Checkpoint: *durable, Brokers: kind, IntervalMS: ms(l.interval)}
	for round := range *rounds {
		loop, err := l.measure(ctx, jobLoop, l.start(jobLoop))
		if err != nil {
			return nil, err
		}
		eng, err := l.measure(ctx, jobEngine, l.start(l.engineJob()))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "round %d: loop %s; engine %s\n", round+1, loop, eng)
		r.add(loop, eng)
	}
	return r, nil
}

// lag is what one job's run measured.
type lag struct {
	p50, p99 float64 // ms
	cpu      float64 // seconds
	rss      int     // MiB
}

func (g lag) String() string {
	return fmt.Sprintf("p50 %.2f p99 %.2f ms, %.2f s of CPU, %d MiB", g.p50, g.p99, g.cpu, g.rss)
}

// starter starts a job that reads the topic NAME-in and writes NAME-out.
type starter func(ctx context.Context, topic string) (*child, error)

// start returns what starts one of the jobs that this program is itself.
func (l *latency) start(job string) starter {
	return func(ctx context.Context, topic string) (*child, error) {
		return startSelf(ctx, l.jobArgs(job, topic)...)
	}
}

// measure runs a job in a process of its own on topics of its own.
func (l *latency) measure(ctx context.Context, job string, start starter) (g lag, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", job, err)
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, l.warm+l.last+l.late+startPatience, errors.New("too little came back in time"))
	defer cancel()
	topic := l.topics.name(fmt.Sprintf("%s-%d", job, time.Now().UnixNano()))
	for _, name := range []string{topic + "-in", topic + "-out"} {
		if err := kafka.EnsureTopic(ctx, addresses(l.brokers), name, l.partitions); err != nil {
			return g, err
		}
	}
	p, err := start(ctx, topic)
	if err != nil {
		return g, err
	}
	var times []time.Duration
	err = p.with(ctx, func(ctx context.Context) (err error) {
		times, err = l.drive(ctx, topic)
		return err
	})
	if err != nil {
		return g, err
	}
	g.p50, g.p99 = ms(quantile(times, 0.5)), ms(quantile(times, 0.99))
	g.cpu = (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds()
	if u, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		g.rss = int(u.Maxrss >> 10)
	}
	return g, nil
}

// startPatience is how long a job may take until the first record comes back.
const startPatience = 2 * time.Minute

// drive writes records at the rate and returns how long they took, sorted. The clock
// begins when the first has come back.
func (l *latency) drive(ctx context.Context, topic string) ([]time.Duration, error) {
	partitioner := kgo.ManualPartitioner()
	if l.key != nil {
		partitioner = kgo.StickyKeyPartitioner(nil)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(l.brokers)...), kgo.DefaultProduceTopic(topic+"-in"), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(partitioner), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ConsumeTopics(topic+"-out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var first atomic.Int64 // when the first record came back, Unix nanoseconds
	var work sync.WaitGroup
	work.Go(func() { cancel(l.produce(ctx, cl, func() bool { return first.Load() != 0 })) })
	var times []time.Duration
	for {
		fs := cl.PollFetches(ctx)
		now := time.Now()
		if err := fs.Err(); err != nil && ctx.Err() == nil {
			return nil, errors.Join(err, context.Cause(ctx))
		}
		if fs.Empty() && ctx.Err() == nil {
			continue
		}
		first.CompareAndSwap(0, now.UnixNano())
		begin := time.Unix(0, first.Load()).Add(l.warm)
		fs.EachRecord(func(r *kgo.Record) {
			due, err := l.due(r.Value)
			if err != nil {
				cancel(err)
			} else if due.After(begin) && due.Before(begin.Add(l.last)) {
				times = append(times, now.Sub(due))
			}
		})
		if ctx.Err() != nil {
			break
		}
		if now.After(begin.Add(l.last + l.late)) {
			cancel(errMeasured)
		}
	}
	work.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errMeasured) {
		return nil, err
	}
	slices.Sort(times)
	return times, l.check(len(times))
}

// check says what is wrong with the number of records that came back of those that count.
func (l *latency) check(n int) error {
	if n == 0 {
		return errors.New("no record that counts came back")
	}
	want := l.last.Seconds() * float64(l.rate) * l.share
	switch slack := 0.001*want + 1; { // far less than what the p99 leaves out
	case float64(n) < want-slack:
		return fmt.Errorf("%d of %.0f records came back within %s: the job has a backlog", n, want, l.late)
	case float64(n) > want+slack:
		return fmt.Errorf("%d records came back where %.0f should: the job wrote some twice", n, want)
	}
	return nil
}

var errMeasured = errors.New("all is measured")

// produce writes records when each is due, until ctx ends: few until the job is up, which
// else would begin with what came while it started.
func (l *latency) produce(ctx context.Context, cl *kgo.Client, up func() bool) error {
	const (
		step    = time.Millisecond
		fewRate = 100
	)
	failed := make(chan error, 1)
	began, sent, rate, starting, number := time.Now(), 0, min(fewRate, l.rate), true, 0
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
		if starting && up() {
			began, sent, rate, starting = time.Now(), 0, l.rate, false
		}
		for now := time.Now(); ; sent++ {
			due := began.Add(time.Duration(sent) * time.Second / time.Duration(rate))
			if due.After(now) {
				break
			}
			number++
			cl.Produce(ctx, l.record(number, due), func(_ *kgo.Record, err error) {
				if err != nil && ctx.Err() == nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
	}
}

// record returns the record with a number, from 1 on, that is due at a time.
func (l *latency) record(number int, due time.Time) *kgo.Record {
	r := &kgo.Record{Value: make([]byte, l.size), Partition: int32(number % l.partitions)}
	binary.BigEndian.PutUint64(r.Value, uint64(due.UnixNano()))
	if l.key != nil {
		r.Key = l.key(number)
	}
	return r
}

// latencyResult is what latency measured: medians over the rounds.
type latencyResult struct {
	Workload      string    `json:"workload"`
	Rate          int       `json:"rate"`
	Master        string    `json:"master"`
	Checkpoint    bool      `json:"checkpoint"`  // the engine's batch log is on disk
	IntervalMS    float64   `json:"interval_ms"` // 0: as soon as possible
	Brokers       string    `json:"brokers"`
	P50MS         float64   `json:"p50_ms"`
	P99MS         float64   `json:"p99_ms"`
	BaselineP50MS float64   `json:"baseline_p50_ms"`
	BaselineP99MS float64   `json:"baseline_p99_ms"`
	Ratio         float64   `json:"ratio"` // of p50, within a round
	P99Ratio      float64   `json:"p99_ratio"`
	CPURatio      float64   `json:"cpu_ratio"` // of the whole process, start included
	PeakRSSMiB    int       `json:"peak_rss_mib"`
	Ratios        []float64 `json:"ratios"`

	loop, engine []lag
}

// add takes in a round.
func (r *latencyResult) add(loop, eng lag) {
	r.loop, r.engine = append(r.loop, loop), append(r.engine, eng)
	of := func(gs []lag, what func(lag) float64) []float64 {
		var vs []float64
		for _, g := range gs {
			vs = append(vs, what(g))
		}
		return vs
	}
	ratio := func(what func(lag) float64) []float64 {
		vs := of(r.engine, what)
		for i, v := range of(r.loop, what) {
			vs[i] /= v
		}
		return vs
	}
	p50, p99 := func(g lag) float64 { return g.p50 }, func(g lag) float64 { return g.p99 }
	r.P50MS, r.P99MS = median(of(r.engine, p50)), median(of(r.engine, p99))
	r.BaselineP50MS, r.BaselineP99MS = median(of(r.loop, p50)), median(of(r.loop, p99))
	r.Ratios = ratio(p50)
	r.Ratio, r.P99Ratio = median(r.Ratios), median(ratio(p99))
	r.CPURatio = median(ratio(func(g lag) float64 { return g.cpu }))
	r.PeakRSSMiB = max(r.PeakRSSMiB, eng.rss)
}

func (r *latencyResult) named(workload string) { r.Workload = workload }

// print writes the result for people.
func (r *latencyResult) print(w io.Writer) {
	where := r.Master
	switch {
	case r.Master == masterCluster:
		where = clusterIs
	case r.Checkpoint:
		where += ", batch log on disk"
	}
	fmt.Fprintf(w, "%s at %d records/s, %s, on %s, %s\n", r.Workload, r.Rate, cadenceText(r.IntervalMS), where, r.Brokers)
	fmt.Fprintf(w, "  p50 %.2f ms, p99 %.2f ms\n", r.P50MS, r.P99MS)
	fmt.Fprintf(w, "  baseline bare franz-go loop: p50 %.2f ms, p99 %.2f ms; ratios %.2f and %.2f (p50 of the rounds %.2f)\n", r.BaselineP50MS, r.BaselineP99MS, r.Ratio, r.P99Ratio, r.Ratios)
	fmt.Fprintf(w, "  %.2f of the loop's CPU, peak RSS %d MiB\n", r.CPURatio, r.PeakRSSMiB)
}

// cadenceText says how often batches come.
func cadenceText(intervalMS float64) string {
	if intervalMS > 0 {
		return fmt.Sprintf("each %.4g ms", intervalMS)
	}
	return "as soon as possible"
}

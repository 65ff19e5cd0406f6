package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// realtime measures the queries of Spark's real-time suite on the engine, and the first
// of them on Spark too.
type realtime struct {
	latency
	queries   []realtimeQuery
	rounds    int
	durable   bool
	spark     *twin // nil: not measured
	sparkWarm time.Duration
	progress  progress
}

func runRealtime(ctx context.Context, f *flag.FlagSet, args []string) (_ report, err error) {
	r := &realtime{}
	f.IntVar(&r.rate, "rate", 1_000, "records a second")
	f.IntVar(&r.partitions, "partitions", 5, "partitions of the two topics, and of states")
	f.IntVar(&r.size, "record-bytes", 16, "bytes of a record's value")
	f.DurationVar(&r.interval, "interval", 0, "batch interval; 0: as soon as possible")
	f.DurationVar(&r.warm, "warm", 5*time.Second, "time before what counts, in each run")
	f.DurationVar(&r.last, "for", 20*time.Second, "time that counts, in each run")
	f.IntVar(&r.rounds, "rounds", 3, "rounds of all queries in turn")
	f.BoolVar(&r.durable, "checkpoint", true, "the engine keeps its batch log and checkpoints of its states on disk, as Spark does")
	f.DurationVar(&r.sparkWarm, "spark-warm", 30*time.Second, "time before what counts, in each run of Spark")
	names := f.String("queries", "", "`names` with commas between them: stateless, deduplication, window, state; none: all")
	twins := newTwinFlags(f)
	brokers := f.String("brokers", "", "Kafka addresses; none: an embedded broker in a process of its own")
	job := f.String("job", "", internal+"be the job of a query, from the topic in `NAME`-in to NAME-out")
	topic := f.String("topic", "", internal+"NAME of a job's topics")
	dir := f.String("dir", "", internal+"directory of a job's batch log and checkpoints; none: they are in memory")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	if *job != "" {
		r.brokers = *brokers
		return nil, r.job(ctx, *job, *topic, *dir)
	}
	if err := r.check(*names); err != nil {
		return nil, err
	}
	addr, kind, stop, err := brokerProcess(ctx, *brokers)
	if err != nil {
		return nil, err
	}
	defer stop()
	var note string
	if r.queries[0].name == stateless {
		if r.spark, note, err = twins.find(ctx, realtimeTwin, *brokers); err != nil { // with Maven, which takes minutes the first time
			return nil, err
		}
	}
	r.brokers, r.topics = addr, newTopics(*brokers)
	defer r.topics.remove(ctx)
	result := newRealtimeResult(r, kind, note)
	err = r.run(ctx, result)
	return result.finish(r.progress.why(ctx, err))
}

// check says what is wrong with the flags, and chooses the queries.
func (r *realtime) check(names string) error {
	if r.rate < 1 || r.partitions < 1 || r.size < 8 || r.last <= 0 || r.rounds < 1 || r.warm < 0 || r.sparkWarm < 0 {
		return fmt.Errorf("%w: --rate, --partitions, --for and --rounds are above 0, and a record has 8 bytes at least", errUsage)
	}
	r.queries = realtimeQueries()
	if names == "" {
		return nil
	}
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(r.queries, func(q realtimeQuery) bool { return q.name == name }) {
			return fmt.Errorf("%w: --queries: there is no query %q; there are stateless, deduplication, window and state", errUsage, name)
		}
	}
	r.queries = slices.DeleteFunc(r.queries, func(q realtimeQuery) bool { return !slices.Contains(wanted, q.name) })
	return nil
}

// run runs the rounds. What was measured before something went wrong is in the result.
func (r *realtime) run(ctx context.Context, result *realtimeResult) error {
	dir, err := os.MkdirTemp("", "engine-bench-")
	if err != nil {
		return err
	}
	defer removeDir(dir)
	r.plan()
	fmt.Fprintf(os.Stderr, "%d runs, some %s\n", r.progress.runs(), r.progress.left())
	for range r.rounds {
		for i, q := range r.queries {
			g, err := r.measureQuery(ctx, q, dir)
			if err != nil {
				return err
			}
			result.Queries[i].add(g)
			r.progress.done(q.name, onEngine, g.String())
			if q.name != stateless || r.spark == nil {
				continue
			}
			g, err = r.measureSpark(ctx, q, dir)
			switch {
			case err != nil && ctx.Err() != nil:
				return err
			case err != nil: // the engine's queries are measured all the same
				r.spark, result.NoSpark = nil, err.Error()
				r.progress.done(q.name, onSpark, err.Error())
				r.progress.noMore(q.name, onSpark)
				continue
			}
			result.Queries[i].addSpark(g)
			r.progress.done(q.name, onSpark, g.String())
		}
	}
	return nil
}

// Where queries run, in what is said of the runs.
const (
	onEngine = "Hibana"
	onSpark  = "Spark"
)

// plan plans the runs.
func (r *realtime) plan() {
	for _, q := range r.queries {
		r.progress.plan(q.name, onEngine, r.warm+r.last+q.late, r.rounds)
	}
	if r.spark != nil {
		r.progress.plan(stateless, onSpark, r.sparkWarm+r.last+r.queries[0].late, r.rounds)
	}
	r.progress.begin()
}

// measureQuery runs a query on the engine.
func (r *realtime) measureQuery(ctx context.Context, q realtimeQuery, dir string) (lag, error) {
	l := r.latency
	l.traffic = q.traffic
	return l.measure(ctx, q.name, func(ctx context.Context, topic string) (*child, error) {
		args := []string{"realtime", "--job", q.name, "--topic", topic, "--brokers", l.brokers,
			"--interval", l.interval.String(), "--partitions", fmt.Sprint(l.partitions)}
		if r.durable {
			args = append(args, "--dir", filepath.Join(dir, topic))
		}
		return startSelf(ctx, args...)
	})
}

// measureSpark runs the stateless query on Spark.
func (r *realtime) measureSpark(ctx context.Context, q realtimeQuery, dir string) (lag, error) {
	l := r.latency
	l.traffic, l.warm = q.traffic, r.sparkWarm
	return l.measure(ctx, "spark", r.spark.copies(&l, dir))
}

// job is the job of a query, until standard input ends.
func (r *realtime) job(ctx context.Context, name, topic, dir string) error {
	queries := realtimeQueries()
	i := slices.IndexFunc(queries, func(q realtimeQuery) bool { return q.name == name })
	if i < 0 {
		return fmt.Errorf("%w: --job: there is no query %q", errUsage, name)
	}
	ctx, cancel := untilStdinEnds(ctx)
	defer cancel()
	r.dir = dir
	interval, args := r.cadence()
	return queries[i].run(ctx, args, interval, topic, r.partitions)
}

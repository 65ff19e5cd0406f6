package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
)

// comparing runs workloads on the engine and on what others use for them, in turn.
type comparing struct {
	works    []string
	records  int64
	rounds   int
	rates    []int
	latency  latency
	topic    string           // of the lines
	twins    map[string]*twin // by directory; those that run here
	dir      string           // temporary
	progress progress
	result   *compareResult
}

// What compare compares.
const (
	workCount     = "count"
	workWordCount = "wordcount"
	workCopy      = "copy"
)

// Directories of the programs for the JVM.
const (
	sparkTwin    = "spark"
	realtimeTwin = "spark-realtime"
	streamsTwin  = "kafka-streams"
)

func runCompare(ctx context.Context, f *flag.FlagSet, args []string) (_ report, err error) {
	c := &comparing{twins: make(map[string]*twin)}
	l := &c.latency
	works := f.String("work", "count,wordcount,copy", "what is compared, `names` with commas between them")
	rates := f.String("rates", "1000,10000", "records a second of copy, with commas between them")
	f.Int64Var(&c.records, "records", 5_000_000, "lines of count and wordcount, some 40 bytes each")
	f.IntVar(&c.rounds, "rounds", 3, "rounds of all in turn")
	f.DurationVar(&l.warm, "warm", 10*time.Second, "time before what counts, in each run of copy")
	f.DurationVar(&l.last, "for", 20*time.Second, "time that counts, in each run of copy")
	write := f.String("write", "", "`file` whose table between the markers is replaced, docs/performance.md")
	twins := newTwinFlags(f)
	brokers := f.String("brokers", "", "Kafka addresses; none: an embedded broker in a process of its own")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	if err := c.check(*works, *rates); err != nil {
		return nil, err
	}
	if *write != "" { // before hours of runs
		if _, err := betweenMarkers(*write, ""); err != nil {
			return nil, err
		}
	}
	l.traffic, l.partitions, l.size = traffic{due: dueOf, share: 1, late: 2 * time.Second}, 5, 100
	c.result = &compareResult{Records: c.records, Rounds: c.rounds, Machine: paper.Machine(), Rows: []compareRow{}}
	var stop func()
	if l.brokers, c.result.Brokers, stop, err = brokerProcess(ctx, *brokers); err != nil {
		return nil, err
	}
	defer stop()
	if err := c.findTwins(ctx, twins, *brokers); err != nil { // with Maven, which takes minutes the first time
		return nil, err
	}
	l.topics = newTopics(*brokers)
	defer l.topics.remove(ctx)
	c.topic = l.topics.name("lines")
	if c.dir, err = os.MkdirTemp("", "engine-bench-"); err != nil {
		return nil, err
	}
	defer removeDir(c.dir)
	r, err := c.finish(c.runAll(ctx, c.contests()))
	if r != nil && err == nil && *write != "" {
		err = c.result.writeTo(*write)
	}
	return r, err
}

// check reads the flags that are lists and says what is wrong with any.
func (c *comparing) check(works, rates string) error {
	if c.records < 1 || c.rounds < 1 || c.latency.last <= 0 || c.latency.warm < 0 {
		return fmt.Errorf("%w: --records, --rounds and --for are above 0", errUsage)
	}
	c.works = strings.Split(works, ",")
	for _, work := range c.works {
		if !slices.Contains([]string{workCount, workWordCount, workCopy}, work) {
			return fmt.Errorf("%w: --work: there is no %q; there are count, wordcount and copy", errUsage, work)
		}
	}
	for s := range strings.SplitSeq(rates, ",") {
		rate, err := strconv.Atoi(s)
		if err != nil || rate < 1 {
			return fmt.Errorf("%w: --rates: %q is no number above 0", errUsage, s)
		}
		c.rates = append(c.rates, rate)
	}
	return nil
}

// findTwins finds the programs for the JVM that the work needs.
func (c *comparing) findTwins(ctx context.Context, flags *twinFlags, brokers string) error {
	names := []string{streamsTwin}
	if slices.Contains(c.works, workCopy) {
		names = append(names, realtimeTwin)
	}
	if slices.ContainsFunc(c.works, func(work string) bool { return work != workCopy }) {
		names = append(names, sparkTwin)
	}
	for _, name := range names {
		w, none, err := flags.find(ctx, name, brokers)
		switch {
		case err != nil:
			return err
		case w == nil:
			c.result.Missing = append(c.result.Missing, none)
		default:
			c.twins[name] = w
		}
	}
	return nil
}

// runAll runs the rounds. A program for the JVM that fails is left out from then on.
func (c *comparing) runAll(ctx context.Context, contests []contest) error {
	for _, o := range contests {
		for _, s := range o.systems {
			c.progress.plan(o.work, s.name, s.about, c.rounds)
		}
	}
	c.progress.begin()
	for range c.rounds {
		for i := range contests {
			if err := c.round(ctx, &contests[i]); err != nil {
				c.result.missRest(contests)
				return c.progress.why(ctx, err)
			}
		}
	}
	return nil
}

// round measures all systems of a contest once.
func (c *comparing) round(ctx context.Context, o *contest) error {
	var engine []float64
	var failed []string
	defer func() {
		for _, name := range failed {
			c.progress.noMore(o.work, name)
		}
		o.systems = slices.DeleteFunc(o.systems, func(s system) bool { return slices.Contains(failed, s.name) })
	}()
	for i, s := range o.systems {
		got, err := s.measure(ctx)
		switch {
		case err == nil && i == 0:
			engine = got
		case err == nil:
			c.result.add(o, s.name, engine, got)
		case !s.mayFail || ctx.Err() != nil:
			return fmt.Errorf("%s on %s: %w", o.work, s.name, err)
		default:
			c.result.Missing = append(c.result.Missing, fmt.Sprintf("%s on %s: %v", o.work, s.name, err))
			failed = append(failed, s.name)
		}
		c.progress.done(o.work, s.name, o.text(got, err))
	}
	return nil
}

// finish returns what there is when the runs ended with err.
func (c *comparing) finish(err error) (report, error) {
	return partial(c.result, c.progress.ended > 0, &c.result.Partial, err)
}

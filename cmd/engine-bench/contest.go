package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// contest is one piece of work, and the systems that do it. The first is the engine.
type contest struct {
	work    string
	figures []string // what is measured
	systems []system
}

// system does a piece of work and returns its figures.
type system struct {
	name    string
	mayFail bool          // the others are measured all the same
	about   time.Duration // that it takes, as far as that is known beforehand; else 0
	measure func(ctx context.Context) ([]float64, error)
}

// Figures that are measured.
const (
	figureRate = "records/s"
	figureP50  = "p50 ms"
	figureP99  = "p99 ms"
)

// Names of what is measured beside the engine.
const (
	bareLoop       = "bare franz-go"
	sparkStreaming = "Spark Streaming"
	sparkRealtime  = "Spark in real-time mode"
	kafkaStreams   = "Kafka Streams"
)

// text is what a system has done, for the progress.
func (o *contest) text(got []float64, err error) string {
	if err != nil {
		return err.Error()
	}
	var parts []string
	for i, v := range got {
		parts = append(parts, o.figures[i]+" "+figureText(o.figures[i], v))
	}
	return strings.Join(parts, ", ")
}

// contests are what is compared, in its order.
func (c *comparing) contests() (all []contest) {
	for _, work := range c.works {
		if work != workCopy {
			all = append(all, c.drains(work))
			continue
		}
		for _, rate := range c.rates {
			all = append(all, c.copies(rate))
		}
	}
	return all
}

// How the systems read a full topic: each twice in one process, of which the first time warms
// up, the JVM's compiler too. The engine's interval is that of engine-bench count; Spark, which
// isn't told to limit its batches, has all that is there in its first one.
const (
	drainWarmUps  = 1
	drainInterval = "20ms"
	sparkInterval = "200" // ms
)

// drains is the contest of reading a full topic. Where the engine is measured a franz-go loop
// is, too, in turn.
func (c *comparing) drains(work string) contest {
	var loop float64
	same := []string{"--brokers", c.latency.brokers, "--topic", c.topic, "--records", fmt.Sprint(c.records), "--warm-ups", fmt.Sprint(drainWarmUps)}
	o := contest{work, []string{figureRate}, []system{
		{"Hibana", false, 0, func(ctx context.Context) ([]float64, error) {
			ctx, cancel := c.drainContext(ctx)
			defer cancel()
			r := &result{}
			err := askSelf(ctx, r, append([]string{work, "--json", "--rounds", "1", "--interval", drainInterval}, same...)...)
			loop = r.BaselineRate
			return []float64{r.RecordsPerSecond}, err
		}},
		{bareLoop, false, 0, func(context.Context) ([]float64, error) { return []float64{loop}, nil }},
	}}
	for _, t := range []struct{ dir, name string }{{sparkTwin, sparkStreaming}, {streamsTwin, kafkaStreams}} {
		if w := c.twins[t.dir]; w != nil {
			o.systems = append(o.systems, system{t.name, true, 0, func(ctx context.Context) ([]float64, error) {
				ctx, cancel := c.drainContext(ctx)
				defer cancel()
				var took struct{ Seconds float64 }
				err := lastLine(ctx, &took, w.run, append([]string{work, "--interval", sparkInterval, "--dir", c.dir}, same...)...)
				return []float64{float64(c.records) / took.Seconds}, err
			}})
		}
	}
	return o
}

// errDrain: a system lost a record, or never got the topic.
var errDrain = errors.New("not all records were counted in time")

// drainContext returns a context that bounds the reading of a full topic, as often as it is
// read: 100 µs a record are many times what any system takes.
func (c *comparing) drainContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, startPatience+(1+drainWarmUps)*time.Duration(c.records)*100*time.Microsecond, errDrain)
}

// jvmWarm is the least time before what counts of a program for the JVM, whose JIT takes long.
const jvmWarm = 30 * time.Second

// copies is the contest of copying records from Kafka to Kafka at a rate.
func (c *comparing) copies(rate int) contest {
	l := c.latency
	l.rate = rate
	o := contest{fmt.Sprintf("copy at %d/s", rate), []string{figureP50, figureP99}, []system{
		{"Hibana", false, l.about(), l.figures(jobEngine, l.start(jobEngine))},
		{bareLoop, false, l.about(), l.figures(jobLoop, l.start(jobLoop))},
	}}
	for _, t := range []struct {
		dir, name string
		due       func([]byte) (time.Time, error)
	}{{realtimeTwin, sparkRealtime, dueOfBase64}, {streamsTwin, kafkaStreams, dueOf}} {
		w := c.twins[t.dir]
		if w == nil {
			continue
		}
		theirs := l
		theirs.due, theirs.warm = t.due, max(l.warm, jvmWarm)
		o.systems = append(o.systems, system{t.name, true, theirs.about(), theirs.figures(t.dir, w.copies(&theirs, c.dir))})
	}
	return o
}

// about returns how long a run takes, without the start of its job.
func (l *latency) about() time.Duration { return l.warm + l.last + l.late }

// figures returns what measures a job's latencies.
func (l *latency) figures(job string, start starter) func(ctx context.Context) ([]float64, error) {
	return func(ctx context.Context) ([]float64, error) {
		g, err := l.measure(ctx, job, start)
		return []float64{g.p50, g.p99}, err
	}
}

// askSelf runs this program and reads its last line.
func askSelf(ctx context.Context, into any, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return lastLine(ctx, into, self, args...)
}

// lastLine runs a program and decodes the last line that it prints. The first line of an error
// is its cause; which program it was and what that said follow.
func lastLine(ctx context.Context, into any, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = childPatience
	said := new(tail)
	cmd.Stderr = said
	out, err := cmd.Output()
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		return fmt.Errorf("%w\n%s\n%s", err, strings.Join(cmd.Args, " "), said)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], into); err != nil {
		return fmt.Errorf("the last line is no result: %w\n%s", err, strings.Join(cmd.Args, " "))
	}
	return nil
}

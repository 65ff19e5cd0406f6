package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Jobs that latency measures, each in a process of its own.
const (
	jobEngine  = "engine"
	jobLoop    = "loop"
	jobCluster = "cluster" // starts a cluster and submits the engine's job to it
)

// localMaster is where the engine runs unless something else is asked for.
const localMaster = "local[2]"

// untilStdinEnds returns a context that ends with standard input, for a process that
// another one measures.
func untilStdinEnds(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // left behind with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}

// engineJob returns the job that is the engine.
func (l *latency) engineJob() string {
	if l.master == masterCluster {
		return jobCluster
	}
	return jobEngine
}

// jobArgs returns the command line with which this program is a job.
func (l *latency) jobArgs(job, topic string) []string {
	args := []string{"latency", "--job", job, "--topic", topic, "--brokers", l.brokers, "--interval", l.interval.String()}
	if job == jobEngine && l.master != masterCluster {
		args = append(args, "--master", l.master)
	}
	if job == jobEngine && l.dir != "" {
		args = append(args, "--dir", filepath.Join(l.dir, topic))
	}
	return args
}

// job is a job that is measured, until standard input ends: one on a cluster, until the
// cluster ends it.
func (l *latency) job(ctx context.Context, job, topic string) error {
	if !inJob() {
		var cancel context.CancelFunc
		ctx, cancel = untilStdinEnds(ctx)
		defer cancel()
	}
	switch job {
	case jobEngine:
		return l.engine(ctx, topic)
	case jobLoop:
		return l.loop(ctx, topic)
	case jobCluster:
		return l.onCluster(ctx, topic)
	}
	return fmt.Errorf("%w: --job is %s, %s or %s", errUsage, jobEngine, jobLoop, jobCluster)
}

// onCluster is the job on a cluster that it starts.
func (l *latency) onCluster(ctx context.Context, topic string) (err error) {
	// The cluster is ended in order when ctx has ended, so it isn't bound to it.
	c, err := startCluster(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, c.close(err)) }() // without an end in order their CPU isn't counted
	l.master = masterCluster
	job, err := c.submit(ctx, l.jobArgs(jobEngine, topic)...)
	if err != nil {
		return err
	}
	st, err := c.Client.Watch(ctx, job, func(*wire.JobStatus) {})
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("the job %s: %s", st.State, st.Reason)
}

// engine is the job on the engine.
func (l *latency) engine(ctx context.Context, topic string) error {
	interval, args := l.cadence()
	return engine.NewApp("bench").Run(ctx, args, interval, func(ssc *engine.StreamingContext) error {
		lines := kafka.Direct(ssc, kafka.Subscribe(topic+"-in"), kafka.Raw)
		kafka.Sink(engine.Map(lines, func(r kafka.Record) []byte { return r.Value }), topic+"-out", kafka.Bytes)
		return nil
	})
}

// cadence returns the interval and the command line of a job on the engine.
func (l *latency) cadence() (interval time.Duration, args []string) {
	args = streamArgs(cmp.Or(l.master, localMaster), l.brokers)
	if l.dir != "" {
		args = append(args, "--checkpoint", l.dir)
	}
	if l.interval == 0 {
		return time.Second, append(args, "--asap")
	}
	return l.interval, args
}

// loop is the job as a bare franz-go loop.
func (l *latency) loop(ctx context.Context, topic string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addresses(l.brokers)...), kgo.DefaultProduceTopic(topic+"-out"), kgo.ProducerLinger(0),
		kgo.ConsumeTopics(topic+"-in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil && ctx.Err() == nil {
			return err
		}
		fs.EachRecord(func(r *kgo.Record) {
			cl.Produce(ctx, &kgo.Record{Value: r.Value}, nil)
		})
	}
	return nil
}

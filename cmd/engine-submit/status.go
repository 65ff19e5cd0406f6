package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func statusCommand() command {
	return command{
		name: "status", args: "JOB",
		about: `Says how a job is. JOB is its number, its submission id, or its name (digits are a number first): of several of
one name the one that hasn't ended, or the newest. The exit code is 0 while the job
runs and when it has finished, 1 when it has failed or was killed.`,
		examples: []string{"status --master 127.0.0.1:7077 12", "status nightly-2026-11-23", "status wordcount"},
		run:      showStatus,
	}
}

func showStatus(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	conn.addTo(f)
	called, err := parseJob(f, args)
	if err != nil {
		return err
	}
	return conn.connectTo(ctx, p, called, func(c *client.Client, job wire.JobRef) error {
		st, err := c.Status(ctx, job)
		if err != nil {
			return err
		}
		if err := describe(p.stdout, st, time.Now()); err != nil {
			return err
		}
		return outcome(st)
	})
}

// outcome returns the exit code that a job's state asks for.
func outcome(st *wire.JobStatus) error {
	if st.State == wire.JobFailed || st.State == wire.JobKilled {
		return exitError(exitFailed)
	}
	return nil
}

// describe writes all that is known of a job.
func describe(out io.Writer, st *wire.JobStatus, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	s := &st.Spec
	line("job", "%d", s.Incarnation)
	line("name", "%s", s.Name)
	line("state", "%s", st.State)
	line("kind", "%s", st.Kind)
	line("submission", "%s", s.Submission)
	line("arguments", "%s", orDash(strings.Join(s.Args, " ")))
	if len(s.Secrets) > 0 {
		line("secrets", "%v, which aren't shown", s.Secrets)
	}
	line("program", "%s, %s, sha256 %s", size(s.Size), s.Platform, s.Binary)
	if st.Ended == 0 {
		line("submitted", "%s, %s", clock(st.Submitted), age(st, now))
	} else {
		line("submitted", "%s", clock(st.Submitted))
		line("ended", "%s, after %s", clock(st.Ended), age(st, now))
	}
	switch {
	case st.Left:
		line("left", "its log: submit --resume %d goes on from it", s.Incarnation)
	case st.Resumed != 0:
		line("resumed", "as job %d", st.Resumed)
	}
	if s.Resume != 0 {
		line("resumes", "job %d", s.Resume)
	}
	line("driver", "%s, epoch %d", orDash(st.Node), st.Epoch)
	if st.Crashes > 0 {
		line("crashes", "%d of the driver process since it last got something done", st.Crashes)
	}
	if s.Restart != 0 {
		line("restart", "%s, %d in a row so far", s.Restart, st.Restarts)
	}
	switch {
	case st.Progress.Program != nil:
		describeProgram(st, line)
	case st.Kind == wire.KindBatch:
	case st.LastBatch > 0 || !st.State.Final(): // else it may be a batch program whose build failed
		line("batches", "%d allocated, %d of them not complete", st.LastBatch, st.Pending)
	}
	if prog := st.Progress; prog.Batches > 0 && !st.State.Final() {
		line("this driver", "%d batches, %s records", prog.Batches, thousands(prog.Records))
		line("last batch", "%d: waited %s, ran %s, %s records/s, %d waiting",
			prog.LastBatch, millis(prog.SchedulingMS), millis(prog.ProcessingMS), thousands(int64(prog.RecordsPerSec)), prog.Waiting)
	}
	if slots := slotsOf(st); st.MaxSlots > 0 {
		line("slots", "%s, at most %d", slots, st.MaxSlots)
	} else if !st.State.Final() {
		line("slots", "%s", slots)
	}
	for _, e := range st.Executors {
		switch {
		case e.Slots == 0:
			line("executor", "%s at %s, stands by", e.Executor, e.Address)
		case e.Of == 0: // a leader of an earlier version doesn't say it
			line("executor", "%s at %s, %d slots", e.Executor, e.Address, e.Slots)
		default:
			line("executor", "%s at %s, %d of %d slots", e.Executor, e.Address, e.Slots, e.Of)
		}
	}
	if st.Trouble != "" {
		line("trouble", "%s; see %s", strings.ReplaceAll(strings.TrimSpace(st.Trouble), "\n", "\n\t"), logsOf(s.Incarnation, st.TroubleOn))
	}
	// Last, because it may be long.
	switch reason := strings.TrimSpace(st.Reason); {
	case reason == "":
	case st.State == wire.JobFailed || st.State == wire.JobKilled:
		line("reason", "%s", strings.ReplaceAll(reason, "\n", "\n\t"))
	default: // it is over
		line("last trouble", "%s; see %s", firstLine(reason), logsOf(s.Incarnation, st.ReasonOn))
	}
	return w.Flush()
}

// logsOf returns the command that prints what a job's process wrote, on an executor or
// of its driver.
func logsOf(job uint64, executor string) string {
	if executor == "" {
		return fmt.Sprintf("engine-submit logs %d", job)
	}
	return fmt.Sprintf("engine-submit logs %d --executor %s", job, executor)
}

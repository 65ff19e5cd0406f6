package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func stateCommand() command {
	return command{
		name: "state", args: "JOB NAME [KEY]",
		about: `Prints a keyed state of a job. The job's driver saves the state NAME with the
batch that it plans next and prints it, or KEY alone, as lines of JSON in no particular
order; standard error says after which batch that is. KEY is written as it is printed, or
without quotes. If a job has ended, --program names its program, which runs on this
machine to print the newest checkpoint. One that was resumed has none of its own.`,
		examples: []string{"state --master 127.0.0.1:7077 12 sums", "state orders sums de", "state --program ./orders 12 sums"},
		run:      printState,
	}
}

func offsetsCommand() command {
	return command{
		name: "offsets", args: "JOB",
		about: `Prints how far a job has read its inputs. A line of JSON for each partition has
the offset with which the next batch begins; standard error says which batch is the
newest, and whether some aren't complete. If a job has ended, --program names its program,
which runs on this machine to read what the job has left.`,
		examples: []string{"offsets --master 127.0.0.1:7077 12", "offsets --program ./orders 12"},
		run:      printOffsets,
	}
}

func printState(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	program := f.String("program", "", "`file` of the job's program, if the job has ended")
	conn.addTo(f)
	others, err := parseAll(f, args)
	if err != nil {
		return err
	}
	names := []string{"JOB", "NAME", "KEY"}
	if len(others) < len(names) {
		names = names[:2]
	}
	if err := expect(others, names...); err != nil {
		return err
	}
	what := wire.Print{State: others[1]}
	if len(others) == 3 {
		what.Key = others[2]
	}
	return conn.connectTo(ctx, p, others[0], func(c *client.Client, job wire.JobRef) error {
		if *program == "" {
			return printRunning(ctx, p, c, job, what, fmt.Sprintf("state %d %s", job.Incarnation, what.State))
		}
		st, err := c.Status(ctx, job)
		if err != nil {
			return err
		}
		if st.Resumed != 0 {
			return fmt.Errorf("%w: job %d was resumed as job %d, which saves its states in the same place: engine-submit state --program %s %[3]d %[5]s",
				wire.ErrInvalid, job.Incarnation, st.Resumed, *program, what.State)
		}
		stored := st.Spec.Origin
		if stored == 0 {
			stored = st.Spec.Incarnation
		}
		return runHere(ctx, p, *program, append(st.Spec.Args, "--state", what.State, "--state-key", what.Key, "--state-job", fmt.Sprint(stored))...)
	})
}

func printOffsets(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	program := f.String("program", "", "`file` of the job's program, if the job has ended")
	conn.addTo(f)
	called, err := parseJob(f, args)
	if err != nil {
		return err
	}
	return conn.connectTo(ctx, p, called, func(c *client.Client, job wire.JobRef) error {
		if *program == "" {
			return printRunning(ctx, p, c, job, wire.Print{}, fmt.Sprintf("offsets %d", job.Incarnation))
		}
		st, err := c.Status(ctx, job)
		if err != nil {
			return err
		}
		return withLog(ctx, p, c, job, *program, append([]string{"--offsets"}, st.Spec.Args...)...)
	})
}

// printRunning prints what the driver process of a job that runs prints.
func printRunning(ctx context.Context, p *process, c *client.Client, job wire.JobRef, what wire.Print, command string) error {
	out := bufio.NewWriter(p.stdout)
	err := c.Print(ctx, job, what, out, func(note string) { p.say("job %d, %s", job.Incarnation, note) })
	if errors.Is(err, wire.ErrJobEnded) {
		err = fmt.Errorf("%w\nits program prints it: engine-submit %s --program PROGRAM", err, command)
	}
	return errors.Join(err, out.Flush())
}

package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func killCommand() command {
	return command{
		name: "kill", args: "JOB",
		about: `Ends a job at once, or with --graceful when the batches that are planned are done,
and waits until it has ended. If it has ended already that is said, and is no error.`,
		examples: []string{"kill --master 127.0.0.1:7077 12", "kill --graceful 12"},
		run:      kill,
	}
}

func kill(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	graceful := f.Bool("graceful", false, "let the job finish what is planned")
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
		if st.State.Final() {
			p.say("job %d %s; there is nothing to end", job.Incarnation, ended(st))
			return nil
		}
		if st, err = c.Kill(ctx, job, *graceful); err != nil {
			return err
		}
		if !st.State.Final() {
			p.say("job %d is %s", job.Incarnation, st.State)
			if st, err = c.Watch(ctx, job, func(*wire.JobStatus) {}); err != nil {
				return err
			}
		}
		p.say("job %d is %s", job.Incarnation, st.State)
		return nil
	})
}

// ended says how a job has ended, and when.
func ended(st *wire.JobStatus) string {
	text := fmt.Sprintf("has %s already", st.State)
	if st.State == wire.JobKilled {
		text = "was killed already"
	}
	if st.Ended != 0 {
		text += ", at " + clock(st.Ended)
	}
	return text
}

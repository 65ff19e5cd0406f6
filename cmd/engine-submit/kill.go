package main

import (
	"context"
	"flag"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func killCommand() command {
	return command{
		name: "kill", args: "JOB",
		about: `Ends a job at once, or with --graceful when the batches that are planned are done,
and waits until it has ended. It is no error if it has ended already.`,
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
		st, err := c.Kill(ctx, job, *graceful)
		if err != nil {
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

package main

import (
	"context"
	"flag"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func forgetCommand() command {
	return command{
		name: "forget", args: "JOB",
		about: `Drops what a job that has ended left to be resumed. Its log, with the place where
its state and offsets are, is dropped, so that submit --resume can't go on from it. The
cluster does so by itself with the oldest when a hundred newer jobs have ended, or when it
needs the room. Files of checkpoints stay in checkpoint.store, below the job's number.`,
		examples: []string{"forget --master 127.0.0.1:7077 12"},
		run:      forget,
	}
}

func forget(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	conn.addTo(f)
	called, err := parseJob(f, args)
	if err != nil {
		return err
	}
	return conn.connectTo(ctx, p, called, func(c *client.Client, job wire.JobRef) error {
		if err := c.DropLog(ctx, job); err != nil {
			return err
		}
		p.say("job %d can't be resumed any more", job.Incarnation)
		return nil
	})
}

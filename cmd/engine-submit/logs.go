package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func logsCommand() command {
	return command{
		name: "logs", args: "JOB",
		about: `Prints what a job's driver process has written, or its process on an executor. A log
lies where its process ran; with --follow it goes on with the job's next driver
process when the machine of this one dies.`,
		examples: []string{
			"logs --master 127.0.0.1:7077 12",
			"logs --executor e1 --tail 4096 --follow 12",
			"logs --driver d2 12        # what the job's driver wrote while it was on d2",
		},
		run: showLogs,
	}
}

func showLogs(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	var o client.LogOptions
	f.StringVar(&o.Executor, "executor", "", "`id` of an executor whose process's log to print")
	f.StringVar(&o.Driver, "driver", "", "`id` of an engine-driver, if not the one that runs the job's driver process now")
	f.Int64Var(&o.Tail, "tail", 0, "begin so many `bytes` before the end; 0: with all that is kept")
	f.BoolVar(&o.Follow, "follow", false, "go on until the job has ended")
	conn.addTo(f)
	called, err := parseJob(f, args)
	switch {
	case err != nil:
		return err
	case o.Tail < 0:
		return fmt.Errorf("%w: --tail %d is below 0", errUsage, o.Tail)
	case o.Driver != "" && o.Executor != "":
		return fmt.Errorf("%w: give --driver or --executor, not both", errUsage)
	}
	o.Moved = func(node string) { p.say("the log on %s:", node) }
	return conn.connectTo(ctx, p, called, func(c *client.Client, job wire.JobRef) error {
		return c.Logs(ctx, job, o, p.stdout)
	})
}

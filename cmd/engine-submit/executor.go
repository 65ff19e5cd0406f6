package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func executorCommand() command {
	return command{
		name: "executor", args: "drain|forget ID",
		about: `Drains an executor, or forgets one. A drained executor runs no job until its daemon
is started again: what ran there runs again elsewhere, and the machine can be taken
away. One that was stopped for good is shown as silent until it is forgotten.`,
		examples: []string{"executor drain e1 --master 127.0.0.1:7077", "executor forget e1"},
		run:      changeExecutor,
	}
}

func changeExecutor(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	force := f.Bool("force", false, "drain the last executor too: jobs wait for another one")
	conn.addTo(f)
	others, err := parseMixed(f, args, "drain|forget", "ID")
	if err != nil {
		return err
	}
	verb, id := others[0], others[1]
	switch {
	case verb != "drain" && verb != "forget":
		return fmt.Errorf("%w: executor %s: there are drain and forget%s; see --help", errUsage, verb, cli.DidYouMean(verb, []string{"drain", "forget"}))
	case verb == "forget" && *force:
		return fmt.Errorf("%w: --force goes with drain", errUsage)
	}
	return conn.connect(p, func(c *client.Client) error {
		if verb == "forget" {
			if err := c.Forget(ctx, id); err != nil {
				return err
			}
			p.say("executor %s is forgotten", id)
			return nil
		}
		news, err := c.Drain(ctx, id, *force)
		switch {
		case err != nil:
			return err
		case news:
			p.say("executor %s is drained: it runs no job until its daemon is started again", id)
		default:
			p.say("executor %s had been drained before", id)
		}
		return nil
	})
}

// executorState returns how an executor is.
func executorState(e wire.ExecutorStatus) string {
	switch {
	case e.Doubtful:
		return "unknown, since no driver leads"
	case !e.Alive:
		return "silent; engine-submit executor forget " + e.ID + ", if it is gone for good"
	case e.Drained:
		return "drained"
	}
	return "alive"
}

package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/hibana-engine/hibana/engine/client"
)

func listCommand() command {
	return command{
		name: "list", args: "", about: "Lists the jobs that the cluster remembers, the newest first.",
		examples: []string{"list --master 127.0.0.1:7077,127.0.0.1:7078,127.0.0.1:7079"},
		run:      list,
	}
}

// maxTrouble bounds what a line of the list says of what is wrong, in characters.
const maxTrouble = 100

func list(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	conn.addTo(f)
	if _, err := parseMixed(f, args); err != nil {
		return err
	}
	return conn.connect(p, func(c *client.Client) error {
		jobs, err := c.Jobs(ctx)
		if err != nil {
			return err
		}
		if len(jobs) == 0 {
			p.say("no jobs yet")
			return nil
		}
		now := time.Now()
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "JOB\tNAME\tKIND\tSTATE\tSUBMITTED\tFOR\tBATCHES\tPENDING\tDRIVER\tEXECUTORS\tSUBMISSION\tTROUBLE")
		for _, st := range jobs {
			batches, pending := progressColumns(&st)
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n",
				st.Spec.Incarnation, st.Spec.Name, st.Kind, st.State, clock(st.Submitted), age(&st, now),
				batches, pending, orDash(st.Node), len(st.Executors), st.Spec.Submission, orDash(clip(firstLine(st.Trouble), maxTrouble)))
		}
		return w.Flush()
	})
}

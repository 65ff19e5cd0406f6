package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
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
		cluster, err := c.Leader(ctx)
		if err != nil {
			return err
		}
		now := time.Now()
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "JOB\tNAME\tKIND\tSTATE\tSUBMITTED\tFOR\tBATCHES\tPENDING\tDRIVER\tEXECUTORS\tSLOTS\tSUBMISSION\tTROUBLE")
		for _, st := range jobs {
			batches, pending := progressColumns(&st)
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n",
				st.Spec.Incarnation, st.Spec.Name, st.Kind, st.State, clock(st.Submitted), age(&st, now),
				batches, pending, orDash(st.Node), len(st.Executors), slotsOf(&st), st.Spec.Submission, orDash(clip(firstLine(st.Trouble), maxTrouble)))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		p.say("%s", slotsIn(cluster.Executors, jobs))
		return nil
	})
}

// slotsOf returns how many slots a job has, of those of its executors. A leader of an
// earlier version doesn't say of how many.
func slotsOf(st *wire.JobStatus) string {
	has, of := 0, 0
	for _, e := range st.Executors {
		has += e.Slots
		of += e.Of
	}
	switch {
	case has == 0 && of == 0:
		return "-"
	case of == 0:
		return fmt.Sprint(has)
	}
	return fmt.Sprintf("%d/%d", has, of)
}

// slotsIn says how many slots jobs have, and how many are free, if the leader knows.
func slotsIn(executors []wire.ExecutorStatus, jobs []wire.JobStatus) string {
	slots, used, free := 0, 0, 0
	for _, e := range executors {
		if e.Alive && !e.Drained {
			slots += e.Slots
			used += e.Used
			free += freeSlots(e)
		}
	}
	if slices.ContainsFunc(jobs, isUnshared) {
		return fmt.Sprintf("slots: %d in all", slots)
	}
	return fmt.Sprintf("slots: %d in all, %d used, %d free", slots, used, free)
}

// isUnshared reports whether a leader of an earlier version, where jobs share no slots,
// speaks of a job that has some.
func isUnshared(st wire.JobStatus) bool {
	return slices.ContainsFunc(st.Executors, func(e wire.ExecutorProcess) bool { return e.Slots > 0 && e.Of == 0 })
}

// freeSlots returns how many slots no job has.
func freeSlots(e wire.ExecutorStatus) int {
	if !e.Alive || e.Drained {
		return 0
	}
	return max(0, e.Slots-e.Used)
}

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func clusterCommand() command {
	return command{
		name: "cluster", args: "",
		about: `Asks every engine-driver who is there. The exit code is 0 if the cluster has a
leader, 3 if not, 1 if it doesn't let this process in.`,
		examples: []string{"cluster --master 127.0.0.1:7077"},
		run:      showCluster,
	}
}

func showCluster(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	conn.addTo(f)
	if _, err := parseMixed(f, args); err != nil {
		return err
	}
	return conn.connect(p, func(c *client.Client) error {
		views := c.Overview(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		best := bestView(views)
		if best == nil {
			for _, v := range views {
				p.say("%s: %v", v.Address, v.Err)
			}
			if slices.ContainsFunc(views, func(v client.View) bool { return v.Refused }) {
				return exitError(exitFailed)
			}
			p.say("no engine-driver answers; check the addresses and that they run")
			return exitError(exitUnknown)
		}
		if err := printCluster(p.stdout, views, best); err != nil {
			return err
		}
		// Followers go on naming a dead leader for a moment.
		if !slices.ContainsFunc(views, func(v client.View) bool { return v.Status != nil && v.Status.Leader == v.Address }) {
			p.say("no engine-driver leads; are most of them up?")
			return exitError(exitUnknown)
		}
		return nil
	})
}

// bestView returns what the newest leader says, or anybody if there is none, or
// nil if nobody answers.
func bestView(views []client.View) *wire.ClusterStatus {
	var best *wire.ClusterStatus
	rank := func(v client.View) uint64 { // the leader itself comes before who heard of it
		r := 4 * v.Status.Term
		switch v.Status.Leader {
		case "":
			return r
		case v.Address:
			return r + 2
		}
		return r + 1
	}
	var most uint64
	for _, v := range views {
		if v.Status != nil && (best == nil || rank(v) > most) {
			best, most = v.Status, rank(v)
		}
	}
	return best
}

// printCluster writes what the drivers say.
func printCluster(out io.Writer, views []client.View, best *wire.ClusterStatus) error {
	said := make(map[string]client.View)
	for _, v := range views {
		said[v.Address] = v
	}
	fmt.Fprintf(out, "cluster %s, term %d\n\n", best.ClusterID, best.Term)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DRIVER\tADDRESS\tSTATE")
	for _, d := range best.Drivers {
		v, state := said[d.Address], "follower"
		switch {
		case v.Err != nil:
			state = "doesn't answer: " + v.Err.Error()
		case d.Address == best.Leader:
			state = "leader"
		case v.Status != nil && v.Status.Leader == "":
			state = "knows of no leader"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", d.ID, d.Address, state)
		delete(said, d.Address)
	}
	for _, v := range views { // such as a wrong address in --master
		if _, left := said[v.Address]; left && v.Err != nil {
			fmt.Fprintf(w, "?\t%s\tdoesn't answer: %v\n", v.Address, v.Err)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if len(best.Executors) == 0 {
		_, err := fmt.Fprintln(out, "no executors")
		return err
	}
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EXECUTOR\tADDRESS\tSLOTS\tUSED\tFREE\tPLATFORM\tSTATE")
	for _, e := range best.Executors {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s\n", e.ID, e.Address, e.Slots, e.Used, freeSlots(e), e.Platform, executorState(e))
	}
	return w.Flush()
}

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/engine/batchlog/dirlog"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/wire"
)

func planCommand() command {
	return command{
		name: "plan", args: "JOB|DIR PROGRAM [-- ARG …]",
		about: `Prints what a program would go on with. That is what submit --resume JOB would
keep, migrate, begin anew and drop of a job, and which outputs of unfinished batches
run, maybe again; or what the program would of its --checkpoint DIR, a directory with a batch log. PROGRAM runs on this machine
until its build function has returned; nothing else of it runs. The exit code is 1 if
it can't go on. The job may run meanwhile: then it is as of now.`,
		examples: []string{"plan --master 127.0.0.1:7077 12 ./orders-2 -- --brokers kafka1:9093", "plan /var/lib/orders/checkpoint ./orders-2"},
		run:      printPlan,
	}
}

func printPlan(ctx context.Context, p *process, f *flag.FlagSet, conn connection, args []string) error {
	loss := f.Bool("allow-non-restored-state", false, "as if inputs and states that the program doesn't have may be dropped")
	conn.addTo(f)
	var more []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, more = args[:i], args[i+1:]
	}
	others, err := parseMixed(f, args, "JOB or DIR", "PROGRAM")
	if err != nil {
		return err
	}
	of, program := others[0], others[1]
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("%w: there is no program %s; build it first", errUsage, program)
	}
	if *loss {
		more = append([]string{"--allow-non-restored-state"}, more...)
	}
	more = append([]string{"--plan"}, more...)
	local, err := isCheckpoint(of)
	if err != nil {
		return err
	}
	if local {
		return runHere(ctx, p, program, append([]string{"--checkpoint", of}, more...)...)
	}
	return conn.connectTo(ctx, p, of, func(c *client.Client, job wire.JobRef) error {
		return withLog(ctx, p, c, job, program, more...)
	})
}

// isCheckpoint reports whether JOB or DIR is a checkpoint's directory: one with a batch
// log, since a job may be named like any other. With a slash it can't be meant as a job.
func isCheckpoint(of string) (bool, error) {
	info, err := os.Stat(of)
	if err != nil || !info.IsDir() {
		return false, nil
	}
	holds, err := dirlog.Holds(of)
	if err == nil && !holds && strings.ContainsRune(of, filepath.Separator) {
		err = fmt.Errorf("%w: there is no batch log in %s; name the --checkpoint directory of the program", errUsage, of)
	}
	return holds, err
}

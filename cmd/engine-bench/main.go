// Engine-bench measures the engine beside a baseline in the same run.
//
//	engine-bench WORKLOAD [flags]
//
// Each workload says in its --help what it measures and how. With --json the
// last line of standard output is one JSON object.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// workload is one thing that can be measured.
type workload struct {
	name, about string
	// run adds its flags to f, parses args and measures.
	run func(ctx context.Context, f *flag.FlagSet, args []string) (report, error)
}

// report is what a workload measured: printed for people, or as JSON.
type report interface {
	named(workload string)
	print(w io.Writer)
}

// workloads lists what can be measured, in the order of the help.
func workloads() []workload {
	return []workload{
		{"count", "read short records from Kafka, map and count them; baseline: a tuned franz-go poll loop", runCount},
		{"overhead", "time from a batch's start to its completion with one record in 8 tasks", runOverhead},
		{"failover", "time from the death of a leader, job driver or executor to the next new batch, on a cluster of daemons", runFailover},
		{"mnist", "recognise images from Kafka with a network; baseline: the bare compiled network on as many cores", runMNIST},
		{"inference", "a compiled network alone; baseline: the cores' peak", runInference},
		{"train", "seconds an epoch of training on the digits, on one core", runTrain},
	}
}

// errUsage is a wrong command line: exit code 2.
var errUsage = errors.New("wrong use")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measure(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "engine-bench:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "engine-bench:", err)
		os.Exit(1)
	}
}

// measure runs the workload that args name and prints its result.
func measure(ctx context.Context, args []string) error {
	all := workloads()
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		usage(all)
		if len(args) > 0 && strings.Contains(args[0], "help") || len(args) > 0 && args[0] == "-h" {
			return flag.ErrHelp
		}
		return fmt.Errorf("%w: name a workload", errUsage)
	}
	i := slices.IndexFunc(all, func(w workload) bool { return w.name == args[0] })
	if i < 0 {
		usage(all)
		return fmt.Errorf("%w: unknown workload %q", errUsage, args[0])
	}
	w := all[i]
	f := flag.NewFlagSet("engine-bench "+w.name, flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "engine-bench %s: %s.\n\nFlags:\n", w.name, w.about)
		f.PrintDefaults()
	}
	asJSON := f.Bool("json", false, "end with one JSON object on standard output")
	r, err := w.run(ctx, f, args[1:])
	if err != nil || r == nil { // an executor process has nothing to tell
		return err
	}
	r.named(w.name)
	if !*asJSON {
		r.print(os.Stdout)
		return nil
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// parse parses a workload's flags.
func parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%w: unexpected %q", errUsage, f.Arg(0))
	}
	return nil
}

func usage(all []workload) {
	fmt.Fprint(os.Stderr, "Usage: engine-bench WORKLOAD [flags]\n\nWorkloads:\n")
	for _, w := range all {
		fmt.Fprintf(os.Stderr, "  %-10s %s\n", w.name, w.about)
	}
	fmt.Fprint(os.Stderr, "\nExample:\n  engine-bench count --records 1000000 --json\n")
}

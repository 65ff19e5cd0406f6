// Engine-bench measures the engine beside a baseline in the same run.
//
//	engine-bench WORKLOAD [flags]
//
// Each workload says in its --help what it measures and how. With --json the
// last line of standard output is one JSON object, with --benchstat it is lines
// that benchstat reads.
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
	"time"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
	"github.com/hibana-engine/hibana/engine/cli"
)

// workload is one thing that can be measured.
type workload struct {
	name, about string
	example     string // flags, for the help
	// run adds its flags to f, parses args and measures.
	run func(ctx context.Context, f *flag.FlagSet, args []string) (report, error)
}

// exampleLine is the example as it is typed.
func (w workload) exampleLine() string {
	return strings.TrimSpace("engine-bench " + w.name + " " + w.example)
}

// report is what a workload measured: printed for people, or as JSON.
type report interface {
	named(workload string)
	print(w io.Writer)
}

// workloads lists what can be measured, in the order of the help.
func workloads() []workload {
	return []workload{
		{"count", "read short records from Kafka, map and count them; baselines: a tuned franz-go poll loop, and a raw fetch loop",
			"--records 1000000", runCount},
		{"latency", "time from when a record is due through Kafka, a Map and Kafka again until a consumer has it; baseline: a bare franz-go loop",
			"--rate 1000 --rounds 1", runLatency},
		{"realtime", "Spark's suite of its real-time mode: time of records through a stateless query, deduplication, counts in windows, a state; Spark beside the first, and its published figures",
			"--queries stateless,window --rounds 1", runRealtime},
		{"wordcount", "split lines from Kafka into words and count them; baseline: the same in a tuned franz-go poll loop",
			"--records 1000000", runWordCount},
		{"fold", "count records from Kafka by key, over all batches; baseline: maps in a tuned franz-go poll loop",
			"--records 1000000 --keys 10000", runFold},
		{"window", "processing time of batches that add up a sliding window by key, with an inverse",
			"--window 5s --keys 10000", runWindow},
		{"state", "processing time of batches that change a keyed state, with and without a checkpoint under way",
			"--keys 100000 --rate 20000", runState},
		{"sort", "a batch program that sorts records of 100 bytes",
			"--records 5000000", runSort},
		{"join", "a batch program that joins pairs with a fifth as many",
			"--records 1000000", runJoin},
		{"group", "a batch program that groups values by key, more than fit in memory with --memory 1g",
			"--records 10000000 --memory 1g", runGroup},
		{"lines", "count the lines of a large text file; baseline: wc -l on the same file",
			"--size 100", runLines},
		{"pagerank", "a batch program that ranks the nodes of a graph by their links; baseline: a loop over slices",
			"--records 100000 --iterations 5", runPageRank},
		{"kmeans", "a batch program that finds the centres of points; baseline: a loop over slices",
			"--records 100000 --k 5", runKMeans},
		{"overhead", "time from a batch's start to its completion with one record in 8 tasks",
			"--batches 200 --interval 10ms", runOverhead},
		{"tasks", "a batch program of tasks that have nothing to do: how many run in a second, and what they cost",
			"--tasks 10000 --rounds 3", runTasks},
		{"failover", "time from the death of a leader, job driver or executor to the next new batch, on a cluster of daemons",
			"--kinds job-driver --kills 5", runFailover},
		{"mnist", "recognise images from Kafka with a network; baseline: the bare compiled network on as many cores",
			"--model mlp --images 100000", runMNIST},
		{"paper", "images through Kafka over partitions and consumers, as the paper measured it: a producer, consumers, both, and recognition; bare clients and the engine in turn; tables and figures",
			"--quick --out paper-results", runPaper},
		{"compare", "the same work on the engine, bare franz-go and, where there are Java and Maven, Spark and Kafka Streams: ratios with their spread",
			"--work count,copy --records 1000000 --rates 1000", runCompare},
		{"inference", "a compiled network alone; baseline: the cores' peak",
			"--model mlp --batch 64", runInference},
		{"broker", "an embedded broker until standard input ends, which other workloads start",
			"", runBroker},
		{"train", "seconds an epoch of training on the digits, on one core",
			"--model cnn --limit 6000", runTrain},
	}
}

// errUsage is a wrong command line: exit code 2.
var errUsage = errors.New("wrong use")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs the command and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	switch err := measure(ctx, args, stdout); {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "engine-bench: %v%s\n", err, cli.SeeHelp(err, "--help"))
		return 2
	default:
		fmt.Fprintln(stderr, "engine-bench:", err)
		return 1
	}
}

// measure runs the workload that args name and prints its result.
func measure(ctx context.Context, args []string, stdout io.Writer) error {
	all := workloads()
	if len(args) == 0 {
		return fmt.Errorf("%w: name a workload", errUsage)
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		usage(stdout, all)
		return flag.ErrHelp
	case "-version", "--version":
		fmt.Fprintf(stdout, "engine-bench: %s\n", cli.Version())
		return flag.ErrHelp
	}
	i := slices.IndexFunc(all, func(w workload) bool { return w.name == args[0] })
	if i < 0 {
		var names []string
		for _, w := range all {
			names = append(names, w.name)
		}
		return fmt.Errorf("%w: unknown workload %q%s", errUsage, args[0], cli.DidYouMean(args[0], names))
	}
	w := all[i]
	f := flag.NewFlagSet("engine-bench "+w.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	asJSON := f.Bool("json", false, "end with one JSON object on standard output")
	asBenchstat := f.Bool("benchstat", false, "print lines that benchstat reads: of several calls, appended to a file, or of two files beside each other")
	p := newProfiles(f)
	r, err := w.run(ctx, f, args[1:])
	if err != nil && ctx.Err() != nil && !errors.Is(err, paper.ErrInterrupted) && !errors.Is(err, errUsage) && !errors.Is(err, flag.ErrHelp) {
		err = paper.ErrInterrupted // each part that ended with ctx has words of its own for it
	}
	err = errors.Join(err, p.end())
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stdout, "engine-bench %s: %s.\n\n%s\n\nExample:\n  %s\n\nFlags:\n", w.name, w.about, how(w.name), w.exampleLine())
		cli.PrintFlags(stdout, withoutInternal(f))
	}
	if err != nil && !errors.As(err, new(partialError)) || r == nil { // an executor process has nothing to tell
		return err
	}
	r.named(w.name)
	switch {
	case *asBenchstat:
		return errors.Join(err, writeBenchstat(stdout, w.name, r))
	case *asJSON:
		return errors.Join(err, json.NewEncoder(stdout).Encode(r))
	}
	r.print(stdout)
	return err
}

// internal begins what is said of a flag that the benchmark gives to processes it starts
// itself: the help doesn't list it.
const internal = "internal: "

// withoutInternal returns the flags that are for people.
func withoutInternal(f *flag.FlagSet) *flag.FlagSet {
	shown := flag.NewFlagSet(f.Name(), flag.ContinueOnError)
	f.VisitAll(func(v *flag.Flag) {
		if !strings.HasPrefix(v.Usage, internal) {
			shown.Var(v.Value, v.Name, v.Usage)
			shown.Lookup(v.Name).DefValue = v.DefValue
		}
	})
	return shown
}

// parse parses a workload's flags, of which those with the given names are numbers and
// durations above 0.
func parse(f *flag.FlagSet, args []string, above0 ...string) error {
	if err := cli.ParseFlags(f, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%w: unexpected %q", errUsage, f.Arg(0))
	}
	for _, name := range above0 {
		if !isAbove0(f.Lookup(name).Value) {
			return fmt.Errorf("%w: --%s is above 0", errUsage, name)
		}
	}
	return nil
}

// isAbove0 reports whether a flag's value is a number or a duration above 0.
func isAbove0(v flag.Value) bool {
	switch n := v.(flag.Getter).Get().(type) {
	case int:
		return n > 0
	case int64:
		return n > 0
	case time.Duration:
		return n > 0
	}
	return false
}

func usage(out io.Writer, all []workload) {
	fmt.Fprint(out, "Usage: engine-bench WORKLOAD [flags]\n\nWorkloads:\n")
	for _, w := range all {
		fmt.Fprintf(out, "  %-10s %s\n", w.name, w.about)
	}
	fmt.Fprintf(out, "\nExample:\n  %s --json\n", all[0].exampleLine())
}

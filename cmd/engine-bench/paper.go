package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/ml/datasets/mnist"
)

// paperFlags are the command line of the paper's grid.
type paperFlags struct {
	grid    paper.Grid
	out     string
	brokers string
	model   string
	quick   bool

	jobTopic, weights string // of an executor process
	recognise         bool
}

func newPaperFlags(f *flag.FlagSet) *paperFlags {
	o := &paperFlags{grid: paper.Grid{
		Replications: []int{1}, Partitions: []int{1, 2, 4, 8, 16}, Consumers: []int{1, 2, 4},
		Images: 500_000, Recognised: 100_000, Repetitions: 5, WarmUp: 1,
	}}
	g := &o.grid
	f.StringVar(&o.out, "out", "", "`directory` for results.csv, report.html, and report.md with figures; a run that was stopped goes on there. A copy mustn't run beside it on the same brokers")
	f.StringVar(&o.brokers, "brokers", "", "Kafka addresses; none: an embedded broker in a process of its own")
	f.StringVar(&o.model, "model", "cnn", "network that recognises: cnn or mlp")
	f.BoolVar(&o.quick, "quick", false, "a small grid in two minutes: partitions 1,4,16, 100,000 images, 10,000 recognised, once, no warm-up, unless other flags say otherwise")
	intsVar(f, &g.Partitions, "partitions", "numbers of partitions (1,2,4,8,16)")
	intsVar(f, &g.Consumers, "consumers", "numbers of consumers and of executors (1,2,4)")
	intsVar(f, &g.Nodes, "kafka-nodes", "real brokers to start on this machine: 1, 3 or 1,3, one after the other; needs Java, and deploy/kafka/kafka of the repository; their data is in --out while they run")
	intsVar(f, &g.Replications, "replication", "replicas of a partition (1), for example 1..3; what is more than the brokers is left out")
	f.Int64Var(&g.Images, "images", g.Images, "images of a run")
	f.Int64Var(&g.Recognised, "recognise", g.Recognised, "images of a run in which consumers recognise them, at most --images")
	f.IntVar(&g.Repetitions, "repetitions", g.Repetitions, "runs of each cell that count")
	f.IntVar(&g.WarmUp, "warm-up", g.WarmUp, "runs of each cell before those")
	f.StringVar(&o.jobTopic, "job-topic", "", internal+"`topic` of an executor process")
	f.StringVar(&o.weights, "job-weights", "", internal+"`file` with the network's weights, for an executor process")
	f.BoolVar(&o.recognise, "job-recognise", false, internal+"recognise, in an executor process")
	return o
}

// intsVar adds a flag of whole numbers above 0, as 1,4 or 1..3, ascending, each once.
func intsVar(f *flag.FlagSet, into *[]int, name, usage string) {
	f.Func(name, usage, func(s string) error {
		var v []int
		for word := range strings.SplitSeq(s, ",") {
			first, last, isRange := strings.Cut(strings.TrimSpace(word), "..")
			if !isRange {
				last = first
			}
			from, err := strconv.Atoi(first)
			to, err2 := strconv.Atoi(last)
			if err != nil || err2 != nil || from < 1 || to < from || to-from >= 1000 {
				return fmt.Errorf("%q is no number above 0, nor a range such as 1..3", word)
			}
			for n := from; n <= to; n++ {
				v = append(v, n)
			}
		}
		slices.Sort(v)
		*into = slices.Compact(v)
		return nil
	})
}

// parse parses the command line: --quick changes defaults only, wherever it stands.
func (o *paperFlags) parse(f *flag.FlagSet, args []string) error {
	if err := parse(f, args); err != nil {
		return err
	}
	g := &o.grid
	if o.quick {
		given := make(map[string]bool)
		f.Visit(func(f *flag.Flag) { given[f.Name] = true })
		small(given["partitions"], &g.Partitions, []int{1, 4, 16})
		small(given["images"], &g.Images, 100_000)
		small(given["recognise"], &g.Recognised, min(10_000, g.Images))
		small(given["repetitions"], &g.Repetitions, 1)
		small(given["warm-up"], &g.WarmUp, 0)
	}
	if inJob() {
		return nil
	}
	if o.out == "" {
		return fmt.Errorf("%w: --out names the directory for the results", errUsage)
	}
	if g.Images < 1 || g.Recognised < 1 || g.Recognised > g.Images || g.Repetitions < 1 || g.WarmUp < 0 {
		return fmt.Errorf("%w: --images, --recognise and --repetitions are above 0, and --recognise is at most --images", errUsage)
	}
	if len(g.Consumers) > paper.MaxColors {
		return fmt.Errorf("%w: --consumers has %d numbers; the figures can tell %d apart", errUsage, len(g.Consumers), paper.MaxColors)
	}
	if err := o.checkNodes(); err != nil {
		return err
	}
	if o.model != "cnn" && o.model != "mlp" {
		return fmt.Errorf("%w: --model %q; there are cnn and mlp", errUsage, o.model)
	}
	return nil
}

// checkNodes checks what is asked of the brokers.
func (o *paperFlags) checkNodes() error {
	g := &o.grid
	most := slices.Max(g.Replications)
	switch {
	case o.brokers != "" && g.Nodes != nil:
		return fmt.Errorf("%w: --kafka-nodes starts brokers, --brokers names some: give one of them", errUsage)
	case o.brokers != "":
		return nil // they are asked
	case g.Nodes == nil && most > 1:
		return fmt.Errorf("%w: --replication %d needs as many brokers, and the embedded Kafka is one: add --kafka-nodes 3, or --brokers", errUsage, most)
	case g.Nodes == nil:
		return nil
	case slices.ContainsFunc(g.Nodes, func(n int) bool { return n != 1 && n != 3 }):
		return fmt.Errorf("%w: --kafka-nodes is 1, 3 or 1,3", errUsage)
	case most > slices.Max(g.Nodes):
		return fmt.Errorf("%w: --replication %d is more than the %d of --kafka-nodes", errUsage, most, slices.Max(g.Nodes))
	}
	return nil
}

// small sets a default of the quick grid.
func small[T any](given bool, v *T, quick T) {
	if !given {
		*v = quick
	}
}

// runPaper measures the paper's grid, or as much of it as its directory lacks.
func runPaper(ctx context.Context, f *flag.FlagSet, args []string) (_ report, err error) {
	o := newPaperFlags(f)
	if err := o.parse(f, args); err != nil {
		return nil, err
	}
	network := &mnistBench{model: o.model}
	if inJob() {
		return nil, o.runExecutor(ctx, network)
	}
	if network.weights, err = randomWeights(network.network()); err != nil {
		return nil, err
	}
	b := &paperBench{perRun: o.grid.Images, toDigits: o.grid.Recognised, network: network, executors: localCluster}
	if b.images, err = mnist.Train(); err != nil {
		return nil, err
	}
	kind, stop, err := b.reaches(ctx, o)
	if err != nil {
		return nil, err
	}
	defer stop()
	p := &paperRun{grid: o.grid, out: o.out, command: commandLine(args, o.out), settings: paper.Settings{
		Images: o.grid.Images, Recognised: o.grid.Recognised, Network: o.model, Brokers: kind, Machine: paper.Machine(),
	}}
	return p.run(ctx, b)
}

// reaches lets the benchmark use the brokers that the flags name, and says which those are.
func (b *paperBench) reaches(ctx context.Context, o *paperFlags) (kind string, stop func(), err error) {
	if o.grid.Nodes != nil {
		b.real, err = findRealKafka(o.out)
		if err != nil {
			return "", nil, err
		}
		kind, err = b.real.about(ctx)
		return kind, func() {}, err
	}
	b.given = o.brokers
	b.addr, kind, stop, err = brokerProcess(ctx, o.brokers)
	return kind, stop, err
}

// localCluster is the master of n executor processes of one slot.
func localCluster(n int) string { return fmt.Sprintf("local-cluster[%d,1]", n) }

// commandLine returns what to type to measure the same. Of the directory for the results it
// has the last part alone: reports are read elsewhere.
func commandLine(args []string, out string) string {
	words := []string{"engine-bench", "paper"}
	for _, a := range args {
		if before, ok := strings.CutSuffix(a, out); ok && (before == "" || strings.HasSuffix(before, "=")) {
			a = before + filepath.Base(out)
		}
		if strings.ContainsAny(a, " \t\"'$\\") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// paperRun measures a grid into a directory.
type paperRun struct {
	grid     paper.Grid
	out      string
	command  string
	settings paper.Settings
}

var errOutInUse = errors.New("another engine-bench paper writes to this directory")

// run measures what the directory lacks, and reports what there is, also after an error.
func (p *paperRun) run(ctx context.Context, b *paperBench) (report, error) {
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return nil, err
	}
	lock, err := disk.Lock(p.out, errOutInUse)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	results, err := p.measure(ctx, b)
	if results == nil {
		return nil, err
	}
	r := p.report(results.Rows, err, b.elsewhere(p.out))
	err = errors.Join(err, r.Write(p.out))
	if err != nil {
		err = fmt.Errorf("%w\n%s holds what was measured; the same command goes on from there", err, p.out)
	}
	result := &paperResult{Settings: p.settings, Cells: r.Cells, EngineBeside: r.EngineBeside(), Out: p.out, report: r}
	return partial(result, r.Done > 0, &result.Partial, err)
}

// measure makes the runs that the directory lacks, and returns all that it has, nil if it
// can't be used. The brokers' data is gone then: it may be on the disk that the reports go to.
func (p *paperRun) measure(ctx context.Context, b *paperBench) (*paper.Results, error) {
	defer func() { complain(b.disconnect(ctx)) }()
	// Brokers that are there first: without them there is nothing to keep.
	if err := b.connect(ctx, &p.grid); err != nil {
		return nil, err
	}
	results, err := paper.Open(filepath.Join(p.out, "results.csv"), rand.Text()[:8], p.settings)
	if err != nil {
		return nil, err
	}
	defer func() { complain(results.Close()) }() // each row is on the disk
	if err := b.open(ctx, results.ID); err != nil {
		return nil, err
	}
	defer b.close(ctx)
	return results, paper.Measure(ctx, b, p.grid, results, os.Stderr)
}

// report returns what there is to tell when the grid ended with an error, or nil.
func (p *paperRun) report(rows []paper.Row, stopped error, elsewhere *strings.Replacer) *paper.Report {
	r := &paper.Report{Summary: paper.Summarise(p.grid, rows), Settings: p.settings, Command: p.command}
	if stopped != nil {
		r.Stopped = elsewhere.Replace(stopped.Error())
	}
	for i := range r.Cells {
		r.Cells[i].Failed = elsewhere.Replace(r.Cells[i].Failed)
	}
	return r
}

// elsewhere returns what makes paths in errors relative, for reports, which are read on other
// machines: those below the directory for the results, the repository and that for temporary
// files.
func (b *paperBench) elsewhere(out string) *strings.Replacer {
	roots := []string{os.TempDir() + "/", ""}
	if abs, err := filepath.Abs(out); err == nil {
		roots = append([]string{filepath.Dir(abs) + "/", ""}, roots...)
	}
	if b.real != nil {
		roots = append(roots, strings.TrimSuffix(b.real.script, kafkaScript), "")
	}
	return strings.NewReplacer(roots...)
}

// paperResult is the grid's result as the other workloads'.
type paperResult struct {
	Workload     string              `json:"workload"`
	Settings     paper.Settings      `json:"settings"`
	Cells        []paper.CellSummary `json:"cells"`
	EngineBeside []paper.Beside      `json:"engine_beside_bare"`
	Out          string              `json:"out"`
	Partial      string              `json:"partial,omitempty"` // why there is less than was wanted

	report *paper.Report
}

func (r *paperResult) named(workload string) { r.Workload = workload }

// print writes the result for people.
func (r *paperResult) print(w io.Writer) {
	r.report.Text(w)
	if r.Partial == "" { // else the error says what there is
		fmt.Fprintf(w, "%s has results.csv, report.html, and report.md with figures\n", r.Out)
	}
}

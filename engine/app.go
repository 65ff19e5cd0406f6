package engine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/internal/launch"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/security"
)

// App is a program of the engine: a name, flags, and what Stream or Batch is given.
type App struct {
	name    string
	flags   *flag.FlagSet
	opts    options
	example string

	batch     bool     // Batch runs it
	childArgs []string // see ChildArgs
	confHelp  bool     // --conf help
}

// options are the engine's own flags.
type options struct {
	master     string
	checkpoint string
	brokers    string
	metrics    string
	interval   time.Duration
	asap       bool
	untilEnd   bool
	allowLoss  bool
	plan       bool
	offsets    bool
	saved      launch.Saved
	logLevel   string
	conf       plan.Settings
}

// Exit codes of a program.
const (
	ExitOK          = 0                    // the stream was stopped and everything planned is done; the batch program has ended
	ExitFailed      = 1                    // the job failed
	ExitUsage       = 2                    // the command line is wrong
	ExitInterrupted = role.ExitInterrupted // an interrupt ended the process before everything planned was done
)

// NewApp returns a program with the engine's flags. It touches nothing outside.
func NewApp(name string) *App {
	a := &App{name: name, flags: flag.NewFlagSet(name, flag.ContinueOnError)}
	a.opts.conf = plan.DefaultSettings()
	f := a.flags
	f.StringVar(&a.opts.master, "master", "local[*]", "where to run: local, local[N] or local[*] (N task slots in this process), local-cluster[N,cores] (N processes on this machine); jobs are sent to a cluster with engine-submit")
	f.StringVar(&a.opts.checkpoint, "checkpoint", "", "`directory` of the batch log; a killed program started again with it goes on where it was")
	f.StringVar(&a.opts.brokers, "brokers", "", "`addresses` of the brokers that the program's connectors reach, HOST:PORT,HOST:PORT,…; without it a stream's connector may bring a broker of its own, in this process")
	f.StringVar(&a.opts.metrics, "metrics", "", "`host:port` on loopback where this process serves its Prometheus metrics (/metrics), /healthz and /readyz; on a cluster the daemons' --metrics says that")
	f.Func("batch-interval", "time between batches, a `duration` such as 500ms (default: the program's)", func(s string) (err error) {
		a.opts.interval, err = plan.ParseDuration(s)
		return err
	})
	f.BoolVar(&a.opts.asap, "asap", false, "as soon as possible: make a batch when there are records and the one before it is done, and after --batch-interval at the latest; with windows, batches are kept a little apart")
	f.BoolVar(&a.opts.untilEnd, "until-end", false, "read what is there at the start, one batch after the other, then end")
	f.BoolVar(&a.opts.allowLoss, "allow-non-restored-state", false, "go on with a --checkpoint of which this program lacks inputs or states, or has states of other types: they are lost")
	f.BoolVar(&a.opts.plan, "plan", false, "print what of the --checkpoint would be kept, dropped and run again by this program, and end")
	f.BoolVar(&a.opts.offsets, "offsets", false, "print how far the job of the --checkpoint has read its inputs, as lines of JSON, and end")
	f.StringVar(&a.opts.saved.State, "state", "", "print the newest checkpoint of the keyed state of this `name`, in --checkpoint or --conf checkpoint.store, as lines of JSON, and end; the job may run meanwhile")
	f.StringVar(&a.opts.saved.Key, "state-key", "", "with --state: print this `key` alone, as it is printed or without quotes")
	f.Uint64Var(&a.opts.saved.Job, "state-job", 0, "with --state: the job's `number` on its cluster (default: the newest of the directory)")
	f.StringVar(&a.opts.logLevel, "log-level", "info", "debug, info, warn or error")
	f.Func("conf", "a `key=value` setting, may be repeated; --conf help lists them, also those of the program's connectors", func(pair string) error {
		if a.confHelp = a.confHelp || pair == "help"; pair == "help" {
			return nil
		}
		return a.opts.conf.Set(pair)
	})
	return a
}

// Flags returns the flags of the program, the engine's among them. Add the
// program's own before Stream: it parses them once, and they travel with the
// job, so that every process sees the same values.
func (a *App) Flags() *flag.FlagSet { return a.flags }

// Example sets the command line that --help shows as an example.
func (a *App) Example(line string) { a.example = line }

// ChildArgs sets the command line with which the master local-cluster starts
// this binary as an executor; unless it is set, that is the process's own. Each
// process must come to the same call of Run or Stream.
func (a *App) ChildArgs(args ...string) { a.childArgs = args }

// Stream runs the program as a stream with the given time between batches
// (--batch-interval overrides it) and ends the process: it parses the command
// line, builds the graph, runs until stopped or failed, and exits with one of
// the Exit codes. The first interrupt (Ctrl-C, SIGTERM) finishes what is
// planned; the second ends the process at once.
func (a *App) Stream(interval time.Duration, build BuildFunc) {
	a.runProcess(func() (*launch.Job, error) { return a.newStream(interval, build) })
}

// runProcess runs a job and ends the process.
func (a *App) runProcess(newJob func() (*launch.Job, error)) {
	wrong := a.parse(os.Args[1:])
	ctx, release := onInterrupt(context.Background(), a.sayInterrupted)
	err := a.run(ctx, wrong, newJob, (*launch.Job).RunProcess)
	interrupted := ctx.Err() != nil
	release()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", a.name, err)
		if errors.Is(err, ErrUsage) {
			fmt.Fprintf(os.Stderr, "run %s --help for its flags\n", a.name)
		}
	}
	if errors.Is(err, ErrStopped) && !a.opts.conf.StopGracefully || errors.Is(err, ErrInterrupted) || interrupted && os.Getenv(role.Env) == role.Executor {
		os.Exit(ExitInterrupted) // of an executor: it was told to end, no task ended it
	}
	os.Exit(exitCode(err))
}

// sayInterrupted tells who pressed Ctrl-C what happens now.
func (a *App) sayInterrupted() {
	switch {
	case os.Getenv(role.Env) != "": // nobody sits before this process
	case a.batch:
		fmt.Fprintf(os.Stderr, "%s: stopping; press Ctrl-C again to end the process at once\n", a.name)
	case a.opts.conf.StopGracefully:
		fmt.Fprintf(os.Stderr, "%s: finishing what is planned; press Ctrl-C again to stop at once\n", a.name)
	default:
		fmt.Fprintf(os.Stderr, "%s: stopping at once (streaming.stopGracefullyOnShutdown=false); with --checkpoint, batches in flight run again at the next start\n", a.name)
	}
}

// exitCode returns what a program that ended with err exits with.
func exitCode(err error) int {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return ExitOK
	case errors.Is(err, ErrUsage):
		return ExitUsage
	default:
		return ExitFailed
	}
}

// onInterrupt returns a context that the first interrupt cancels, after it has
// called first; the second ends the process.
func onInterrupt(parent context.Context, first func()) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-signals:
				if n > 0 {
					os.Exit(ExitInterrupted)
				}
				first()
				cancel()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel() }
}

// Run is Stream for programs and tests that want the error back. When ctx ends
// the stream stops gracefully. args are the command line without the program's
// name.
func (a *App) Run(ctx context.Context, args []string, interval time.Duration, build BuildFunc) error {
	return a.run(ctx, a.parse(args), func() (*launch.Job, error) { return a.newStream(interval, build) }, (*launch.Job).Run)
}

// parse reads the command line. It prints the help or the version that was asked for on
// standard output, which of a job's driver process is the job's log, and returns
// flag.ErrHelp then.
func (a *App) parse(args []string) error {
	out := io.Writer(os.Stdout)
	if os.Getenv(role.Env) == role.Executor {
		out = io.Discard // the driver process has said it
	}
	cli.AddVersion(a.flags)
	err := cli.Parse(a.flags, args, out, a.usage)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUsage, err)
	case a.confHelp && os.Getenv(role.Env) != "": // a job on a cluster is refused
		plan.PrintSettings(out)
		return flag.ErrHelp
	case a.flags.NArg() > 0:
		return fmt.Errorf("%w: %q is not a flag; flags begin with --", ErrUsage, a.flags.Arg(0))
	}
	return nil
}

// run runs the job that newJob returns when the command line is read; wrong is what is
// wrong with that.
func (a *App) run(ctx context.Context, wrong error, newJob func() (*launch.Job, error), run func(j *launch.Job, ctx, planning context.Context, m launch.Master) error) error {
	var j *launch.Job
	err := wrong
	if err == nil {
		j, err = newJob()
	}
	if assigned := os.Getenv(role.Env); assigned != "" {
		if assigned == role.Driver {
			err = a.fitForCluster(err)
		}
		if err != nil {
			j = a.failedJob(err)
		}
		return launch.RunRole(ctx, assigned, j)
	}
	if err != nil {
		return err
	}
	if a.confHelp {
		j.PrintSettings(ctx, os.Stdout)
		return flag.ErrHelp
	}
	if a.opts.saved.State != "" {
		s := a.opts.saved
		s.Store, s.Checkpoint = a.opts.conf.CheckpointStore, a.opts.checkpoint
		return s.Print(ctx, os.Stdout, j.Log)
	}
	m, err := a.newMaster(j.Log)
	if err != nil {
		return err
	}
	open := launch.OpenLog
	switch {
	case a.opts.plan:
		open, run = launch.LookIntoLog, (*launch.Job).PrintPlan
	case a.opts.offsets:
		open, run = launch.LookIntoLog, (*launch.Job).PrintOffsets
	}
	if j.Batches, err = open(a.opts.checkpoint, j.Log); err != nil {
		return err
	}
	return run(j, ctx, ctx, m)
}

// Bounds of the time between two batches.
const (
	leastInterval = time.Millisecond
	mostInterval  = 24 * time.Hour
)

// newStream returns the stream that the command line asks for.
func (a *App) newStream(interval time.Duration, build BuildFunc) (*launch.Job, error) {
	if flagGiven(a.flags, "batch-interval") {
		interval = a.opts.interval
	}
	if interval < leastInterval {
		return nil, fmt.Errorf("%w: the batch interval is %s, it must be at least %s, e.g. --batch-interval 500ms", ErrUsage, interval, leastInterval)
	}
	if interval > mostInterval {
		return nil, fmt.Errorf("%w: the batch interval is %s, it must be at most %s, e.g. --batch-interval 1h", ErrUsage, interval, mostInterval)
	}
	switch {
	case a.opts.plan && a.opts.checkpoint == "":
		return nil, fmt.Errorf("%w: --plan says what becomes of a checkpoint: name it with --checkpoint", ErrUsage)
	case a.opts.offsets && a.opts.checkpoint == "":
		return nil, fmt.Errorf("%w: --offsets says how far the job of a checkpoint has read: name it with --checkpoint", ErrUsage)
	case a.opts.saved.State == "" && (flagGiven(a.flags, "state-key") || flagGiven(a.flags, "state-job")):
		return nil, fmt.Errorf("%w: --state-key and --state-job say what --state prints: name the state with --state NAME", ErrUsage)
	case a.opts.saved.State != "" && a.opts.checkpoint == "" && a.opts.conf.CheckpointStore == "":
		return nil, fmt.Errorf("%w: --state prints a state of a checkpoint: name it with --checkpoint or --conf checkpoint.store=URL", ErrUsage)
	}
	if info, err := os.Stat(a.opts.checkpoint); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: --checkpoint %s: it is a file; name a directory", ErrUsage, a.opts.checkpoint)
	}
	switch loopback, err := security.IsLoopback(a.opts.metrics); {
	case a.opts.metrics == "":
	case err != nil:
		return nil, fmt.Errorf("%w: --metrics: %w", ErrUsage, err)
	case !loopback:
		return nil, fmt.Errorf("%w: --metrics %s: a program that runs by itself serves its metrics on loopback only, e.g. --metrics 127.0.0.1:9464; on a cluster the daemons serve them on other hosts", ErrUsage, a.opts.metrics)
	}
	j, err := a.newJob()
	if err != nil {
		return nil, err
	}
	j.Interval, j.Cadence, j.Build = interval, a.cadence(), builder(a.opts.brokers, build)
	j.Durable, j.Checkpoint, j.AllowNonRestored = a.opts.checkpoint != "", a.opts.checkpoint, a.opts.allowLoss
	return j, nil
}

// newJob returns what the command line says of any job.
func (a *App) newJob() (*launch.Job, error) {
	status := cli.NewStatusLine(os.Stderr, func() int { return cli.TerminalWidth(os.Stderr) })
	log, err := newLogger(status, a.opts.logLevel)
	if err != nil {
		return nil, err
	}
	return &launch.Job{App: a.name, Settings: a.opts.conf, Log: log, Stdout: os.Stdout, Status: status, Metrics: a.opts.metrics}, nil
}

// cadence returns when batches are to be planned.
func (a *App) cadence() plan.Cadence {
	switch {
	case a.opts.untilEnd:
		return plan.UntilEnd
	case a.opts.asap:
		return plan.AsSoonAsPossible
	}
	return plan.ByInterval
}

// fitForCluster returns what keeps a command line from being a job's: wrong, what
// is wrong with it anyway, or that it asks for what only a program that runs
// alone can do, which must not be passed over in silence.
func (a *App) fitForCluster(wrong error) error {
	switch {
	case errors.Is(wrong, flag.ErrHelp):
		return fmt.Errorf("%w: the command line asks for help, or for the version: it is in the job's log; %s, run by itself with that, prints it too", ErrUsage, a.name)
	case wrong != nil:
		return wrong
	case flagGiven(a.flags, "master"):
		return fmt.Errorf("%w: --master %s is for a program that runs by itself; where a job runs is said by engine-submit --master, before the program's name", ErrUsage, a.opts.master)
	case flagGiven(a.flags, "checkpoint"):
		return fmt.Errorf("%w: --checkpoint %s is for a program that runs by itself; the engine-drivers log a job's batches", ErrUsage, a.opts.checkpoint)
	}
	for _, name := range localFlags() {
		if flagGiven(a.flags, name) {
			return fmt.Errorf("%w: --%s is for a program that runs by itself", ErrUsage, name)
		}
	}
	return nil
}

// localFlags are those of a program that runs by itself, beside --master and --checkpoint.
func localFlags() []string {
	return []string{"allow-non-restored-state", "plan", "offsets", "state", "state-key", "state-job", "metrics"}
}

// failedJob returns the job of a process whose command line is wrong: one that
// can't be built. So the cluster is told why, and doesn't try again what would
// fail again.
func (a *App) failedJob(why error) *launch.Job {
	return &launch.Job{
		App: a.name, Interval: time.Second, Settings: a.opts.conf, Stdout: os.Stdout,
		Log:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Build: builder("", func(*StreamingContext) error { return why }),
	}
}

// flagGiven reports whether a flag was on the command line.
func flagGiven(f *flag.FlagSet, name string) (given bool) {
	f.Visit(func(fl *flag.Flag) { given = given || fl.Name == name })
	return given
}

// newMaster returns the master that the flag asks for.
func (a *App) newMaster(log *slog.Logger) (launch.Master, error) {
	m := a.opts.master
	if inner, ok := bracketed(m, "local-cluster"); ok {
		n, cores, _ := strings.Cut(inner, ",")
		executors, err := parseCount(m, "executors", n, maxLocalExecutors)
		if err != nil {
			return nil, err
		}
		slots, err := parseCount(m, "cores", cores, maxLocalSlots)
		if err != nil {
			return nil, err
		}
		return launch.NewLocalCluster(executors, slots, a.childArgs, a.opts.metrics != "", log), nil
	}
	if m == "local" {
		return &launch.Local{Slots: 1}, nil
	}
	inner, ok := bracketed(m, "local")
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: unknown master %q; there are local, local[N], local[*] and local-cluster[N,cores]; jobs are sent to a cluster with engine-submit", ErrUsage, m)
	case inner == "*":
		return &launch.Local{Slots: runtime.GOMAXPROCS(0)}, nil
	}
	slots, err := parseCount(m, "slots", inner, maxLocalSlots)
	return &launch.Local{Slots: slots}, err
}

// bracketed returns what stands in brackets after a name.
func bracketed(master, name string) (inner string, ok bool) {
	rest, ok := strings.CutPrefix(master, name+"[")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "]")
}

// parseCount reads one of a master's numbers.
func parseCount(master, what, s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%w: master %q: the number of %s must be from 1 to %d", ErrUsage, master, what, most)
	}
	return n, nil
}

// Bounds of local[N] and local-cluster[N,cores].
const (
	maxLocalSlots     = 4096
	maxLocalExecutors = 64
)

// newLogger returns a text logger of the given level.
func newLogger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("%w: --log-level %q; there are debug, info, warn and error", ErrUsage, level)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})), nil
}

// usage prints the flags with an example, then the settings.
func (a *App) usage(w io.Writer) {
	fmt.Fprintf(w, "Usage: %s [flags]\n", a.name)
	if a.example != "" {
		fmt.Fprintf(w, "\nExample:\n  %s\n", a.example)
	}
	fmt.Fprint(w, "\nFlags:\n")
	cli.PrintFlags(w, a.flagsTaken())
	fmt.Fprintln(w)
	plan.PrintSettings(w)
	fmt.Fprint(w, "A connector has settings of its own: --conf help lists those of the program's, too.\n")
}

// flagsTaken returns the flags that the program takes: a batch program refuses those for streams.
func (a *App) flagsTaken() *flag.FlagSet {
	if !a.batch {
		return a.flags
	}
	taken := flag.NewFlagSet(a.name, flag.ContinueOnError)
	a.flags.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(streamFlags(), f.Name) {
			taken.Var(f.Value, f.Name, f.Usage)
			taken.Lookup(f.Name).DefValue = f.DefValue
		}
	})
	return taken
}

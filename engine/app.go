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
	"strconv"
	"strings"
	"syscall"
	"time"
)

// App is a program of the engine: a name, flags, and what Stream declares.
type App struct {
	name    string
	flags   *flag.FlagSet
	opts    options
	example string
}

// options are the engine's own flags.
type options struct {
	master     string
	checkpoint string
	brokers    string
	interval   time.Duration
	logLevel   string
	conf       conf
}

// Exit codes of a program.
const (
	ExitOK          = 0   // the stream was stopped and everything planned is done
	ExitFailed      = 1   // the job failed
	ExitUsage       = 2   // the command line is wrong
	ExitInterrupted = 130 // a second interrupt ended the process at once
)

// NewApp returns a program with the engine's flags. It touches nothing outside.
func NewApp(name string) *App {
	a := &App{name: name, flags: flag.NewFlagSet(name, flag.ContinueOnError)}
	a.opts.conf = defaultConf()
	f := a.flags
	f.StringVar(&a.opts.master, "master", "local[*]", "where to run: local, local[N] or local[*] (N task slots in this process)")
	f.StringVar(&a.opts.checkpoint, "checkpoint", "", "directory of the batch log; a killed program started again with it goes on where it was")
	f.StringVar(&a.opts.brokers, "brokers", "", "Kafka bootstrap addresses, comma-separated; none starts an embedded broker")
	f.DurationVar(&a.opts.interval, "batch-interval", 0, "time between batches, e.g. 500ms (default: the program's)")
	f.StringVar(&a.opts.logLevel, "log-level", "info", "debug, info, warn or error")
	f.Func("conf", "a `key=value` setting, may be repeated; --conf help lists them", a.opts.conf.set)
	f.Usage = a.usage
	return a
}

// Flags returns the flags of the program, the engine's among them. Add the
// program's own before Stream: it parses them once, and they travel with the
// job, so that every process sees the same values.
func (a *App) Flags() *flag.FlagSet { return a.flags }

// Example sets the command line that --help shows as an example.
func (a *App) Example(line string) { a.example = line }

// Stream runs the program as a stream with the given time between batches
// (--batch-interval overrides it) and ends the process: it parses the command
// line, builds the graph, runs until stopped or failed, and exits with one of
// the Exit codes. The first interrupt (Ctrl-C, SIGTERM) finishes what is
// planned; the second ends the process at once.
func (a *App) Stream(interval time.Duration, build BuildFunc) {
	ctx, release := onInterrupt(context.Background())
	err := a.Run(ctx, os.Args[1:], interval, build)
	release()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", a.name, err)
		if errors.Is(err, ErrUsage) {
			fmt.Fprintf(os.Stderr, "run %s --help for its flags\n", a.name)
		}
	}
	os.Exit(exitCode(err))
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

// onInterrupt returns a context that the first interrupt cancels; the second
// ends the process.
func onInterrupt(parent context.Context) (context.Context, func()) {
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
	if err := a.flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if n := a.flags.NArg(); n > 0 {
		return fmt.Errorf("%w: %q is not a flag; flags begin with --", ErrUsage, a.flags.Arg(0))
	}
	if a.opts.interval != 0 || flagGiven(a.flags, "batch-interval") {
		interval = a.opts.interval
	}
	if interval <= 0 {
		return fmt.Errorf("%w: the batch interval is %s, it must be above 0, e.g. --batch-interval 500ms", ErrUsage, interval)
	}
	slots, err := parseMaster(a.opts.master)
	if err != nil {
		return err
	}
	log, err := newLogger(os.Stderr, a.opts.logLevel)
	if err != nil {
		return err
	}
	batches := NewMemoryLog()
	if a.opts.checkpoint != "" {
		if batches, err = OpenDirLog(a.opts.checkpoint, log); err != nil {
			return err
		}
	}
	j := &localJob{
		app: a.name, interval: interval, build: build, slots: slots,
		conf: a.opts.conf, brokers: a.opts.brokers, batches: batches, log: log, stdout: os.Stdout,
		durable: a.opts.checkpoint != "",
	}
	return errors.Join(j.run(ctx), batches.Close())
}

// flagGiven reports whether a flag was on the command line.
func flagGiven(f *flag.FlagSet, name string) (given bool) {
	f.Visit(func(fl *flag.Flag) { given = given || fl.Name == name })
	return given
}

// parseMaster returns the number of slots that a master URL asks for.
func parseMaster(master string) (slots int, err error) {
	bad := fmt.Errorf("%w: unknown master %q; there are local, local[N] and local[*]", ErrUsage, master)
	if master == "local" {
		return 1, nil
	}
	inner, ok := strings.CutPrefix(master, "local[")
	if !ok {
		return 0, bad
	}
	if inner, ok = strings.CutSuffix(inner, "]"); !ok {
		return 0, bad
	}
	if inner == "*" {
		return runtime.GOMAXPROCS(0), nil
	}
	n, err := strconv.Atoi(inner)
	if err != nil || n < 1 || n > maxLocalSlots {
		return 0, fmt.Errorf("%w: master %q: the number of slots must be from 1 to %d", ErrUsage, master, maxLocalSlots)
	}
	return n, nil
}

// maxLocalSlots bounds local[N].
const maxLocalSlots = 4096

// newLogger returns a text logger of the given level.
func newLogger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("%w: --log-level %q; there are debug, info, warn and error", ErrUsage, level)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})), nil
}

// usage prints the flags with an example, then the settings.
func (a *App) usage() {
	w := a.flags.Output()
	fmt.Fprintf(w, "Usage: %s [flags]\n", a.name)
	if a.example != "" {
		fmt.Fprintf(w, "\nExample:\n  %s\n", a.example)
	}
	fmt.Fprint(w, "\nFlags:\n")
	a.flags.PrintDefaults()
	fmt.Fprint(w, "\nSettings (--conf key=value, defaults in brackets):\n")
	for _, s := range settings() {
		fmt.Fprintf(w, "  %-44s %s\n", s.key, s.help)
	}
}

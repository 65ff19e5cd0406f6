package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/hibana-engine/hibana/engine/process"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Exit codes of daemons.
const (
	ExitOK     = 0 // it served until a signal
	ExitFailed = 1 // it can't start or go on
	ExitUsage  = 2 // the command line is wrong
)

// ErrUsage: the command line is wrong.
var ErrUsage = errors.New("wrong use; see --help")

// Main runs a daemon until it is done and ends the process with the exit code that
// run returns. The first interrupt or SIGTERM ends ctx, the second the process.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Daemon is the command line of a daemon: its own flags and those that all daemons
// have, for logging and security.
type Daemon struct {
	Flags *flag.FlagSet // add the daemon's own before Parse

	usage    string
	stdout   io.Writer
	stderr   io.Writer
	level    slog.Level
	security SecurityFlags
	pass     []string // names of variables
	metrics  string
}

// NewDaemon returns the command line of the daemon of that name. usage is what
// --help prints before the flags. That and the version go to stdout, everything else to stderr.
func NewDaemon(name, usage string, stdout, stderr io.Writer) *Daemon {
	d := &Daemon{Flags: flag.NewFlagSet(name, flag.ContinueOnError), usage: usage, stdout: stdout, stderr: stderr}
	d.Flags.TextVar(&d.level, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn or error")
	d.Flags.Func("pass-env", "`name` of a variable of this daemon's environment that jobs' processes get, beside PATH, HOME and what else any program needs; may be repeated", func(name string) error {
		d.pass = append(d.pass, name)
		return process.CheckPass(name)
	})
	d.Flags.StringVar(&d.metrics, "metrics", "", "`host:port` where this daemon serves Prometheus metrics (/metrics), /healthz, /readyz, and in /targets where its jobs' processes serve theirs, at free ports of the host; beyond loopback who reads them shows a certificate (default: nowhere)")
	d.security.AddTo(d.Flags)
	AddVersion(d.Flags)
	return d
}

// Parse reads the command line, which must give the required flags. It prints the
// help or the version that was asked for and returns flag.ErrHelp then; what is wrong is
// an error that says [ErrUsage].
func (d *Daemon) Parse(args []string, required ...string) error {
	if len(args) == 1 && args[0] == "help" {
		args = []string{"--help"}
	}
	err := Parse(d.Flags, args, d.stdout, func(w io.Writer) {
		fmt.Fprint(w, d.usage)
		PrintFlags(w, d.Flags)
	})
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUsage, err)
	case d.Flags.NArg() > 0:
		return fmt.Errorf("%w: it takes no argument %q", ErrUsage, d.Flags.Arg(0))
	}
	for _, name := range required {
		if d.Flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("%w: --%s is missing", ErrUsage, name)
		}
	}
	return nil
}

// Log returns the logger that the command line asks for.
func (d *Daemon) Log() *slog.Logger {
	return slog.New(slog.NewTextHandler(d.stderr, &slog.HandlerOptions{Level: d.level}))
}

// Metrics returns the host:port where the daemon is to serve its metrics, "" for nowhere.
func (d *Daemon) Metrics() string { return d.metrics }

// WarnOfRoot says what it means that the daemon, and with it jobs, run as root.
func (d *Daemon) WarnOfRoot(log *slog.Logger) {
	if os.Geteuid() == 0 {
		log.Warn("jobs run as root: whoever can submit a program can do anything on this machine; run the daemon as a user of its own")
	}
}

// JobEnv returns the environment of jobs' processes, and warns of variables that aren't
// set.
func (d *Daemon) JobEnv(log *slog.Logger) []string {
	for _, name := range d.pass {
		if _, ok := os.LookupEnv(name); !ok {
			log.Warn("a variable that jobs should get isn't set", "pass_env", name)
		}
	}
	return process.Environ(d.pass)
}

// Reaper returns what ends the processes that jobs leave behind, nil where the system
// doesn't let a daemon do that.
func (d *Daemon) Reaper(log *slog.Logger) *process.Reaper {
	r, err := process.NewReaper()
	if err != nil {
		log.Warn("what jobs start and leave behind won't be ended", "err", err)
		return nil
	}
	return r
}

// Security returns what the command line says of who may talk to the daemon. It
// makes the token file if there is none.
func (d *Daemon) Security() (security.Security, error) { return d.security.Load(true) }

// Code says why the daemon ended, if something is wrong, and returns its exit code.
// misuse are errors that mean a wrong command line, beside [ErrUsage] and
// [wire.ErrInvalid].
func (d *Daemon) Code(err error, misuse ...error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return ExitOK
	}
	fmt.Fprintf(d.stderr, "%s: %v\n", d.Flags.Name(), err)
	is := func(target error) bool { return errors.Is(err, target) }
	if is(ErrUsage) || is(wire.ErrInvalid) || slices.ContainsFunc(misuse, is) {
		return ExitUsage
	}
	return ExitFailed
}

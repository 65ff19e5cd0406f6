// Package cli reads the command lines of the examples that aren't programs of the
// engine, the way engine.App does: help on standard output, one line for a wrong
// command line, and the same exit codes.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/hibana-engine/hibana/engine/cli"
)

// ErrUsage: the command line is wrong. The process exits with 2.
var ErrUsage = errors.New("wrong use")

// Parse reads a command line. With --help it writes the flags and the example to
// stdout and returns flag.ErrHelp; what is wrong is an error that says [ErrUsage].
func Parse(f *flag.FlagSet, example string, args []string, stdout io.Writer) error {
	f.Init(f.Name(), flag.ContinueOnError)
	f.Usage = func() {}
	f.SetOutput(io.Discard)
	switch err := cli.ParseFlags(f, args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, "Usage: %s [flags]\n\nExample:\n  %s\n\nFlags:\n", f.Name(), example)
		f.SetOutput(stdout)
		f.PrintDefaults()
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUsage, err)
	case f.NArg() > 0:
		return fmt.Errorf("%w: %q is not a flag; flags begin with --", ErrUsage, f.Arg(0))
	}
	return nil
}

// Code says on stderr why a program failed, if it did, and returns its exit code.
func Code(name string, err error, stderr io.Writer) int {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, ErrUsage):
		fmt.Fprintf(stderr, "%s: %v; see %[1]s --help\n", name, err)
		return 2
	default:
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
}

// Main runs a program, which reads its command line with [Parse], until it is done
// or interrupted, and ends the process.
func Main(name string, program func(ctx context.Context, args []string, stdout io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := program(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(Code(name, err, os.Stderr))
}

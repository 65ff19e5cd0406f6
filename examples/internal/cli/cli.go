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
	"net"
	"os"
	"os/signal"
	"strings"

	"github.com/hibana-engine/hibana/engine/cli"
)

// ErrUsage: the command line is wrong. The process exits with 2.
var ErrUsage = errors.New("wrong use")

// Parse reads a command line. With --help it writes the flags and the example to
// stdout, with --version the version, and returns flag.ErrHelp; what is wrong is an error
// that says [ErrUsage].
func Parse(f *flag.FlagSet, example string, args []string, stdout io.Writer) error {
	f.Init(f.Name(), flag.ContinueOnError)
	cli.AddVersion(f)
	err := cli.Parse(f, args, stdout, func(w io.Writer) {
		fmt.Fprintf(w, "Usage: %s [flags]\n\nExample:\n  %s\n\nFlags:\n", f.Name(), example)
		cli.PrintFlags(w, f)
	})
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUsage, err)
	case f.NArg() > 0:
		return fmt.Errorf("%w: %q is not a flag; flags begin with --", ErrUsage, f.Arg(0))
	}
	return nil
}

// Brokers returns the addresses that a flag --brokers holds, HOST:PORT,HOST:PORT,….
func Brokers(list string) ([]string, error) {
	var all []string
	for a := range strings.SplitSeq(list, ",") {
		a = strings.TrimSpace(a)
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%w: --brokers: %q is not HOST:PORT, e.g. 127.0.0.1:9092", ErrUsage, a)
		}
		all = append(all, a)
	}
	return all, nil
}

// Code says on stderr why a program failed, if it did, and returns its exit code.
func Code(name string, err error, stderr io.Writer) int {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, ErrUsage):
		fmt.Fprintf(stderr, "%s: %v%s\n", name, err, cli.SeeHelp(err, name+" --help"))
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

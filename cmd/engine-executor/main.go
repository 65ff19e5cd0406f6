// Engine-executor runs the tasks of Hibana's jobs on a machine: it follows the
// leading engine-driver, fetches the jobs' programs and keeps a process of each.
//
//	engine-executor --id e1 --master 127.0.0.1:7077,127.0.0.1:7078,127.0.0.1:7079 --data /var/lib/hibana/e1
package main

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
	"syscall"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/engine/worker"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

const usage = `Usage: engine-executor --id ID --master HOST:PORT,… --data DIR [flags]

An executor of a Hibana cluster, one a machine. It follows the leading
engine-driver, whichever that is, fetches the programs of jobs and keeps a process
of each. It serves until SIGTERM or Ctrl-C, and ends its processes then; a second
one ends it at once.

Two on one machine:

  M=127.0.0.1:7077,127.0.0.1:7078,127.0.0.1:7079
  engine-executor --id e1 --master $M --data ~/.hibana/e1 --slots 1
  engine-executor --id e2 --master $M --data ~/.hibana/e2 --slots 1

On another machine than the drivers it takes certificates, see engine-submit certs
--help, and a --listen that others can reach:

  engine-executor --id e1 --master node1:7077 --listen node4:0 --data /var/lib/hibana/e1 \
    --tls-ca certs/ca.pem --tls-cert certs/node4.pem --tls-key certs/node4-key.pem

Exit status: 0 after a signal, 1 when it can't start or go on, 2 for wrong use.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// run runs the command and returns its exit status.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	c, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil:
		if err = worker.Run(ctx, c); err == nil {
			return 0
		}
	}
	fmt.Fprintln(stderr, "engine-executor:", err)
	if errors.Is(err, errUsage) || errors.Is(err, wire.ErrInvalid) {
		return exitUsage
	}
	return exitFailed
}

// errUsage is a wrong command line.
var errUsage = errors.New("wrong use; see --help")

// parse reads the command line.
func parse(args []string, stderr io.Writer) (worker.Config, error) {
	var c worker.Config
	var security cli.SecurityFlags
	var level slog.Level
	f := flag.NewFlagSet("engine-executor", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.ID, "id", "", "`name` of this executor in the cluster, kept over restarts")
	f.StringVar(&c.Master, "master", "", "`addresses` of the engine-drivers, host:port,host:port,…")
	f.StringVar(&c.Listen, "listen", "127.0.0.1:0", "`host:port` to listen on, which others can reach; port 0 takes a free one; jobs' processes listen on the same host at ports of their own")
	f.StringVar(&c.Data, "data", "", "`directory` of this executor alone, for programs and jobs' output; made if it isn't there")
	f.IntVar(&c.Slots, "slots", runtime.GOMAXPROCS(0), "tasks that a job runs here at once")
	f.TextVar(&level, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn or error")
	security.AddTo(f)
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
			cli.PrintFlags(stderr, f)
			return c, err
		}
		return c, fmt.Errorf("%w: %w", errUsage, err)
	}
	switch {
	case f.NArg() > 0:
		return c, fmt.Errorf("%w: it takes no argument %q", errUsage, f.Arg(0))
	case c.ID == "":
		return c, fmt.Errorf("%w: --id is missing", errUsage)
	case c.Master == "":
		return c, fmt.Errorf("%w: --master is missing", errUsage)
	case c.Data == "":
		return c, fmt.Errorf("%w: --data is missing", errUsage)
	}
	var err error
	c.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	c.Security, err = security.Load(true)
	return c, err
}

// Engine-executor runs the tasks of Hibana's jobs on a machine: it follows the
// leading engine-driver, fetches the jobs' programs and keeps a process of each.
//
//	engine-executor --id e1 --master 127.0.0.1:7077,127.0.0.1:7078,127.0.0.1:7079 --data /var/lib/hibana/e1
//
// It exits with 0 after an interrupt, 1 if it can't go on and 2 for a wrong
// command line.
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

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/engine/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// run runs the daemon and returns its exit code.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	var c worker.Config
	var security wire.SecurityFlags
	level := slog.LevelInfo
	f := flag.NewFlagSet("engine-executor", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.ID, "id", "", "this executor's `name` in the cluster, kept over restarts")
	f.StringVar(&c.Master, "master", "", "`addresses` of the engine-drivers, host:port,host:port,…")
	f.StringVar(&c.Listen, "listen", "127.0.0.1:0", "`host:port` to listen on; jobs' processes listen on the same host at ports of their own")
	f.StringVar(&c.Data, "data", "", "`directory` for programs and jobs' output")
	f.IntVar(&c.Slots, "slots", runtime.GOMAXPROCS(0), "tasks that a job runs here at once")
	f.TextVar(&level, "log-level", level, "debug, info, warn or error")
	security.AddTo(f)
	f.Usage = func() {}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, "Usage: engine-executor --id NAME --master HOST:PORT,… --data DIR [flags]\n\n"+
			"Example:\n"+
			"  engine-executor --id e1 --master 127.0.0.1:7077,127.0.0.1:7078,127.0.0.1:7079 --data /var/lib/hibana/e1 --slots 4\n\nFlags:\n")
		f.SetOutput(stderr)
		f.PrintDefaults()
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "engine-executor: %v; run engine-executor --help\n", err)
		return 2
	case f.NArg() > 0:
		fmt.Fprintf(stderr, "engine-executor: %q is not a flag; run engine-executor --help\n", f.Arg(0))
		return 2
	case c.ID == "" || c.Data == "" || c.Master == "":
		fmt.Fprintln(stderr, "engine-executor: --id, --master and --data are needed; run engine-executor --help for an example")
		return 2
	}
	var err error
	if c.Security, err = security.Load(true); err == nil {
		c.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
		err = worker.Run(ctx, c)
	}
	if err != nil {
		fmt.Fprintf(stderr, "engine-executor: %v\n", err)
		if errors.Is(err, wire.ErrInvalid) {
			return 2
		}
		return 1
	}
	return 0
}

// Engine-driver is the control plane of a cluster: it takes jobs, keeps their
// batch logs in a Raft group of one, three or five, and runs their driver
// processes where it leads.
//
//	engine-driver --id d1 --peers d1=127.0.0.1:7077,d2=127.0.0.1:7078,d3=127.0.0.1:7079 --data DIR [flags]
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
	"syscall"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/control"
	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

const usage = `Usage: engine-driver --id ID --peers ID=HOST:PORT,… --data DIR [flags]

A driver of a Hibana cluster. It serves until SIGTERM or Ctrl-C; then its job
drivers finish what is planned, and another driver takes the lead. A second signal
ends it at once.

Three on one machine:

  P=d1=127.0.0.1:7077,d2=127.0.0.1:7078,d3=127.0.0.1:7079
  engine-driver --id d1 --peers $P --data ~/.hibana/d1
  engine-driver --id d2 --peers $P --data ~/.hibana/d2
  engine-driver --id d3 --peers $P --data ~/.hibana/d3

One alone takes --listen HOST:PORT instead of --peers.

Exit status: 0 after a signal, 1 when it can't start or go on, 2 for wrong use.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run runs the command and returns its exit status.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	c, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil:
		if err = control.Run(ctx, c); err == nil {
			return 0
		}
	}
	fmt.Fprintln(stderr, "engine-driver:", err)
	if errors.Is(err, errUsage) || errors.Is(err, raftgroup.ErrPeers) || errors.Is(err, wire.ErrInvalid) {
		return exitUsage
	}
	return exitFailed
}

// Bounds of --heartbeat-timeout. Executors wait 3 s for a leader that comes back.
const (
	leastHeartbeat = 50 * time.Millisecond
	mostHeartbeat  = 2 * time.Second
)

// errUsage is a wrong command line.
var errUsage = errors.New("wrong use; see --help")

// parse reads the command line.
func parse(args []string, stderr io.Writer) (control.Config, error) {
	var c control.Config
	var security cli.SecurityFlags
	var level slog.Level
	f := flag.NewFlagSet("engine-driver", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.ID, "id", "", "`name` of this driver in the cluster, kept over restarts")
	f.StringVar(&c.Listen, "listen", "", "`host:port` to listen on (default: this driver's in --peers)")
	f.StringVar(&c.Peers, "peers", "", "all drivers of the cluster, this one too: `id=host:port,…` (default: this one alone)")
	f.StringVar(&c.Data, "data", "", "`directory` of this driver alone; made if it isn't there")
	heartbeat := f.Duration("heartbeat-timeout", raftgroup.DefaultHeartbeat, "how long to wait for a word from the leader before an election; longer suits machines that are busy, alike for all drivers")
	f.BoolVar(&c.Replace, "replace", false, "this driver's data directory is lost for good: take its place with a new one")
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
	case c.Data == "":
		return c, fmt.Errorf("%w: --data is missing", errUsage)
	case c.Listen == "" && c.Peers == "":
		return c, fmt.Errorf("%w: --peers is missing, or --listen for a cluster of this driver alone", errUsage)
	}
	if *heartbeat < leastHeartbeat || *heartbeat > mostHeartbeat {
		return c, fmt.Errorf("%w: --heartbeat-timeout %s is not between %s and %s", errUsage, *heartbeat, leastHeartbeat, mostHeartbeat)
	}
	c.Timing = raftgroup.TimingOf(*heartbeat)
	var err error
	c.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	c.Security, err = security.Load(true)
	return c, err
}

// Engine-driver is the control plane of a cluster: it takes jobs, keeps their
// batch logs in a Raft group of one, three or five, and runs their driver
// processes where it leads.
//
//	engine-driver --id d1 --peers d1=127.0.0.1:7077,d2=127.0.0.1:7078,d3=127.0.0.1:7079 --data DIR [flags]
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/control"
	"github.com/hibana-engine/hibana/engine/control/raftgroup"
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

Jobs' processes run as this daemon's user. Of its environment they get PATH, HOME and
the like; with --pass-env what else they need:

  AWS_REGION=eu-west-1 engine-driver --id d1 --peers $P --data ~/.hibana/d1 --pass-env AWS_REGION

One alone takes --listen HOST:PORT instead of --peers.

Exit status: 0 after a signal, 1 when it can't start or go on, 2 for wrong use.

Flags:
`

func main() {
	cli.Main(run)
}

// run runs the command and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	d := cli.NewDaemon("engine-driver", usage, stdout, stderr)
	c, err := parse(d, args)
	if err == nil {
		c.Env = d.JobEnv(c.Log)
		c.Listening = func(string) { d.WarnOfRoot(c.Log) }
		c.Reaper = d.Reaper(c.Log)
		c.Metrics = d.Metrics()
		err = control.Run(ctx, c)
	}
	return d.Code(err, raftgroup.ErrPeers)
}

// Bounds of --heartbeat-timeout. Executors wait 3 s for a leader that comes back.
const (
	leastHeartbeat = 50 * time.Millisecond
	mostHeartbeat  = 2 * time.Second
)

// parse reads the command line.
func parse(d *cli.Daemon, args []string) (control.Config, error) {
	var c control.Config
	f := d.Flags
	f.StringVar(&c.ID, "id", "", "`name` of this driver in the cluster, kept over restarts")
	f.StringVar(&c.Listen, "listen", "", "`host:port` to listen on (default: this driver's in --peers)")
	f.StringVar(&c.Peers, "peers", "", "all drivers of the cluster, this one too: `id=host:port,…` (default: this one alone)")
	f.StringVar(&c.Data, "data", "", "`directory` of this driver alone; made if it isn't there")
	heartbeat := f.Duration("heartbeat-timeout", raftgroup.DefaultHeartbeat, "how long to wait for a word from the leader before an election; longer suits machines that are busy, alike for all drivers")
	f.BoolVar(&c.Replace, "replace", false, "this driver's data directory is lost for good: take its place with a new one")
	if err := d.Parse(args, "id", "data"); err != nil {
		return c, err
	}
	if c.Listen == "" && c.Peers == "" {
		return c, fmt.Errorf("%w: --peers is missing, or --listen for a cluster of this driver alone", cli.ErrUsage)
	}
	if *heartbeat < leastHeartbeat || *heartbeat > mostHeartbeat {
		return c, fmt.Errorf("%w: --heartbeat-timeout %s is not between %s and %s", cli.ErrUsage, *heartbeat, leastHeartbeat, mostHeartbeat)
	}
	c.Timing = raftgroup.TimingOf(*heartbeat)
	c.Log = d.Log()
	var err error
	c.Security, err = d.Security()
	return c, err
}

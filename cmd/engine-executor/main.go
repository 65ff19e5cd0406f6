// Engine-executor runs the tasks of Hibana's jobs on a machine: it follows the
// leading engine-driver, fetches the jobs' programs and keeps a process of each.
//
//	engine-executor --id e1 --master 127.0.0.1:7077,127.0.0.1:7078,127.0.0.1:7079 --data /var/lib/hibana/e1
package main

import (
	"context"
	"io"
	"runtime"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/worker"
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

Jobs' processes run as this daemon's user. Of its environment they get PATH, HOME and
the like; with --pass-env NAME what else they need, as on the drivers.

On another machine than the drivers it takes certificates, see engine-submit certs
--help, and a --listen that others can reach:

  engine-executor --id e1 --master node1:7077 --listen node4:0 --data /var/lib/hibana/e1 \
    --tls-ca certs/ca.pem --tls-cert certs/node4.pem --tls-key certs/node4-key.pem

Exit status: 0 after a signal, 1 when it can't start or go on, 2 for wrong use.

Flags:
`

func main() {
	cli.Main(run)
}

// run runs the command and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	d := cli.NewDaemon("engine-executor", usage, stdout, stderr)
	c, err := parse(d, args)
	if err == nil {
		c.Env = d.JobEnv(c.Log)
		c.Listening = func(string) { d.WarnOfRoot(c.Log) }
		c.Reaper = d.Reaper(c.Log)
		c.Metrics = d.Metrics()
		err = worker.Run(ctx, c)
	}
	return d.Code(err)
}

// parse reads the command line.
func parse(d *cli.Daemon, args []string) (worker.Config, error) {
	var c worker.Config
	f := d.Flags
	f.StringVar(&c.ID, "id", "", "`name` of this executor in the cluster, kept over restarts")
	f.StringVar(&c.Master, "master", "", "`addresses` of the engine-drivers, host:port,host:port,…")
	f.StringVar(&c.Listen, "listen", "127.0.0.1:0", "`host:port` to listen on, which others can reach; port 0 takes a free one; jobs' processes listen on the same host at ports of their own")
	f.StringVar(&c.Data, "data", "", "`directory` of this executor alone, for programs and jobs' output; made if it isn't there")
	f.IntVar(&c.Slots, "slots", runtime.GOMAXPROCS(0), "tasks that run here at once; jobs share them")
	if err := d.Parse(args, "id", "master", "data"); err != nil {
		return c, err
	}
	c.Log = d.Log()
	var err error
	c.Security, err = d.Security()
	return c, err
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/hibana-engine/hibana/engine/cli"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// masterEnv names the cluster when --master doesn't.
const masterEnv = "HIBANA_MASTER"

// connection are the flags that say where the cluster is and how to get in.
type connection struct {
	master   string
	security cli.SecurityFlags
	patience time.Duration
}

// addTo adds the flags to a command's.
func (c *connection) addTo(f *flag.FlagSet) {
	if c.patience == 0 {
		c.patience = client.DefaultPatience
	}
	f.StringVar(&c.master, "master", c.master, "`addresses` of engine-drivers, host:port,host:port,…; any of them will do, all survive the death of one (default: $"+masterEnv+")")
	f.DurationVar(&c.patience, "patience", c.patience, "how long to go on while no engine-driver leads")
	c.security.AddTo(f)
}

// open returns a client of the cluster.
func (c *connection) open(p *process) (*client.Client, error) {
	master, from := c.master, "--master"
	if master == "" {
		master, from = os.Getenv(masterEnv), masterEnv
	}
	if master == "" {
		return nil, fmt.Errorf("%w: say where the cluster is, with --master 127.0.0.1:7077,127.0.0.1:7078,… or in %s", errUsage, masterEnv)
	}
	if c.patience <= 0 {
		return nil, fmt.Errorf("%w: --patience %s is not above 0", errUsage, c.patience)
	}
	if err := c.check(master); errors.Is(err, wire.ErrInvalid) {
		return nil, fmt.Errorf("%w: %s: %w", errUsage, from, err)
	} else if err != nil {
		return nil, err
	}
	known, err := c.security.Load(false)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{
		Master: master, Security: known, Patience: c.patience,
		Waiting: func(err error) { p.say("waiting, for %s at most: %v", c.patience, err) },
	})
}

// check reports what is wrong with the addresses, whatever is in the token's file or the
// certificates': these can be missing because the cluster is another one.
func (c *connection) check(master string) error {
	addresses, err := rpc.ParseAddresses(master)
	if err != nil || c.security.TLS != (wire.TLSFiles{}) {
		return err
	}
	for _, a := range addresses {
		if err := security.CheckToken(a); err != nil {
			return err
		}
	}
	return nil
}

// connect calls f with a client of the cluster.
func (c *connection) connect(p *process, f func(*client.Client) error) (err error) {
	opened, err := c.open(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return f(opened)
}

// connectTo calls f with a client of the cluster and the job that is called so: by its number,
// its submission id or its name.
func (c *connection) connectTo(ctx context.Context, p *process, called string, f func(*client.Client, wire.JobRef) error) error {
	return c.connect(p, func(opened *client.Client) error {
		job, err := opened.Find(ctx, called)
		if err != nil {
			return err
		}
		return f(opened, job)
	})
}

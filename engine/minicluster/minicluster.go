package minicluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/security"
)

// Config says what a cluster is made of.
type Config struct {
	Bin       string // directory of engine-driver and engine-executor
	Dir       string // for the daemons' data, logs and the token
	Drivers   int
	Executors int
	Slots     int      // of each executor
	Env       []string // added to the daemons' environment
}

// Cluster is a running cluster. Its methods are for one goroutine at a time.
type Cluster struct {
	Client *client.Client
	Master string // addresses of the drivers, for --master
	Token  string // path of the token file

	cfg      Config
	peers    string
	daemons  map[string]*daemon // by id
	security security.Security
}

// daemon is one process.
type daemon struct {
	args   []string
	path   string
	log    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

// Times of a cluster.
const (
	poll       = 20 * time.Millisecond
	stopAfter  = 10 * time.Second // between SIGTERM and SIGKILL
	portTrials = 50
)

// Start starts a cluster and returns when it has a leader and all its executors
// are there. Close ends it.
func Start(ctx context.Context, cfg Config) (_ *Cluster, err error) {
	c := &Cluster{cfg: cfg, daemons: make(map[string]*daemon), Token: filepath.Join(cfg.Dir, "token")}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the cluster's directory: %w", err)
	}
	token, err := security.LoadToken(c.Token)
	if err != nil {
		return nil, err
	}
	c.security = security.Security{}.WithToken(token)
	var peers, addresses []string
	for i := range cfg.Drivers {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
		peers = append(peers, fmt.Sprintf("d%d=%s", i+1, address))
	}
	c.Master, c.peers = strings.Join(addresses, ","), strings.Join(peers, ",")
	for i := range cfg.Drivers {
		id := fmt.Sprintf("d%d", i+1)
		c.add(id, "engine-driver", "--peers", c.peers)
	}
	for i := range cfg.Executors {
		id := fmt.Sprintf("e%d", i+1)
		c.add(id, "engine-executor", "--master", c.Master, "--slots", fmt.Sprint(cfg.Slots))
	}
	if c.Client, err = client.New(client.Config{Master: c.Master, Security: c.security}); err != nil {
		return nil, err
	}
	for id := range c.daemons {
		if err := c.Restart(id); err != nil {
			return nil, err
		}
	}
	return c, c.AwaitExecutors(ctx, cfg.Executors)
}

// freeAddress returns an address on loopback that nobody listens on. Its port is
// below the ports of outgoing connections: one of those could take it while the
// daemon is down.
func freeAddress() (string, error) {
	for range portTrials {
		b := security.NewToken()
		port := 10_000 + (int(b[0])<<16+int(b[1])<<8+int(b[2])+int(b[3])*7919)%20_000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", errors.New("finding a free port: none is")
}

// add describes a daemon.
func (c *Cluster) add(id, program string, args ...string) {
	args = append([]string{"--id", id, "--data", filepath.Join(c.cfg.Dir, id), "--token-file", c.Token}, args...)
	c.daemons[id] = &daemon{
		path: filepath.Join(c.cfg.Bin, program), args: args, log: filepath.Join(c.cfg.Dir, id+".log"),
	}
}

// Restart starts a daemon that doesn't run.
func (c *Cluster) Restart(id string) error {
	d := c.daemons[id]
	out, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", id, err)
	}
	d.cmd = exec.Command(d.path, d.args...)
	d.cmd.Stdout, d.cmd.Stderr = out, out
	d.cmd.Env = append(os.Environ(), c.cfg.Env...)
	dieWithParent(d.cmd)
	err = d.cmd.Start()
	_ = out.Close() // the process has its own
	if err != nil {
		d.cmd = nil
		return fmt.Errorf("starting %s: %w", id, err)
	}
	d.exited = make(chan struct{})
	go func() { // ends with the process, which Kill and Close wait for
		_ = d.cmd.Wait()
		close(d.exited)
	}()
	return nil
}

// Kill ends a daemon with SIGKILL and waits until it is gone.
func (c *Cluster) Kill(id string) error {
	d := c.daemons[id]
	if d.cmd == nil {
		return nil
	}
	err := d.cmd.Process.Kill()
	<-d.exited
	d.cmd = nil
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s had ended by itself; see %s", id, d.log)
	}
	return err
}

// Leader waits until a driver leads and returns its id.
func (c *Cluster) Leader(ctx context.Context) (string, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		st, err := c.Client.Leader(ctx)
		if err == nil {
			for _, d := range st.Drivers {
				if d.Leader {
					return d.ID, nil
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for a leader: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// PID returns a daemon's process id, 0 if it doesn't run.
func (c *Cluster) PID(id string) int {
	if d := c.daemons[id]; d.cmd != nil {
		return d.cmd.Process.Pid
	}
	return 0
}

// AwaitExecutors waits until as many executors follow the leader.
func (c *Cluster) AwaitExecutors(ctx context.Context, n int) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		st, err := c.Client.Leader(ctx)
		alive := 0
		if err == nil {
			for _, e := range st.Executors {
				if e.Alive {
					alive++
				}
			}
			if alive >= n {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d executors, %d are there: %w", n, alive, errors.Join(ctx.Err(), err, c.firstWords()))
		}
	}
}

// firstWords returns what daemons that have ended wrote last.
func (c *Cluster) firstWords() error {
	var errs []error
	for id, d := range c.daemons {
		select {
		case <-d.exited:
			b, _ := os.ReadFile(d.log) // there may be none
			errs = append(errs, fmt.Errorf("%s has ended:\n%s", id, b[max(0, len(b)-2000):]))
		default:
		}
	}
	return errors.Join(errs...)
}

// Logs copies all daemons' logs, for the report of a test that failed.
func (c *Cluster) Logs(w io.Writer) error {
	var errs []error
	for id, d := range c.daemons {
		b, err := os.ReadFile(d.log)
		_, werr := fmt.Fprintf(w, "== %s\n%s\n", id, b)
		errs = append(errs, err, werr)
	}
	return errors.Join(errs...)
}

// Close ends the daemons, and with them the jobs' processes.
func (c *Cluster) Close() error {
	var errs []error
	for _, d := range c.daemons {
		if d.cmd != nil {
			_ = d.cmd.Process.Signal(os.Interrupt) // it may have ended
		}
	}
	patience := time.After(stopAfter)
	for id, d := range c.daemons {
		if d.cmd == nil {
			continue
		}
		select {
		case <-d.exited:
			d.cmd = nil
		case <-patience:
			patience = time.After(0)
			errs = append(errs, c.Kill(id))
		}
	}
	if c.Client != nil {
		errs = append(errs, c.Client.Close())
	}
	return errors.Join(errs...)
}
